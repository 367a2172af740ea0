/// What the lines of an interval say of owners, destinations and holders.
struct NameCaches {
    var owners: OwnerCache
    var destinations: DestinationNames
    private var holders: HolderLists

    init(_ sources: EventStream.Sources, addresses: NamedAddresses, filter: Filter, forTerminal: Bool) {
        owners = OwnerCache(
            paths: sources.cgroupPaths, owners: sources.owners, addresses: addresses, filter: filter,
            forTerminal: forTerminal)
        destinations = DestinationNames(owners: sources.owners, addresses: addresses, forTerminal: forTerminal)
        holders = HolderLists(census: sources.census, forTerminal: forTerminal)
    }

    /// The user's list of names.
    var addresses: NamedAddresses {
        get { owners.addresses }
        set {
            owners.addresses = newValue
            destinations.addresses = newValue
        }
    }

    mutating func owner(of failure: borrowing Failure) -> OwnerCache.Entry {
        owners.entry(for: failure.owner)
    }

    /// - Parameter time: of the first of the failures, CLOCK_MONOTONIC, nanoseconds; 0 unknown.
    mutating func destination(of failure: borrowing Failure, at time: UInt64) -> DestinationNames.Entry {
        destinations.entry(for: failure.destination, failure.destinationPort, at: time)
    }

    /// - Parameter time: of the failure, CLOCK_MONOTONIC, nanoseconds.
    mutating func holders(of failure: Failure, at time: UInt64) -> HolderLists.Entry {
        holders.entry(of: failure, at: time, owners: &owners)
    }

    /// Gives a packet's failure the owner that only the user's list knows: who has the address that an inbound flow
    /// was for, after destination NAT where there was one.
    func nameByAddress(_ failure: inout Failure) {
        guard failure.type.isConntrack, failure.direction == .inbound, !failure.hasOwner,
            let address = failure.backend?.address ?? failure.destination, addresses.pod(at: address) != nil,
            owners.isElsewhere(address)
        else { return }
        failure.attribution = .address
        failure.ownerAddress = address
    }

    mutating func endInterval() {
        owners.endInterval()
    }
}
