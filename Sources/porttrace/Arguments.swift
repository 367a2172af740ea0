import CLinux
import Glibc
import PortTraceCore
import PortTraceProbes

/// The command line, read with getopt_long.
struct Arguments {
    private enum Option: Int32, CaseIterable {
        // The value is what getopt_long returns: the letter of the short form, where there is one.
        case output = 0x6f  // o
        case duration = 0x64  // d
        case help = 0x68  // h
        case namespace = 0x6e  // n
        case version = 0x100
        case pod
        case container
        case cgroup
        case pid
        case comm
        case dest
        case kind
        case hostRoot
        case names
        case node
        case probeMode
        case btf
        case interval
        case each
        case states
        case verbose

        var name: StaticString {
            switch self {
            case .output: "output"
            case .duration: "duration"
            case .help: "help"
            case .version: "version"
            case .namespace: "namespace"
            case .pod: "pod"
            case .container: "container"
            case .cgroup: "cgroup"
            case .pid: "pid"
            case .comm: "comm"
            case .dest: "dest"
            case .kind: "kind"
            case .hostRoot: "host-root"
            case .names: "names"
            case .node: "node"
            case .probeMode: "probe-mode"
            case .btf: "btf"
            case .interval: "interval"
            case .each: "each"
            case .states: "states"
            case .verbose: "verbose"
            }
        }

        var takesValue: Bool {
            switch self {
            case .help, .version, .each, .states, .verbose: false
            default: true
            }
        }

        /// Whether no other command has it.
        var isOfTrace: Bool { self == .each || self == .states }
    }

    private static let shortOptions = ":o:d:n:h"

    /// Reads the command line of this process.
    static func parse() throws(UsageError) -> Invocation {
        let count = CommandLine.argc
        let values = CommandLine.unsafeArgv
        var table = Option.allCases.map {
            option(
                name: UnsafeRawPointer($0.name.utf8Start).assumingMemoryBound(to: CChar.self),
                has_arg: $0.takesValue ? required_argument : no_argument, flag: nil, val: $0.rawValue)
        }
        table.append(option())

        var options = WatchOptions()
        var format: String?
        var ofTrace: StaticString?
        var help = false
        var version = false
        unsetenv("POSIXLY_CORRECT")  // it would end the options at the command's name
        linux_getopt_reset()
        while true {
            var index: Int32 = -1
            let result = getopt_long(count, values, shortOptions, table, &index)
            if result == -1 { break }
            // A shortened name would change its meaning when the next option comes.
            if index >= 0, let option = Option(rawValue: result), !isWhole(option, in: values) {
                throw UsageError(message: "unknown option \(quoted(argument(before: linux_optind(), of: values)))")
            }
            guard let option = Option(rawValue: result) else {
                throw unknown(result, argument: text(of: values[Int(linux_optind()) - 1]))
            }
            switch option {
            case .help: help = true
            case .version: version = true
            case .output: format = linux_optarg().map { String(cString: $0) }
            default: try read(option, into: &options)
            }
            if option.isOfTrace { ofTrace = option.name }
        }
        let words = (Int(linux_optind())..<Int(count)).map { text(of: values[$0]) }
        let command = try command(of: words)
        if help { return .help(command) }
        if version { return .version }
        switch command {
        case nil, .trace:
            let stream = try output(format) { text throws(OptionError) in try OutputFormat(parsing: text) } ?? .text
            options.showsStatus = stream == .text
            if options.filter.names(.tcpState), !options.states {
                throw UsageError(message: "--kind: 'tcp_state' needs --states")
            }
            return .trace(options, stream)
        case .top:
            try refuse(ofTrace, in: "top")
            try refuseOthers(than: EventType.failures, options.filter, in: "top")
            options.showsStatus = false
            let stream = try output(format) { text throws(OptionError) in try OutputFormat(parsing: text) } ?? .text
            return .top(options, stream)
        case .check:
            try refuse(ofTrace, in: "check")
            try refuseOthers(than: EventType.failures, options.filter, in: "check")
            let report =
                try output(format) { text throws(OptionError) in try CheckReport.Format(parsing: text) } ?? .text
            options.showsStatus = report == .text
            options.duration = options.duration ?? checkDuration
            return .check(options, report)
        }
    }

    /// What is no failure would hide all of them.
    private static func refuseOthers(
        than types: [EventType], _ filter: Filter, in command: StaticString
    ) throws(UsageError) {
        for type in EventType.allCases where filter.names(type) && !types.contains(type) {
            throw UsageError(message: "--kind: '\(type.name)' is no failure, which \(command) looks for")
        }
    }

    private static func refuse(_ option: StaticString?, in command: StaticString) throws(UsageError) {
        guard let option else { return }
        throw UsageError(message: "--\(option) belongs to `porttrace trace`, not to \(command)")
    }

