@testable import PortTraceCore

extension Filter {
    /// A filter as `comm nginx pod shop/*` gives it: names of options, each with its list.
    init(_ options: String) throws {
        self.init()
        var words = options.split(separator: " ")[...]
        while let option = words.popFirst(), let list = words.popFirst() {
            switch option {
            case "cgroup": try addCgroups(parsing: list.utf8)
            case "comm": try addComms(parsing: list.utf8)
            case "dest": try addDestinations(parsing: list.utf8)
            case "kind": try addTypes(parsing: list.utf8)
            case "namespace": try addNamespaces(parsing: list.utf8)
            case "pid": try addPIDs(parsing: list.utf8)
            case "pod": try addPods(parsing: list.utf8)
            default: fatalError("no such option: \(option)")
            }
        }
    }
}
