/// Which events pass: the filter options of a command line.
///
/// Within one option any value may match; different options must all match. An option that is not given lets
/// everything pass.
public struct Filter: Sendable {
    private var cgroups: [CgroupPattern] = []
    private var pids: [UInt32] = []
    private var comms: [Comm] = []
    private var destinations: [DestinationPattern] = []
    private var types: [EventType] = []
    private var namespaces: [NamePattern] = []
    private var pods: [PodPattern] = []
    private var containers: [NamePattern] = []

    /// A filter that lets everything pass.
    public init() {}

    /// Adds the values of a `--cgroup` option.
    ///
    /// - Throws: ``OptionError`` for an empty item or what is no path of a cgroup.
    public mutating func addCgroups(parsing list: some Collection<UInt8>) throws(OptionError) {
        for item in try listItems(list) { cgroups.append(try CgroupPattern(parsing: item)) }
    }

    /// Adds the values of a `--pid` option.
    ///
    /// - Throws: ``OptionError`` for an empty item or what is no process id.
    public mutating func addPIDs(parsing list: some Collection<UInt8>) throws(OptionError) {
        for item in try listItems(list) {
            guard let number = wholeNumber(item), number >= 1, number <= UInt64(Int32.max) else {
                throw OptionError(item, "is not a process id: a whole number from 1")
            }
            pids.append(UInt32(number))
        }
    }

    /// Adds the values of a `--comm` option.
    ///
    /// - Throws: ``OptionError`` for an empty item or a name longer than the kernel keeps (15 bytes).
    public mutating func addComms(parsing list: some Collection<UInt8>) throws(OptionError) {
        for item in try listItems(list) {
            guard item.count <= 15 else {
                throw OptionError(item, "can be no process's name: the kernel keeps the first 15 bytes")
            }
            comms.append(Comm(item))
        }
    }

    /// Adds the values of a `--dest` option.
    ///
    /// - Throws: ``OptionError`` for an empty item or what is no destination.
    public mutating func addDestinations(parsing list: some Collection<UInt8>) throws(OptionError) {
        for item in try listItems(list) { destinations.append(try DestinationPattern(parsing: item)) }
    }

    /// Adds the values of a `--kind` option.
    ///
    /// - Throws: ``OptionError`` for an empty item or what is no event type.
    public mutating func addTypes(parsing list: some Collection<UInt8>) throws(OptionError) {
        for item in try listItems(list) {
            guard let type = EventType.allCases.first(where: { item.elementsEqual("\($0.name)".utf8) }) else {
                let names = EventType.allCases.map { "\($0.name)" }.joined(separator: ", ")
                throw OptionError(item, "is not an event type: \(names)")
            }
            types.append(type)
        }
    }

    /// Adds the values of a `--namespace` option.
    ///
    /// - Throws: ``OptionError`` for an empty item or what no namespace can be named.
    public mutating func addNamespaces(parsing list: some Collection<UInt8>) throws(OptionError) {
        for item in try listItems(list) {
            guard NameKind.namespace.allows(item) else {
                throw OptionError(item, "can be no namespace's name: \(NameKind.namespace.rule)")
            }
            namespaces.append(NamePattern(name: item))
        }
    }

    /// Adds the values of a `--pod` option.
    ///
    /// - Throws: ``OptionError`` for an empty item or what no pod can be named.
    public mutating func addPods(parsing list: some Collection<UInt8>) throws(OptionError) {
        for item in try listItems(list) { pods.append(try PodPattern(parsing: item)) }
    }

    /// Adds the values of a `--container` option.
    ///
    /// - Throws: ``OptionError`` for an empty item or what no container can be named.
    public mutating func addContainers(parsing list: some Collection<UInt8>) throws(OptionError) {
        for item in try listItems(list) {
            guard NameKind.container.allows(item) else {
                throw OptionError(item, "can be no container's name: \(NameKind.container.rule)")
            }
            containers.append(NamePattern(name: item))
        }
    }

    /// Whether no option was given.
    public var isEmpty: Bool {
        cgroups.isEmpty && pids.isEmpty && comms.isEmpty && destinations.isEmpty && types.isEmpty && !asksForNames
    }

    /// Whether events of a type may pass, and whether `--kind` names it.
    public func allows(_ type: EventType) -> Bool { types.isEmpty || types.contains(type) }
    public func names(_ type: EventType) -> Bool { types.contains(type) }

    /// What the kernel needs to leave out changes of state that are rejected for certain.
    public var stateFilter: StateFilter { StateFilter(pids: pids, destinations: destinations) }

    /// Whether an option asks for a name of ``OwnerNames``.
    public var asksForNames: Bool {
        !namespaces.isEmpty || !pods.isEmpty || !containers.isEmpty
    }

    /// Whether an option asks for a process.
    public var asksForProcesses: Bool { !pids.isEmpty || !comms.isEmpty }

    /// Whether an option asks for something of an owner.
    private var asksForOwners: Bool { !cgroups.isEmpty || asksForProcesses || asksForNames }
}