    /// Nanoseconds of `check`'s sample.
    private static let checkDuration: Int64 = 5_000_000_000

    private static func output<Format>(
        _ text: String?, _ parse: (String.UTF8View) throws(OptionError) -> Format
    ) throws(UsageError) -> Format? {
        do {
            return try text.map { text throws(OptionError) in try parse(text.utf8) }
        } catch {
            throw UsageError(message: "--output: \(error.message)")
        }
    }

    /// The argument with the long option that getopt_long has just read: the one before its value, where that stands
    /// alone.
    private static func argument(before next: Int32, of values: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>)
        -> String
    {
        let standsAlone = linux_optarg() != nil && linux_optarg() == values[Int(next) - 1].map { UnsafePointer($0) }
        return text(of: values[Int(next) - (standsAlone ? 2 : 1)])
    }

    private static func isWhole(
        _ option: Option, in values: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    ) -> Bool {
        argument(before: linux_optind(), of: values).prefix { $0 != "=" } == "--\(option.name)"
    }

    private static func command(of words: [String]) throws(UsageError) -> Command? {
        guard let first = words.first else { return nil }
        guard let command = Command(rawValue: first) else {
            throw UsageError(message: "unknown command \(quoted(first))")
        }
        guard words.count == 1 else { throw UsageError(message: "unexpected argument \(quoted(words[1]))") }
        return command
    }

    private static func unknown(_ result: Int32, argument: String) -> UsageError {
        if result == UInt8(ascii: ":") { return UsageError(message: "option \(quoted(argument)) needs a value") }
        let short = UInt8(truncatingIfNeeded: linux_optopt())
        if short != 0, !argument.hasPrefix("--") {
            return UsageError(message: "unknown option \(quoted("-\(Character(UnicodeScalar(short)))"))")
        }
        // getopt_long gives a known option's number here when a value was given to one that takes none.
        if let option = Option(rawValue: linux_optopt()) {
            return UsageError(message: "option \(quoted("--\(option.name)")) takes no value")
        }
        return UsageError(message: "unknown option \(quoted(argument))")
    }

    private static func read(_ option: Option, into options: inout WatchOptions) throws(UsageError) {
        let bytes = linux_optarg().map {
            UnsafeBufferPointer(start: $0, count: strlen($0)).map(UInt8.init(bitPattern:))
        }
        let value = bytes ?? []
        let text = String(decoding: value, as: UTF8.self)
        do {
            switch option {
            case .duration: options.duration = try Duration(parsing: value).wholeNanoseconds
            case .interval: options.interval = try Duration(parsing: value).wholeNanoseconds
            case .namespace: try options.filter.addNamespaces(parsing: value)
            case .pod: try options.filter.addPods(parsing: value)
            case .container: try options.filter.addContainers(parsing: value)
            case .cgroup: try options.filter.addCgroups(parsing: value)
            case .pid: try options.filter.addPIDs(parsing: value)
            case .comm: try options.filter.addComms(parsing: value)
            case .dest: try options.filter.addDestinations(parsing: value)
            case .kind: try options.filter.addTypes(parsing: value)
            case .hostRoot: options.hostRoot = try absolute(text)
            case .names: options.names = try nonempty(text)
            case .node: options.node = try nonempty(text)
            case .probeMode: options.mode = try probeMode(text)
            case .btf: options.btf = try nonempty(text)
            case .each: options.each = true
            case .states: options.states = true
            case .verbose: options.verbose = true
            case .help, .version, .output: break
            }
        } catch let error as UsageError {
            throw UsageError(message: "--\(option.name): \(error.message)")
        } catch let error as OptionError {
            throw UsageError(message: "--\(option.name): \(error.message)")
        } catch {
            fatalError("unreachable: \(error)")
        }
    }

    private static func probeMode(_ text: String) throws(UsageError) -> ProbeMode {
        guard let mode = ProbeMode(rawValue: text) else {
            let modes = ProbeMode.allCases.map(\.rawValue).joined(separator: ", ")
            throw UsageError(message: "\(quoted(text)) is none of \(modes)")
        }
        return mode
    }

    private static func nonempty(_ text: String) throws(UsageError) -> String {
        guard !text.isEmpty else { throw UsageError(message: "empty value") }
        return text
    }

    private static func absolute(_ path: String) throws(UsageError) -> String {
        guard try nonempty(path).hasPrefix("/") else {
            throw UsageError(message: "\(quoted(path)) is not an absolute path: it begins with '/'")
        }
        return path
    }

    private static func text(of argument: UnsafeMutablePointer<CChar>?) -> String {
        argument.map { String(cString: $0) } ?? ""
    }

    /// An argument as a message shows it: control characters would reach the terminal.
    private static func quoted(_ text: String) -> String {
        "'\(String(text.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : Character($0) }))'"
    }
}
