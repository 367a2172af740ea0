internal import CPortTraceWire

/// A number that tells keys apart nearly always.
func hashValue(of key: pt_key) -> UInt64 {
    withUnsafeBytes(of: key) { bytes in
        var hash: UInt64 = 0
        for offset in stride(from: 0, to: MemoryLayout<pt_key>.size, by: 8) {
            hash = mixed(hash ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        return hash
    }
}

/// Spreads a number's bits over all of it (the finish of splitmix64).
func mixed(_ number: UInt64) -> UInt64 {
    var mixed = number &+ 0x9e37_79b9_7f4a_7c15
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
}

/// Whether two keys are the same in every byte.
func isSame(_ left: pt_key, _ right: pt_key) -> Bool {
    withUnsafeBytes(of: left) { left in
        withUnsafeBytes(of: right) { right in left.elementsEqual(right) }
    }
}
