/// What a failure's owner is known by; all empty: it has none.
struct OwnerKey: Hashable {
    /// The cgroup, as recorded; 0: none.
    var cgroupID: UInt64 = 0
    /// Where only the namespace is known that has its address.
    var namespace: NamespaceIdentity?
    /// Where only its address is known.
    var address: IPAddress?
    /// Where only that it is the host's own is known: that names nobody.
    var isHost = false
}
