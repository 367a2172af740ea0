// Plays a node of numbers on the terminal, through the same layers as `porttrace top`:
// replayed-top [--resources N] [--hostile] [--tick MS] [--from TICK] [--to TICK] [--end throw|crash|time] [--report FILE]
// From one tick to another, and then as --end says; without it the last picture stays. FILE has the microseconds of CPU time
// that a picture took.
import CLinux
import Glibc
import PortTraceCore
import PortTraceTerminal
import ReplayedNode

private struct Stage: Error {}

private func value(of name: String, default standard: Int) -> Int {
    text(of: name).flatMap { Int($0) } ?? standard
}

private func text(of name: String) -> String? {
    CommandLine.arguments.firstIndex(of: name).map { CommandLine.arguments[$0 + 1] }
}

private func cpuNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

private func play() throws {
    let source = ReplayedNode(
        resources: value(of: "--resources", default: 8), isHostile: CommandLine.arguments.contains("--hostile"))
    let (from, to) = (value(of: "--from", default: 0), value(of: "--to", default: 1_000_000))
    let tick = Int32(value(of: "--tick", default: 1_000))
    let display = try TopDisplay(
        wantsColour: (getenv("NO_COLOR").map { $0.pointee } ?? 0) == 0, stops: [SIGINT, SIGTERM, SIGHUP])
    defer { display.close() }
    var picture = source.picture(tick: 0)
    for number in 0..<from { picture = source.picture(tick: UInt64(number + 1)) }
    try display.open(source.node, picture)
    var (number, used, pictures) = (from, UInt64(0), UInt64(0))
    while true {
        var polled = display.polled
        let isOver = number >= to
        let come = poll(&polled, nfds_t(polled.count), isOver && text(of: "--end") == nil ? -1 : tick)
        guard display.update() else { break }
        if come != 0 { continue }
        if isOver {
            switch text(of: "--end") {
            case "throw": throw Stage()
            case "crash": fatalError("as was asked for")
            default: return report(used, pictures)
            }
        }
        number += 1
        let start = cpuNanoseconds()
        display.show(source.picture(tick: UInt64(number)))
        used += cpuNanoseconds() - start
        pictures += 1
    }
}

private func report(_ used: UInt64, _ pictures: UInt64) {
    guard let path = text(of: "--report"), let file = fopen(path, "w") else { return }
    fputs("\(used / max(pictures, 1) / 1_000)\n", file)
    fclose(file)
}

do {
    try play()
} catch {
    print("replayed-top: \(error)")
    exit(1)
}
