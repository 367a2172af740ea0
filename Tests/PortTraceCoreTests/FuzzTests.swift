import CPortTraceWire
import Foundation
import Testing

@testable import PortTraceCore

/// Decodes and writes random records: nothing crashes, every line is whole, valid JSON or safe text.
///
/// Records are a valid one with some bytes changed, or random bytes of any length.
func fuzz(seed: UInt64, iterations: Int) throws {
    var random = SplitMix(seed: seed)
    let paths = Paths([:])
    for id in UInt64(0)..<256 {
        paths.paths[id] = [UInt8(ascii: "/")] + randomBytes(Int.random(in: 0...80, using: &random), &random)
    }
    var filter = Filter()
    if Bool.random(using: &random) {
        try filter.addDestinations(parsing: ":8080,10.0.0.0/8,::/1".utf8)
        try filter.addComms(parsing: "nginx".utf8)
    }
    for format in [OutputFormat.ndjson, .text] {
        let test = TestStream(format, each: Bool.random(using: &random), filter: filter, paths: paths)
        for iteration in 0..<iterations {
            if Bool.random(using: &random) {
                changed(pt_sample.example.bytes, &random).withUnsafeBytes { test.stream.sample($0) }
            } else {
                changed(pt_key.example.bytes, &random).withUnsafeBytes { key in
                    changed(pt_count.example.bytes, &random).withUnsafeBytes { value in
                        test.stream.row(key: key, value: value, generation: UInt32.random(in: 6...8, using: &random))
                    }
                }
            }
            if iteration % 500 == 499 {
                test.stream.clock.utcOffsetNanoseconds = Int64(bitPattern: random.next())
                test.stream.lost(.ring, count: random.next(), at: Int64(bitPattern: random.next()))
                test.stream.endFlush(generation: UInt32.random(in: 6...8, using: &random))
                try checkLines(test, format)
            }
        }
        test.stream.endFlush(generation: 8)
        test.stream.finish(SessionFacts(hooks: [("a\"\u{1b}", "b\\\n")], attachedTypes: []), at: .min)
        try checkLines(test, format)
    }
}

private struct Unsafe: Error { var line: String }

private func checkLines(_ test: TestStream, _ format: OutputFormat) throws {
    let bytes = test.stream.withPendingBytes { Array($0) }
    let text = test.take()
    // Valid UTF-8: nothing was repaired.
    guard Array(text.utf8) == bytes, text.isEmpty || text.hasSuffix("\n") else { throw Unsafe(line: text) }
    for line in text.split(separator: "\n") {
        if line.unicodeScalars.contains(where: { isHazardous($0.value) }) { throw Unsafe(line: String(line)) }
        if format == .ndjson { _ = try LineSums.object(String(line)) }
    }
}

private func changed(_ bytes: [UInt8], _ random: inout SplitMix) -> [UInt8] {
    if Int.random(in: 0...19, using: &random) == 0 {
        return randomBytes(Int.random(in: 0...150, using: &random), &random)
    }
    var bytes = bytes
    for _ in 0..<Int.random(in: 0...6, using: &random) {
        let value: UInt8 =
            [0, 1, 0x7f, 0x80, 0xff, UInt8.random(in: 0...255, using: &random)].randomElement(using: &random) ?? 0
        bytes[Int.random(in: bytes.indices, using: &random)] = value
    }
    return bytes
}

private func randomBytes(_ count: Int, _ random: inout SplitMix) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
}

/// Random option values: an answer or an error, and a message that is safe on a terminal.
func fuzzOptions(seed: UInt64, iterations: Int) throws {
    var random = SplitMix(seed: seed)
    let alphabet = Array("0123456789abcdefsmh:./[],-% \u{1b}".utf8) + [0xff]
    for _ in 0..<iterations {
        let text = (0..<Int.random(in: 0...24, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 0 }
        var filter = Filter()
        for parse in [
            { try filter.addDestinations(parsing: text) }, { try filter.addCgroups(parsing: text) },
            { try filter.addPIDs(parsing: text) }, { try filter.addTypes(parsing: text) },
            { _ = try Duration(parsing: text) },
        ] {
            do {
                try parse()
            } catch let error as OptionError {
                if error.message.unicodeScalars.contains(where: { isHazardous($0.value) }) {
                    throw Unsafe(line: error.message)
                }
            }
        }
    }
}

@Suite struct FuzzTests {
    @Test(arguments: 1...4 as ClosedRange<UInt64>) func records(_ seed: UInt64) throws {
        try fuzz(seed: seed, iterations: 5_000)
    }

    @Test func options() throws {
        try fuzzOptions(seed: 1, iterations: 20_000)
    }

    /// For `make soak`: new seeds for as many seconds as PORTTRACE_FUZZ_SECONDS says.
    @Test(.enabled(if: FuzzTests.seconds > 0)) func soak() throws {
        let end = ContinuousClock.now + .seconds(FuzzTests.seconds)
        var seed = UInt64(Date().timeIntervalSince1970)
        while ContinuousClock.now < end {
            do {
                try fuzz(seed: seed, iterations: 5_000)
                try fuzzOptions(seed: seed, iterations: 5_000)
            } catch {
                Issue.record("seed \(seed): \(error)")
                return
            }
            seed += 1
        }
    }

    private static var seconds: Int {
        ProcessInfo.processInfo.environment["PORTTRACE_FUZZ_SECONDS"].flatMap { Int($0) } ?? 0
    }
}
