internal import BPF
internal import Glibc

/// Hooks of one BPF object, each attached in one way.
final class AttachedHooks {
    private let object: Object
    private var hooks: [(programs: [Program], links: [Box])] = []
    /// Those programs of the census of ports that are here, in the order of ``PortCensusReader/Program``.
    private var censusPrograms: [Program] = []

    /// A link in an array: Array does not hold noncopyable elements.
    private final class Box {
        let link: Link
        init(_ link: consuming Link) { self.link = link }
    }

    /// - Throws: ``BPFError``; nothing is attached then.
    init(
        _ choices: [(hook: Hook, attachment: Attachment)], census: [PortCensusReader.Program] = [],
        maps: [SharedMap: Int32],
        btf: String?, kprobes: KprobeEvents?
    ) throws(BPFError) {
        let object = try EmbeddedObject.hooks.open(btf: btf)
        var selected: [(parts: [Part], programs: [Program])] = []
        for choice in choices {
            let parts = choice.hook.parts(choice.attachment)
            var programs: [Program] = []
            for part in parts { programs.append(try object.program(part.program)) }
            selected.append((parts, programs))
        }
        for program in census {
            censusPrograms.append(try object.program(program.rawValue))
        }
        for program in selected.flatMap(\.programs) + censusPrograms { program.select() }
        for (map, descriptor) in maps { try object.useMap(map.rawValue, descriptor) }
        try object.load()
        self.object = object
        for (parts, programs) in selected {
            var links: [Box] = []
            for (part, program) in zip(parts, programs) {
                for point in part.points {
                    links.append(Box(try Self.attach(program, to: point, of: part.module, kprobes: kprobes)))
                }
                for point in part.optionalPoints {
                    guard let link = try? Self.attach(program, to: point, of: part.module, kprobes: kprobes) else {
                        continue
                    }
                    links.append(Box(link))
                }
            }
            hooks.append((programs, links))
        }
    }

    /// The census' programs.
    var census: [Int32] { censusPrograms.map(\.descriptor) }

    /// How many links each hook has.
    var linkCounts: [Int] { hooks.map(\.links.count) }

    /// For each hook its programs' and its links', in the order of ``Hook/parts(_:)``.
    var descriptors: [Int32] {
        hooks.flatMap { hook in hook.programs.map(\.descriptor) + hook.links.map { $0.link.descriptor } }
    }

    private static func attach(
        _ program: Program, to point: Point, of module: String?, kprobes: KprobeEvents?
    ) throws(BPFError) -> Link {
        let function: String
        let atReturn: Bool
        switch point {
        case .section: return try program.attach()
        case .entry(let name): (function, atReturn) = (name, false)
        case .return(let name): (function, atReturn) = (name, true)
        }
        guard let kprobes else { throw BPFError("attach", function, code: ENOENT) }
        return try program.attach(
            event: try kprobes.add(function, of: module, atReturn: atReturn), group: kprobes.group)
    }
}

/// Where a program is attached.
enum Point {
    /// Where its section says.
    case section
    case entry(String)
    case `return`(String)
}

struct Part {
    var program: String
    var points: [Point]
    /// Where it is attached as well, if that is there.
    var optionalPoints: [Point] = []
    /// The loadable module of its functions.
    var module: String?
}

extension Hook {
    /// The programs (bpf/) for an attachment, in the order in which they are to be attached: a function's entry before
    /// its return, so that every return finds its argument.
    func parts(_ attachment: Attachment) -> [Part] {
        switch (self, attachment) {
        case (.connect, .fexit):
            [Part(program: "connect4_fexit", points: [.section]), Part(program: "connect6_fexit", points: [.section])]
        case (.connect, .kprobe):
            Self.pair("connect", functions: ["inet_hash_connect", "inet6_hash_connect"])
        case (.connect, .rawTracepoint): [Part(program: "connect_raw_tp", points: [.section])]
        case (.connect, .tracepoint): [Part(program: "connect_tp", points: [.section])]
        case (.bind, .fexit):
            [Part(program: "bind_tcp_fexit", points: [.section]), Part(program: "bind_udp_fexit", points: [.section])]
        case (.bind, .kprobe):
            Self.pair("bind", functions: ["inet_csk_get_port", "udp_lib_get_port"])
        case (.conntrack, .rawTracepoint): [Part(program: "conntrack_raw_tp", points: [.section])] + Self.audit
        case (.conntrack, .tracepoint): [Part(program: "conntrack_tp", points: [.section])] + Self.audit
        case (.evictions, .fexit):
            ["begin_fentry", "deleted_fexit", "end_fexit"].map {
                Part(program: "evictions_\($0)", points: [.section])
            }
        case (.evictions, .kprobe):
            [
                Part(program: "evictions_begin_entry", points: [.entry("early_drop")]),
                // In 5.10 early_drop() has the beginning of nf_ct_delete() in itself and calls the rest.
                Part(
                    program: "evictions_deleting_entry", points: [.entry("nf_ct_delete")],
                    optionalPoints: [.entry("nf_ct_delete.part.0")]),
                Part(
                    program: "evictions_deleted_return", points: [.return("nf_ct_delete")],
                    optionalPoints: [.return("nf_ct_delete.part.0")]),
                Part(program: "evictions_end_return", points: [.return("early_drop")]),
            ].map { part in
                var part = part
                part.module = KernelModule.loadable(module)
                return part
            }
        case (.timeWait, .rawTracepoint): [Part(program: "time_wait_raw_tp", points: [.section])] + Self.audit
        case (.timeWait, .tracepoint): [Part(program: "time_wait_tp", points: [.section])] + Self.audit
        case (.states, .fexit):
            [
                Part(program: "states_raw_tp", points: [.section]),
                Part(program: "states_end_fentry", points: [.section]),
            ]
        case (.states, .kprobe):
            [
                Part(program: "states_tp", points: [.section]),
                Part(program: "states_end_entry", points: [.entry("inet_twsk_kill")]),
            ]
        case (.states, .rawTracepoint): [Part(program: "states_raw_tp", points: [.section])]
        case (.states, .tracepoint): [Part(program: "states_tp", points: [.section])]
        case (.bind, .rawTracepoint), (.bind, .tracepoint), (.conntrack, .fexit), (.conntrack, .kprobe),
            (.evictions, .rawTracepoint), (.evictions, .tracepoint), (.timeWait, .fexit), (.timeWait, .kprobe):
            []
        }
    }

    static let auditedFunctions = ["early_drop", "nf_ct_delete", "nf_ct_delete_part_0"].flatMap { [$0, "\($0)_ret"] }

    /// The programs that ``ConntrackAudit`` runs, attached to nothing.
    private static let audit = ConntrackAudit.Program.allCases.map { Part(program: $0.rawValue, points: []) }

    private static func pair(_ name: String, functions: [String]) -> [Part] {
        [
            Part(program: "\(name)_entry", points: functions.map { .entry($0) }),
            Part(program: "\(name)_return", points: functions.map { .return($0) }),
        ]
    }
}
