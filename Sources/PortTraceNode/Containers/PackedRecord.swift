internal import PortTraceCore

/// A record as it is kept: its names in one block.
struct PackedRecord {
    private let names: [UInt8]
    private let ends: (UInt16, UInt16, UInt16, UInt16, UInt16, UInt16, UInt16)
    let runtime: ContainerRuntime?
    let isSandbox: Bool
    let source: ContainerRecord.Source

    init(_ record: ContainerRecord) {
        var names: [UInt8] = []
        names.reserveCapacity(
            record.namespace.count + record.pod.count + record.podUID.count + record.container.count
                + record.image.count + record.name.count + record.netnsPath.count)
        // All of them together are shorter than 6 KiB, see NameLimit.
        func add(_ name: [UInt8]) -> UInt16 {
            names += name
            return UInt16(names.count)
        }
        ends = (
            add(record.namespace), add(record.pod), add(record.podUID), add(record.container), add(record.image),
            add(record.name), add(record.netnsPath)
        )
        self.names = names
        runtime = record.runtime
        isSandbox = record.isSandbox
        source = record.source
    }

    var byteCount: Int { names.count }
    var podUID: [UInt8] { part(ends.1, ends.2) }
    var podNames: PodNames { PodNames(namespace: part(0, ends.0), pod: part(ends.0, ends.1)) }
    var hasPod: Bool { ends.0 > 0 && ends.1 > ends.0 }

    func record(_ id: ContainerID) -> ContainerRecord {
        var record = ContainerRecord(id: id.digits, runtime: runtime, source: source)
        record.namespace = part(0, ends.0)
        record.pod = part(ends.0, ends.1)
        record.podUID = part(ends.1, ends.2)
        record.container = part(ends.2, ends.3)
        record.image = part(ends.3, ends.4)
        record.name = part(ends.4, ends.5)
        record.netnsPath = part(ends.5, ends.6)
        record.isSandbox = isSandbox
        return record
    }

    private func part(_ start: UInt16, _ end: UInt16) -> [UInt8] { Array(names[Int(start)..<Int(end)]) }
}
