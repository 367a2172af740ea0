// Takes a census of ports for each line that it reads, and prints it as one JSON line: for Tests/kernel/census and
// Tests/bench. census-ports [processes]: processes are told apart.
import Glibc
import PortTraceCore
import PortTraceProbes

private func text(_ address: IPAddress) -> String {
    var bytes = address.family == .ipv4 ? [UInt8](repeating: 0, count: 4) : [UInt8](repeating: 0, count: 16)
    for index in bytes.indices {
        let word = index < 8 && bytes.count == 16 ? address.high : address.low
        bytes[index] = UInt8(truncatingIfNeeded: word >> UInt64(8 * ((bytes.count - 1 - index) % 8)))
    }
    var buffer = [CChar](repeating: 0, count: 64)
    inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &buffer, 64)
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}

private func text(_ holder: Holder) -> String {
    var fields = [#""cgroup":\#(holder.owner.cgroupID)"#, #""count":\#(holder.count)"#]
    if let namespace = holder.owner.namespace { fields.append(#""netns":\#(namespace.inode)"#) }
    if let process = holder.owner.process { fields.append(#""pid":\#(process.pid)"#) }
    if holder.isInferred { fields.append(#""inferred":true"#) }
    return "{\(fields.joined(separator: ","))}"
}

private func text(_ occupancy: Occupancy) -> String {
    let resource = occupancy.resource
    var fields = [
        #""kind":"\#(resource.kind.rawValue)""#, #""netns":\#(resource.namespace.inode)"#,
        #""proto":\#(resource.proto)"#, #""used":\#(occupancy.used)"#,
        #""holders":[\#(occupancy.holders.map(text).joined(separator: ","))]"#,
    ]
    if let limit = occupancy.limit { fields.append(#""limit":\#(limit)"#) }
    if let timeWait = occupancy.timeWait { fields.append(#""time_wait":\#(timeWait)"#) }
    if let source = resource.source { fields.append(#""src":"\#(text(source))""#) }
    if let destination = resource.destination {
        fields.append(#""dst":"\#(text(destination.address))","port":\#(destination.port)"#)
    }
    return "{\(fields.joined(separator: ","))}"
}

private func text(_ namespace: NamespaceCensus) -> String {
    """
    {"netns":\(namespace.id.inode),"host":\(namespace.isHost),"range":[\(namespace.portRange.low),\
    \(namespace.portRange.high)],"reserved":\(namespace.reservedPorts),"bound":\(namespace.boundPorts),\
    "usable":\(namespace.usablePorts),"below":\(namespace.listenerBelow),"above":\(namespace.listenerAbove),\
    "time_wait":\(namespace.timeWait),"time_wait_limit":\(namespace.timeWaitLimit),\
    "time_wait_reuse":\(namespace.timeWaitReuse),"timestamps":\(namespace.timestamps),\
    "tcp":\(namespace.tcpSockets),"udp":\(namespace.udpSockets)}
    """
}

private func nanoseconds(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

do {
    let session = try ProbeSession(
        ProbeSession.Configuration(
            mode: .auto, btf: nil, each: false, ringSize: 256 << 10, tables: 1_024, verbose: false))
    guard let ports = session.ports else {
        print("the kernel refuses the census")
        exit(1)
    }
    print("ready")
    fflush(nil)
    while readLine() != nil {
        let (begun, cpu) = (nanoseconds(CLOCK_MONOTONIC), nanoseconds(CLOCK_PROCESS_CPUTIME_ID))
        let census = try ports.take(processes: CommandLine.arguments.dropFirst().first == "processes")
        let taken = nanoseconds(CLOCK_MONOTONIC) - begun
        let gaps = census.notVisible.map { "\"\($0.words)\"" }.joined(separator: ",")
        print(
            """
            {"ns":\(taken),"cpu_ns":\(nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu),"not_visible":[\(gaps)],\
            "namespaces":[\(census.namespaces.map(text).joined(separator: ","))],\
            "occupancies":[\(census.occupancies.map(text).joined(separator: ","))]}
            """)
        fflush(nil)
    }
    session.close()
} catch {
    print("\(error)")
    exit(1)
}
