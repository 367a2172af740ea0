import CPortTraceWire
import Glibc
import PortTraceProbes

let session: ProbeSession
do {
    session = try ProbeSession(
        .init(mode: ProbeMode(rawValue: CommandLine.arguments[1])!, btf: nil, each: false, ringSize: 1 << 20, verbose: CommandLine.arguments.count > 2)
    ) { bytes in
        let s = bytes.load(as: pt_sample.self)
        print("sample", s.key.kind, s.key.tgid, s.key.netns_id, s.key.family, s.key.src_addr.0, s.key.dst_addr.0, s.key.dst_addr.3, s.key.dst_port_be16.byteSwapped, s.key.error, s.detail.port_low, s.detail.port_high, s.key.cgroup_id)
        return true
    }
} catch {
    print(error)
    exit(1)
}
print(session.states.map { "\($0.hook.rawValue)=\($0.text)" })
let end = time(nil) + 6
while time(nil) < end {
    usleep(500_000)
    try session.records.readSamples()
    if session.records.hasCounts {
        let g = try session.records.switchGeneration()
        try session.records.readSamples()
        try session.records.drain(generation: g) { k, v, n in
            for i in 0..<n {
                let key = (k + i * 72).load(as: pt_key.self)
                let value = (v + i * 64).load(as: pt_count.self)
                print("row", key.kind, key.tgid, key.flags, value.count, value.sampled, String(decoding: session.cgroupPaths.path(ofCgroup: key.cgroup_id) ?? [], as: UTF8.self))
            }
        }
    }
}
print(try session.missedRuns())
