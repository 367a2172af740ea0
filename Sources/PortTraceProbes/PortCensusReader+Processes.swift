internal import BPF
internal import CPortTraceWire
public import PortTraceCore

extension PortCensusReader {
    /// Resources that can be asked about at once.
    public static let mostSought = Int(PT_CENSUS_SOUGHT)
    /// Open files that are looked at, in millions: one takes a few tenths of a second.
    private static let mostMillions = 4

    /// Tells which processes have the open sockets that hold some resources: those that this process could see by their number.
    /// It takes about 0.3 µs for each open file on the machine.
    ///
    /// - Parameter resources: `ports` or `bind_ports`; the first ones, see ``mostSought``.
    /// - Returns: nil where the kernel has no iterator over open files.
    /// - Throws: ``ProbeError`` where the kernel refuses a call.
    public func processes(of resources: [Resource]) throws(ProbeError) -> SocketHolders? {
        guard let program = programs[.files] else { return nil }
        return try ProbeError.wrapping { () throws(BPFError) in
            try begin()
            var holders = SocketHolders(isComplete: try walkNamespaces())
            withUnsafeMutableBytes(of: &state.pointee.sought) { bytes in
                for (index, resource) in resources.prefix(Self.mostSought).enumerated() {
                    UnsafeMutableRawBufferPointer(rebasing: bytes[(index * Self.keySize)...])
                        .copyBytes(from: resource.censusKey)
                }
            }
            if try !BPF.Program.iterate(program, most: Self.mostMillions) { holders.isComplete = false }
            let uncounted = state.pointee.uncounted
            if uncounted.1 + uncounted.2 > 0 { holders.isComplete = false }
            try reader().read(owners, Self.each { holders.add(key: $0, value: $1) })
            try clear()
            return holders
        }
    }

    private static var keySize: Int { MemoryLayout<pt_census_key>.size }
}
