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
            TopFacts(node: Array((options.node ?? NodeName.current()).utf8), kernel: kernel, hooks: watch.hooks),
            start: UInt64(KernelClock.monotonicNow()), clock: watch.stream.clock, filter: options.filter,
            cgroupPaths: watch.session.cgroupPaths, owners: watch.names, addresses: watch.stream.addresses,
            forTerminal: forTerminal)
    }

    func refresh(at time: UInt64) {
        node.facts.hooks = watch.hooks
        node.clock = watch.stream.clock
        node.refreshNames()
        if reloads != watch.reloads { node.addresses = watch.stream.addresses }
        reloads = watch.reloads
        node.failures(watch.stream.tallies, at: time)
    }
}
