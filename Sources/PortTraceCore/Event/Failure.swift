/// One failure, or several of one key: what the kernel's record says, in types.
struct Failure {
    var type: EventType
    var folding: Folding
    /// What saw it; nil only where the map was full.
    var probe: Probe?
    /// The owner is the socket's creator: a kernel thread failed.
    var ownerIsCreator: Bool
    /// The cgroup's id in the cgroup2 hierarchy; 0 unknown.
    var cgroupID: UInt64
    /// The inode of the socket's network namespace; 0 unknown.
    var netnsID: UInt32
    /// The errno that the caller gets, positive; 0 unknown.
    var error: UInt16
    /// `IPPROTO_*`; 0 unknown.
    var proto: UInt8
    var family: IPFamily?
    var source: IPAddress?
    /// In host byte order; 0: none was assigned.
    var sourcePort: UInt16
    var destination: IPAddress?
    /// In host byte order; 0: the protocol has none.
    var destinationPort: UInt16
    /// The failing process; nil for a kernel thread and where the map was full.
    var process: FailingProcess?
    /// The ports in force; nil unknown.
    var portRange: PortRange?
}

/// Ports from `low` to `high`, both ends included.
struct PortRange: Equatable {
    var low: UInt16
    var high: UInt16
}

/// The process that failed, as seen from the initial namespaces.
struct FailingProcess: Equatable {
    var pid: UInt32
    /// The failing thread; 0 unknown.
    var tid: UInt32
    /// The real user id.
    var uid: UInt32
    var comm: Comm
}
