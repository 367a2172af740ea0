/// What the lines of an interval say of owners and destinations.
struct NameCaches {
    var owners: OwnerCache
    var destinations: DestinationNames

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

    mutating func destination(of failure: borrowing Failure) -> DestinationNames.Entry {
        destinations.entry(for: failure.destination, failure.destinationPort)
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

    /// Addresses may have moved since they were looked up.
    mutating func forgetDestinations() {
        destinations.forget()
    }

    mutating func endInterval() {
        owners.endInterval()
    }
}
