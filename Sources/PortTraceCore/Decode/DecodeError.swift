/// Why a record of the kernel cannot be read. Each means a bug: both sides are built from one header.
enum DecodeError: Error, Equatable {
    case size(Int, expected: Int)
    case kind(UInt8)
    case cause(UInt8)
    case tier(UInt8)
    case family(UInt8)
    case attribution(UInt8)
    case flags(UInt8)
    case states(UInt8)
    /// More samples than failures, or more failures than can be.
    case count(UInt64, sampled: UInt64)
}

extension DecodeError: CustomStringConvertible {
    var description: String {
        switch self {
        case .size(let found, let expected): "\(found) bytes where \(expected) were expected"
        case .kind(let value): "unknown kind \(value)"
        case .cause(let value): "cause \(value) does not belong to its kind"
        case .tier(let value): "unknown tier \(value)"
        case .family(let value): "unknown address family \(value)"
        case .attribution(let value): "attribution \(value) is unknown or does not fit the owner"
        case .flags(let value): "contradicting flags \(value)"
        case .states(let value): "unknown TCP states \(value)"
        case .count(let count, let sampled): "\(sampled) samples of \(count) failures"
        }
    }
}
