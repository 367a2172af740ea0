extension OutputBuffer {
    /// A whole number in decimal digits.
    @inline(__always)
    mutating func append(decimal number: UInt64) {
        if number < 10 {
            append(byte: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number))
        } else {
            append(decimal: number, digits: decimalDigits(number))
        }
    }

    /// A number with a decimal at most.
    mutating func append(tenths number: Double) {
        let tenths = UInt64((min(abs(number), 1e15) * 10).rounded())
        if number < 0, tenths > 0 { append(byte: UInt8(ascii: "-")) }
        append(decimal: tenths / 10)
        guard tenths % 10 > 0 else { return }
        append(byte: UInt8(ascii: "."))
        append(decimal: tenths % 10)
    }

    /// A rate: as tenths, below a tenth as millionths, so that a slow one is not written as none.
    mutating func append(rate: Double) {
        guard abs(rate) < 0.1 else { return append(tenths: rate) }
        var (rest, digits) = (UInt64((abs(rate) * 1_000_000).rounded()), 6)
        guard rest > 0 else { return append(byte: UInt8(ascii: "0")) }
        while rest % 10 == 0 { (rest, digits) = (rest / 10, digits - 1) }
        if rate < 0 { append(byte: UInt8(ascii: "-")) }
        append(byte: UInt8(ascii: "0"))
        append(byte: UInt8(ascii: "."))
        append(decimal: rest, digits: digits)
    }

    /// A whole number in exactly so many decimal digits, zeros in front.
    ///
    /// - Precondition: it has no more digits.
    mutating func append(decimal number: UInt64, digits: Int) {
        append(count: digits) { start in
            var rest = number
            var position = start + digits
            while position - start >= 2 {
                let (quotient, pair) = rest.quotientAndRemainder(dividingBy: 100)
                position -= 2
                position.copyMemory(from: digitPairs.utf8Start + Int(2 * pair), byteCount: 2)
                rest = quotient
            }
            if position > start {
                start.storeBytes(of: UInt8(ascii: "0") + UInt8(rest % 10), as: UInt8.self)
            }
        }
    }
}

/// Decimal digits of a number, 1 to 20.
func decimalDigits(_ number: UInt64) -> Int {
    var digits = 1
    var rest = number
    while rest >= 10_000 {
        rest /= 10_000
        digits += 4
    }
    return digits + (rest >= 1_000 ? 3 : rest >= 100 ? 2 : rest >= 10 ? 1 : 0)
}

/// The ASCII digit of a value from 0 to 15, lower case.
@inline(__always)
func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
}

/// "00" to "99".
private var digitPairs: StaticString {
    """
    0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
    5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899
    """
}
