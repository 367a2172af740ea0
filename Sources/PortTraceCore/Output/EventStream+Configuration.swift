extension EventStream {
    /// How events are shown.
    public struct Configuration: Sendable {
        /// nil: nothing is shown, failures are only counted: see ``EventStream/tallies``.
        public var format: OutputFormat?
        /// Whether text may be bright.
        public var colour: Bool
        /// The node's name; empty: not known.
        public var node: [UInt8]
        /// Every failure is sampled, and shown by itself.
        public var each: Bool
        public var filter: Filter

        public init(
            format: OutputFormat?, colour: Bool = false, node: [UInt8], each: Bool = false, filter: Filter = Filter()
        ) {
            self.format = format
            self.colour = colour
            self.node = node
            self.each = each
            self.filter = filter
        }
    }

    /// Where it learns what no record says.
    public struct Sources {
        public var cgroupPaths: any CgroupPathSource
        public var owners: any OwnerSource
        /// Is asked about clashes of source NAT.
        public var clashes: any NATClashReader
        /// Knows who holds what.
        public var census: any CensusSource

        public init(
            cgroupPaths: any CgroupPathSource, owners: any OwnerSource, clashes: any NATClashReader,
            census: any CensusSource
        ) {
            self.cgroupPaths = cgroupPaths
            self.owners = owners
            self.clashes = clashes
            self.census = census
        }
    }
}
