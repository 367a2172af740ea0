internal import BPF
internal import Glibc

/// Hooks of one BPF object, each attached in one way.
final class AttachedHooks {
    private let object: Object
    private var hooks: [(programs: [Program], links: [Box])] = []

    /// A link in an array: Array does not hold noncopyable elements.
    private final class Box {
        let link: Link
        init(_ link: consuming Link) { self.link = link }
    }

    /// - Throws: ``BPFError``; nothing is attached then.
    init(
        _ choices: [(hook: Hook, attachment: Attachment)], maps: borrowing Object, btf: String?, kprobes: KprobeEvents?
    ) throws(BPFError) {
        let object = try EmbeddedObject.ports.open(btf: btf)
        var selected: [(parts: [Part], programs: [Program])] = []
        for choice in choices {
            let parts = choice.hook.parts(choice.attachment)
            var programs: [Program] = []
            for part in parts { programs.append(try object.program(part.program)) }
            selected.append((parts, programs))
        }
        for program in selected.flatMap(\.programs) { program.select() }
        try object.shareMaps(of: maps)
        try object.load()
        self.object = object
        for (parts, programs) in selected {
            var links: [Box] = []
            for (part, program) in zip(parts, programs) {
                for point in part.points {
                    links.append(Box(try Self.attach(program, to: point, kprobes: kprobes)))
                }
            }
            hooks.append((programs, links))
        }
    }

    /// For each hook its programs' and its links', in the order of ``Hook/parts(_:)``.
    var descriptors: [Int32] {
        hooks.flatMap { hook in hook.programs.map(\.descriptor) + hook.links.map { $0.link.descriptor } }
    }

    private static func attach(_ program: Program, to point: Point, kprobes: KprobeEvents?) throws(BPFError) -> Link {
        let function: String
        let atReturn: Bool
        switch point {
        case .section: return try program.attach()
        case .entry(let name): (function, atReturn) = (name, false)
        case .return(let name): (function, atReturn) = (name, true)
        }
        guard let kprobes else { throw BPFError("attach", function, code: ENOENT) }
        return try program.attach(event: try kprobes.add(function, atReturn: atReturn), group: kprobes.group)
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
        case (.bind, .rawTracepoint), (.bind, .tracepoint): []
        }
    }

    private static func pair(_ name: String, functions: [String]) -> [Part] {
        [
            Part(program: "\(name)_entry", points: functions.map { .entry($0) }),
            Part(program: "\(name)_return", points: functions.map { .return($0) }),
        ]
    }
}
