// Fuzzes what is pure: decode, escape, both formats, the option parsers. soak [SECONDS [SEED]]
//
// Each round has a seed of its own, printed where something is found or crashes: `soak 0 SEED` runs that round alone.
import Glibc
import PortTraceCore

private let words = CommandLine.arguments.dropFirst()
private let arguments = words.compactMap { UInt64($0) }
guard arguments.count <= 2, arguments.count == words.count else {
    print("usage: soak [SECONDS [SEED]]    (60 seconds and a new seed; 0 seconds: the one round of that seed)")
    exit(2)
}
private let seconds = arguments.first ?? 60
private let firstSeed = arguments.dropFirst().first ?? UInt64.random(in: 0..<1 << 40)

private func runRound(_ seed: UInt64) throws(Finding) {
    var random = SplitMix(seed: seed)
    try knownRecordsRound(&random, records: 1_000)
    try wildRecordsRound(.ndjson, &random, records: 1_000)
    try wildRecordsRound(.text, &random, records: 1_000)
    try optionsRound(&random, values: 1_000)
}

do {
    print("soak: \(seconds) s from seed \(firstSeed)")
    fflush(nil)  // it is wanted after a crash
    try JSON.checkReader()
    let start = ContinuousClock.now
    var seed = firstSeed
    repeat {
        CrashNote.set("soak: crashed; reproduce with: Tests/soak/run 0 \(seed)\n")
        do {
            try runRound(seed)
        } catch {
            print("soak: FAILED: \(error.problem)\nsoak: reproduce with: Tests/soak/run 0 \(seed)")
            exit(1)
        }
        seed += 1
    } while ContinuousClock.now - start < .seconds(seconds)
    let rounds = seed - firstSeed
    print("soak: nothing found in \(rounds) rounds: \(rounds * 3_000) records, \(rounds * 1_000) values of each option")
} catch {
    print("soak: FAILED: \(error.problem)")
    exit(1)
}
