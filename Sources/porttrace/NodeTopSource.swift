import Glibc
import PortTraceCore
import PortTraceNode
import PortTraceProbes

/// This node, as `top` shows it.
final class NodeTopSource: TopSource {
    let node: TopNode
    private let watch: NodeWatch
    private var reloads = 0

    init(_ watch: NodeWatch, forTerminal: Bool) {
        self.watch = watch
        let options = watch.options
        var system = utsname()
        uname(&system)
        let kernel = withUnsafeBytes(of: system.release) { Array($0.prefix { $0 != 0 }) }
        node = TopNode(
            TopFacts(
                node: Array((options.node ?? NodeName.current()).utf8), kernel: kernel, hooks: Self.hooks(of: watch)),
            start: UInt64(KernelClock.monotonicNow()), clock: watch.stream.clock, filter: options.filter,
            cgroupPaths: watch.session.cgroupPaths, owners: watch.names, addresses: watch.stream.addresses,
            forTerminal: forTerminal)
    }

    func refresh(at time: UInt64) {
        node.facts.hooks = Self.hooks(of: watch)
        node.clock = watch.stream.clock
        node.refreshNames()
        if reloads != watch.reloads { node.addresses = watch.stream.addresses }
        reloads = watch.reloads
        node.failures(watch.stream.tallies, at: time)
        let census = watch.census
        census.refresh(for: node)
        for look in census.takeLooks(at: time) {
            node.look(look.occupancies, at: look.time, covers: look.covers)
            switch look.sort {
            case .ports: takePorts()
            case .tables:
                let tables = look.occupancies
                node.facts.conntrack = tables.isEmpty ? nil : (tables.reduce(0) { $0 + $1.used }, tables[0].limit)
            case .translations:
                node.destinations = Dictionary(
                    census.tables.map { ($0.namespace, $0.destinations) }, uniquingKeysWith: { first, _ in first })
            }
        }
        node.facts.notVisible =
            (census.portsRefusal.map { ["who holds the ports: \($0)"] } ?? [])
            + ((census.ports?.notVisible ?? []) + census.notVisible).map { "\($0.what): \($0.why)" }
    }

    /// Changes of state are no failures: nobody asks for their hook here.
    private static func hooks(of watch: NodeWatch) -> [(hook: String, tier: String)] {
        watch.hooks.filter { $0.hook != Hook.states.rawValue }
    }

    private func takePorts() {
        guard let ports = watch.census.ports else { return }
        node.facts.sockets = TopSockets(of: ports)
        if let host = ports.namespaces.first(where: { $0.isHost }) { node.facts.hostNamespace = host.id.inode }
    }
}
