/// Whose the sockets are that the kernel tells no owner of: TIME_WAIT sockets made before the attach; and where containers are in
/// cgroup v1 the open ones.
///
/// - A namespace that is one pod's: they are that pod's.
/// - Open ones are nobody's otherwise.
/// - TIME_WAIT sockets are shared out as those are whose owner was seen, of the same resource: an owner who closes more now has
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
    ///   - rest: all that is without an owner.
    func holders(
        _ held: [HolderOwner: UInt64], of resource: Resource, closed: [HolderOwner: UInt64], unowned: UInt64,
        rest: UInt64
    ) -> [Holder] {
        var holders = held.map { Holder($0.key, count: $0.value) }
        if pods.contains(resource.namespace) {
            // A process whose cgroup is not known is of that pod too.
            for index in holders.indices where holders[index].owner.cgroupID == 0 {
                holders[index].owner.namespace = resource.namespace
            }
            if rest > 0 { holders.append(Holder(HolderOwner(namespace: resource.namespace), count: rest)) }
        } else {
            let shares = Self.shares(of: unowned, closed)
            for index in holders.indices {
                guard let share = shares[holders[index].owner], share > 0 else { continue }
                holders[index].count += share
                holders[index].isInferred = true
            }
        }
        return holders.sorted(by: Holder.isLarger)
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
