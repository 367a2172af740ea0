/// Counts by group, for so many groups at most.
///
/// Not generic on purpose: all that a dump is grouped by fits one key, and one table is one piece of code.
struct GroupCounts {
    /// What tells a group from the others; unused words are 0.
    struct Key: Equatable {
        var first: IPAddress
        var second: IPAddress
        /// Small numbers, side by side.
        var rest: UInt64

        static let noAddress = IPAddress(ipv4: 0)

        init(_ first: IPAddress = noAddress, _ second: IPAddress = noAddress, rest: UInt64) {
            self.first = first
            self.second = second
            self.rest = rest
        }

        /// Spread by a seed of the process: addresses and ports are others' choice.
        @inline(__always)
        fileprivate var hash: Int {
            var hash = GroupCounts.seed ^ rest ^ UInt64(first.family.rawValue &<< 4 ^ second.family.rawValue) &<< 56
            // The words of IPv4 that are always 0 are left out.
            if first.high != 0 { hash = GroupCounts.mixed(hash, first.high) }
            if second.high != 0 { hash = GroupCounts.mixed(hash, ~second.high) }
            hash = GroupCounts.mixed(hash, first.low)
            hash = GroupCounts.mixed(hash, second.low)
            return Int(truncatingIfNeeded: hash)
        }
    }

    struct Group {
        var key: Key
        var count: UInt64 = 0
        /// Those of them that have something which the user of the table knows; or another number.
        var special: UInt64 = 0
        /// The lowest and the highest of a number that they have.
        var low = UInt16.max
        var high = UInt16.min
    }

    private static let seed = UInt64.random(in: .min ... .max)

    private let most: Int
    private(set) var groups: [Group] = []
    /// Indices of `groups` by hash, -1 where there is none; a power of two, at least half of them free.
    private var slots: [Int32]

    /// - Parameter most: Groups; 80 bytes each and 8 to 16 to find it.
    init(most: Int) {
        self.most = most
        slots = Array(repeating: -1, count: 64)
    }

    @inline(__always)
    private static func mixed(_ hash: UInt64, _ word: UInt64) -> UInt64 {
        let product = (hash ^ word).multipliedFullWidth(by: 0x9e37_79b9_7f4a_7c15)
        return product.high ^ product.low
    }

    /// Changes a group, which is made if it is new.
    ///
    /// - Returns: Its index; nil where it is new and there is no room for it.
    @inline(__always)
    mutating func update(_ key: Key, _ change: (inout Group) -> Void) -> Int? {
        var slot = key.hash & (slots.count - 1)
        while true {
            let index = Int(slots[slot])
            if index < 0 { break }
            if groups[index].key == key {
                change(&groups[index])
                return index
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        return insert(key, at: slot, change)
    }

    private mutating func insert(_ key: Key, at slot: Int, _ change: (inout Group) -> Void) -> Int? {
        guard groups.count < most else { return nil }
        var group = Group(key: key)
        change(&group)
        slots[slot] = Int32(groups.count)
        groups.append(group)
        if groups.count * 2 > slots.count { grow() }
        return groups.count - 1
    }

    /// The index of a group.
    func index(of key: Key) -> Int? {
        var slot = key.hash & (slots.count - 1)
        while true {
            let index = Int(slots[slot])
            if index < 0 { return nil }
            if groups[index].key == key { return index }
            slot = (slot + 1) & (slots.count - 1)
        }
    }

    private mutating func grow() {
        slots = Array(repeating: -1, count: slots.count * 2)
        for (index, group) in groups.enumerated() {
            var slot = group.key.hash & (slots.count - 1)
            while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = Int32(index)
        }
    }
}
