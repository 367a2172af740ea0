/// Whose the TIME_WAIT sockets are that the kernel tells no owner of: those made before the attach.
///
/// - A namespace all of whose sockets with an owner are one pod's: they are that pod's.
/// - Else they are shared out as those are whose owner was seen, of the same resource: an owner who closes more now has
///   closed more before. That is concluded, and marked so.
/// - Where none was seen they stay nobody's.
struct TimeWaitShares {
    /// Namespaces that are one pod's alone.
    private var pods: Set<NamespaceIdentity> = []

    /// - Parameters:
    ///   - namespaces: Those that may be a pod's.
    ///   - owners: Who has sockets in each.
    init(
        namespaces: [NamespaceIdentity], owners: [NamespaceIdentity: Set<HolderOwner>],
        _ isOnePods: (NamespaceIdentity, Set<HolderOwner>) -> Bool
    ) {
        for namespace in namespaces where isOnePods(namespace, owners[namespace] ?? []) { pods.insert(namespace) }
    }

    /// The holders of a resource, largest first.
    ///
    /// - Parameters:
    ///   - held: What each owner is known to hold, TIME_WAIT or not.
    ///   - closed: Those of it that are in TIME_WAIT.
    ///   - unowned: TIME_WAIT sockets without an owner.
    func holders(
        _ held: [HolderOwner: UInt64], of resource: Resource, closed: [HolderOwner: UInt64], unowned: UInt64
    ) -> [Holder] {
        var holders = held.map { Holder($0.key, count: $0.value) }
        if unowned > 0, pods.contains(resource.namespace) {
            holders.append(Holder(HolderOwner(namespace: resource.namespace), count: unowned))
        } else {
            let shares = Self.shares(of: unowned, closed)
            for index in holders.indices {
                guard let share = shares[holders[index].owner], share > 0 else { continue }
                holders[index].count += share
                holders[index].isInferred = true
            }
        }
        return holders.sorted {
            ($0.count, $1.owner.cgroupID, $1.owner.process?.pid ?? 0)
                > ($1.count, $0.owner.cgroupID, $0.owner.process?.pid ?? 0)
        }
    }

    /// Shares out a number in the proportion of weights, rounded down: what is left by that is nobody's.
    private static func shares(of number: UInt64, _ weights: [HolderOwner: UInt64]) -> [HolderOwner: UInt64] {
        let sum = weights.values.reduce(0, +)
        guard number > 0, sum > 0 else { return [:] }
        return weights.mapValues { weight in
            let product = number.multipliedFullWidth(by: weight)
            return sum.dividingFullWidth(product).quotient
        }
    }
}
