import Testing

@testable import PortTraceCore

@Suite struct BufferTests {
    @Test(
        arguments: [
            0, 1, 9, 10, 42, 99, 100, 999, 1_000, 9_999, 10_000, 12_345, 99_999, 100_000, 1_234_567_890, .max - 1, .max,
        ] as [UInt64])
    func numbers(_ number: UInt64) {
        #expect(written { $0.append(decimal: number) } == "\(number)")
        #expect(decimalDigits(number) == "\(number)".count)
    }

    @Test func powersOfTen() {
        var power: UInt64 = 1
        while true {
            for number in [power - 1, power, power + 1] {
                #expect(written { $0.append(decimal: number) } == "\(number)")
            }
            let (next, overflow) = power.multipliedReportingOverflow(by: 10)
            if overflow { break }
            power = next
        }
        #expect(written { $0.append(decimal: 7, digits: 9) } == "000000007")
        #expect(written { $0.append(decimal: 42, digits: 4) } == "0042")
    }

    /// Beside a plain array: random appends and consumes.
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func isAQueue(_ seed: UInt64) {
        var random = SplitMix(seed: seed)
        var buffer = OutputBuffer()
        var model: [UInt8] = []
        for _ in 0..<600 {
            let bytes = (0..<Int.random(in: 0...5_000, using: &random)).map { UInt8(truncatingIfNeeded: $0) }
            buffer.append(bytes)
            model += bytes
            let gone = Int.random(in: 0...min(model.count, 9_000), using: &random)
            buffer.consume(gone)
            model.removeFirst(gone)
            #expect(buffer.count == model.count)
            #expect(buffer.withBytes { $0.elementsEqual(model) })
        }
        buffer.consume(buffer.count)
        #expect(buffer.count == 0)
        buffer.append(Array(repeating: 1, count: 3_000_000))
        buffer.consume(3_000_000)
        buffer.append(byte: 5)
        #expect(buffer.withBytes { Array($0) } == [5])
    }
}
