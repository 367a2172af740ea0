extension OwnerNames {
    /// What a cgroup's path says.
    init(_ owner: CgroupOwner) {
        podUID = owner.podUID
        runtime = owner.runtime
        containerID = owner.containerID
        unit = owner.unit
    }

    /// What a container's state on disk says.
    public init(_ record: ContainerRecord) {
        namespace = record.namespace
        pod = record.pod
        podUID = record.podUID
        container = record.container
        runtime = record.runtime
        containerID = record.id
        image = record.image
    }

    /// A pod's.
    public init(_ names: PodNames?, uid: [UInt8]) {
        (namespace, pod, podUID) = (names?.namespace ?? [], names?.pod ?? [], uid)
    }

    /// Adds what is not known yet; what contradicts is of somebody else, and nothing of it is taken.
    ///
    /// - Returns: Whether it was of the same owner.
    mutating func complete(by other: OwnerNames) -> Bool {
        func contradict(_ mine: [UInt8], _ others: [UInt8]) -> Bool {
            !mine.isEmpty && !others.isEmpty && mine != others
        }
        if contradict(podUID, other.podUID) || contradict(containerID, other.containerID) { return false }
        let mine = self
        self = other
        if podUID.isEmpty { podUID = mine.podUID }
        if containerID.isEmpty { containerID = mine.containerID }
        runtime = mine.runtime ?? runtime
        // It is a container, then.
        unit = runtime == nil ? mine.unit : []
        return true
    }

    /// The pod's alone, without the container.
    var ofPod: OwnerNames {
        var names = OwnerNames()
        (names.namespace, names.pod, names.podUID) = (namespace, pod, podUID)
        return names
    }
}