/// What a filter says of an event.
enum Verdict: UInt8 {
    case pass
    case reject
    /// The event lacks a field that an option asks for, and no other option rejects it: it does not pass, and it
    /// might have been one that was asked for.
    case undecided

    /// Both of two options: a rejection settles it, whatever the other could not tell.
    @inline(__always)
    func and(_ other: Verdict) -> Verdict {
        if self == .reject || other == .reject { return .reject }
        return self == .pass && other == .pass ? .pass : .undecided
    }

    /// Either of two values of one option: one that passes settles it.
    func or(_ other: Verdict) -> Verdict {
        if self == .pass || other == .pass { return .pass }
        return self == .reject && other == .reject ? .reject : .undecided
    }

    init(_ matches: Bool) {
        self = matches ? .pass : .reject
    }
}

extension Filter {
    /// What the cgroup option says of a path; nil: it is not known.
    ///
    /// - Parameter hasV1: whether there are hierarchies of cgroup v1.
    func evaluate(cgroup path: [UInt8]?, hasV1: Bool = false) -> Verdict {
        if cgroups.isEmpty { return .pass }
        guard let path else { return .undecided }
        return Verdict(cgroups.contains { $0.matches(path, hasV1: hasV1) })
    }

    /// What the options for names say of an owner; nil, or without a name that one asks for: it is not known.
    func evaluate(names: OwnerNames?) -> Verdict {
        if !asksForNames { return .pass }
        guard let names else { return .undecided }
        var verdict = Verdict.pass
        if !namespaces.isEmpty { verdict = verdict.and(Filter.evaluate(names.namespace, namespaces)) }
        if !pods.isEmpty {
            verdict = pods.reduce(Verdict.reject) { sum, pattern in
                sum.or(pattern.evaluate(namespace: names.namespace, pod: names.pod))
            }.and(verdict)
        }
        if !containers.isEmpty { verdict = verdict.and(Filter.evaluate(names.container, containers)) }
        return verdict
    }

    private static func evaluate(_ name: [UInt8], _ patterns: [NamePattern]) -> Verdict {
        name.isEmpty ? .undecided : Verdict(patterns.contains { $0.matches(name) })
    }

    /// What all options say of a failure.
    ///
    /// - Parameters:
    ///   - type: what it is, or may turn out to be.
    ///   - owner: what ``evaluate(cgroup:)`` and ``evaluate(names:)`` said of its owner.
    func evaluate(_ failure: borrowing Failure, as type: EventType, owner: Verdict) -> Verdict {
        if isEmpty { return .pass }
        if !allows(type) { return .reject }
        let process = failure.process.map { HoldingProcess(pid: $0.pid, comm: $0.comm) }
        let port = failure.destinationPort
        let destination = failure.destination.map { Endpoint(address: $0, port: port) }
        return owner.and(evaluate(process)).and(evaluate(destination))
    }

    /// What all options but `--kind` say of one who holds a part of a resource.
    ///
    /// - Parameter owner: as for a failure.
    func evaluate(_ holder: Holder, of resource: Resource, owner: Verdict) -> Verdict {
        owner.and(evaluate(holder.owner.process)).and(evaluate(resource.destination))
    }

    /// What all options say of a resource: those about owners must all match one of its holders, or the pod that its
    /// namespace is, `--dest` its destination. Where part of it is nobody's, as far as is known, that may be whose was asked
    /// for.
    ///
    /// - Parameters:
    ///   - of: the types of events that it is about: any of them.
    ///   - owner: what ``evaluate(cgroup:hasV1:)`` and ``evaluate(names:)`` say of a holder.
    func evaluate(_ occupancy: Occupancy, types of: [EventType], owner: (HolderOwner) -> Verdict) -> Verdict {
        if isEmpty { return .pass }
        if !of.contains(where: allows) { return .reject }
        let destination = evaluate(occupancy.resource.destination)
        guard asksForOwners, destination != .reject else { return destination }
        let held = occupancy.holders.reduce(0) { $0 + $1.count }
        var verdict = held < occupancy.used || occupancy.holders.isEmpty ? Verdict.undecided : .reject
        let home = Holder(HolderOwner(namespace: occupancy.resource.namespace), count: 0)
        if evaluate(home, of: occupancy.resource, owner: owner(home.owner)) == .pass { verdict = .pass }
        for holder in occupancy.holders where verdict != .pass {
            verdict = verdict.or(evaluate(holder, of: occupancy.resource, owner: owner(holder.owner)))
        }
        return destination.and(verdict)
    }

    private func evaluate(_ process: HoldingProcess?) -> Verdict {
        if pids.isEmpty, comms.isEmpty { return .pass }
        guard let process else { return .undecided }
        return Verdict(
            (pids.isEmpty || pids.contains(process.pid)) && (comms.isEmpty || comms.contains(process.comm)))
    }

    private func evaluate(_ destination: Endpoint?) -> Verdict {
        if destinations.isEmpty { return .pass }
        guard let destination else { return .undecided }
        return destinations.reduce(.reject) { $0.or($1.evaluate(destination.address, port: destination.port)) }
    }
}
