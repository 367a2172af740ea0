/// A network namespace, told from every other one also when its inode is used again.
public struct NamespaceIdentity: Hashable, Sendable {
    public var inode: UInt32
    /// `net->hash_mix`, which the kernel draws for each namespace (setup_net(), net/core/net_namespace.c).
    public var mix: UInt32

    public init(inode: UInt32, mix: UInt32) {
        self.inode = inode
        self.mix = mix
    }
}
