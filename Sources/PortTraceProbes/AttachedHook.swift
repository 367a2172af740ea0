internal import BPF
internal import Glibc

/// One hook, attached in one way: its object and its links.
final class AttachedHook {
    private let object: Object
    private let programs: [Program]
    private var links: [Box] = []

    /// A link in an array: Array does not hold noncopyable elements.
    private final class Box {
        let link: Link
        init(_ link: consuming Link) { self.link = link }
    }

    /// - Throws: ``BPFError``; nothing is attached then.
    init(
        _ hook: Hook, _ attachment: Attachment, maps: borrowing Object, btf: String?, kprobes: KprobeEvents?
    ) throws(BPFError) {
        let object = try hook.object.open(btf: btf)
        let parts = hook.parts(attachment)
        var programs: [Program] = []
        for part in parts {
            let program = try object.program(part.program)
            program.select()
            programs.append(program)
        }
        try object.shareMaps(of: maps)
        try object.load()
        self.object = object
        self.programs = programs
        for (part, program) in zip(parts, programs) {
            for point in part.points {
                links.append(Box(try Self.attach(program, to: point, kprobes: kprobes)))
            }
        }
    }

    /// Its programs' and its links', in the order of ``Hook/parts(_:)``.
    var descriptors: [Int32] { programs.map(\.descriptor) + links.map { $0.link.descriptor } }

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
    var object: EmbeddedObject {
        switch self {
        case .connect: .connect
        case .bind: .bind
        }
    }

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
