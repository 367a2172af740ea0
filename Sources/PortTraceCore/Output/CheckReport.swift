/// A verdict, ready to be written: what `porttrace check` prints.
public struct CheckReport {
    /// What standard output carries: the value of `check`'s `--output`.
    public enum Format: Equatable, Sendable {
        /// For a person.
        case text
        /// One document.
        case json

        /// Reads the option's value.
        ///
        /// - Throws: ``OptionError`` for any other word.
        public init(parsing text: some Collection<UInt8>) throws(OptionError) {
            if text.elementsEqual("text".utf8) {
                self = .text
            } else if text.elementsEqual("json".utf8) {
                self = .json
            } else {
                throw OptionError(text, "is not an output format of check: text or json")
            }
        }
    }

    public let diagnosis: NodeDiagnosis
    /// All that is to be written.
    public let bytes: [UInt8]

    /// Judges a sample and writes the verdict.
    ///
    /// - Parameters:
    ///   - node: the node's name; empty: none.
    ///   - time: of the verdict, UTC in nanoseconds.
    ///   - addresses: `--names`.
    public init(
        _ sample: NodeSample, _ format: Format, node: [UInt8], time: Int64, paths: any CgroupPathSource,
        owners: any OwnerSource, addresses: NamedAddresses = NamedAddresses()
    ) {
        let naming = OwnerNaming(paths: paths, owners: owners, addresses: addresses)
        diagnosis = NodeDiagnosis(sample, name: naming.name)
        var buffer = OutputBuffer()
        switch format {
        case .text: CheckText(name: naming.name).append(diagnosis, to: &buffer)
        case .json:
            var document = CheckDocument(
                node: node, time: time,
                owners: OwnerCache(
                    paths: paths, owners: owners, addresses: addresses, filter: Filter(), forTerminal: false),
                destinations: DestinationNames(owners: owners, addresses: addresses, forTerminal: false))
            document.append(diagnosis, to: &buffer)
        }
        bytes = buffer.withBytes { Array($0) }
    }
}

/// Owners' names for sentences.
private final class OwnerNaming {
    private var cache: OwnerCache

    init(paths: any CgroupPathSource, owners: any OwnerSource, addresses: NamedAddresses) {
        cache = OwnerCache(paths: paths, owners: owners, addresses: addresses, filter: Filter(), forTerminal: true)
    }

    /// `shop/checkout/app nginx[4711]`, or as much as is known; safe on a terminal.
    func name(_ owner: HolderOwner) -> String {
        TextLayout.owner(
            cache.entry(for: owner.key), comm: owner.process?.comm, pid: owner.process?.pid, isKernels: false
        ).string
    }
}
