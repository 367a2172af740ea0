internal import CPortTraceWire
import Testing

@testable import PortTraceProbes

struct TableCountsTests {
    /// One CPU's part: drop and insert_failed of base, last, flushed and unclaimed.
    private func cpu(
        base: (UInt32, UInt32) = (0, 0), last: (UInt32, UInt32), flushed: (UInt32, UInt32),
        unclaimed: (UInt32, UInt32) = (0, 0), netnsID: UInt32 = 7
    ) -> pt_table {
        func counters(_ pair: (UInt32, UInt32)) -> pt_counters {
            var counters = pt_counters()
            (counters.drop, counters.insert_failed) = pair
            return counters
        }
        var table = pt_table()
        (table.base, table.last) = (counters(base), counters(last))
        (table.flushed, table.unclaimed) = (counters(flushed), counters(unclaimed))
        table.netns_id = netnsID
        return table
    }

    @Test func unclaimedIsToldOnce() {
        var told = TableCounts.Told()
        let counts = TableCounts([
            cpu(last: (5, 0), flushed: (6, 0), unclaimed: (2, 0)),
            cpu(last: (1, 0), flushed: (1, 0), unclaimed: (1, 0)),
        ])
        #expect(counts.unclaimed(since: &told, isFinal: false) == UnclaimedFailures(netnsID: 7, tableFull: 3))
        #expect(counts.unclaimed(since: &told, isFinal: false).isNone)
        // What is ahead of the claims counts when nobody can claim it any more.
        #expect(counts.unclaimed(since: &told, isFinal: true) == UnclaimedFailures(netnsID: 7, tableFull: 1))
        #expect(counts.unclaimed(since: &told, isFinal: true).isNone)
    }

    @Test func claimsAheadOfTheWalkAreNoFailures() {
        var told = TableCounts.Told()
        let counts = TableCounts([cpu(base: (2, 2), last: (9, 4), flushed: (7, 3))])
        #expect(counts.unclaimed(since: &told, isFinal: true).isNone)
        #expect(counts.movement == ConntrackMovement(netnsID: 7, drop: 7, insertFailed: 2))
    }

    @Test func overflowsAreNoDrops() {
        var told = TableCounts.Told()
        var table = cpu(last: (0, 0), flushed: (0, 0))
        (table.base.tw_overflow, table.last.tw_overflow) = (2, 7)
        (table.flushed.tw_overflow, table.unclaimed.tw_overflow) = (9, 4)
        let counts = TableCounts([table])
        #expect(
            counts.unclaimed(since: &told, isFinal: false) == UnclaimedFailures(netnsID: 7, timeWaitOverflow: 4))
        #expect(counts.unclaimed(since: &told, isFinal: true) == UnclaimedFailures(netnsID: 7, timeWaitOverflow: 2))
        #expect(counts.movement == ConntrackMovement(netnsID: 7, timeWaitOverflow: 7))
    }

    @Test func aClashCountsAsBoth() {
        var told = TableCounts.Told()
        let counts = TableCounts([cpu(last: (5, 3), flushed: (5, 3), unclaimed: (5, 3))])
        #expect(
            counts.unclaimed(since: &told, isFinal: false) == UnclaimedFailures(netnsID: 7, tableFull: 2, race: 3))
    }

    @Test func chainsAndDyingEntriesAreNoDrops() {
        var told = TableCounts.Told()
        var table = cpu(last: (1, 6), flushed: (1, 6), unclaimed: (1, 6))
        table.unclaimed.chain_too_long = 3
        #expect(
            TableCounts([table]).unclaimed(since: &told, isFinal: false)
                == UnclaimedFailures(netnsID: 7, race: 1, chainTooLong: 3, dying: 2))
    }

    @Test func countersWrap() {
        var told = TableCounts.Told()
        let counts = TableCounts([cpu(base: (.max - 1, 0), last: (1, 0), flushed: (3, 0))])
        #expect(counts.movement.drop == 5)
        #expect(counts.unclaimed(since: &told, isFinal: true).tableFull == 2)
    }

    @Test func evictionsOfOneCPUClaimedOnAnother() {
        var told = TableCounts.Told()
        var counting = cpu(last: (0, 0), flushed: (0, 0))
        counting.flushed.early_drop = 4
        var claiming = cpu(last: (0, 0), flushed: (0, 0))
        claiming.last.early_drop = 3
        let counts = TableCounts([counting, claiming])
        // It may be claimed until the next time.
        #expect(counts.unclaimed(since: &told, isFinal: false).isNone)
        #expect(counts.unclaimed(since: &told, isFinal: false) == UnclaimedFailures(netnsID: 7, evicted: 1))
        #expect(counts.unclaimed(since: &told, isFinal: true).isNone)
        #expect(counts.movement.earlyDrop == 4)
    }

    @Test func evictionsOfANamespaceThatWentBeforeTheNextWalk() {
        var claimed = cpu(last: (0, 0), flushed: (0, 0))
        claimed.last.early_drop = 2
        #expect(TableCounts([claimed]).movement.earlyDrop == 2)
    }

    /// What is told of a namespace at several looks is one line at the next flush.
    @Test func laterFailuresAreAdded() {
        var unclaimed = UnclaimedFailures(netnsID: 7, tableFull: 1, dying: 2)
        unclaimed.add(
            UnclaimedFailures(
                netnsID: 7, tableFull: 3, race: 4, chainTooLong: 5, dying: 6, evicted: 7, timeWaitOverflow: 8))
        let expected = UnclaimedFailures(
            netnsID: 7, tableFull: 4, race: 4, chainTooLong: 5, dying: 8, evicted: 7, timeWaitOverflow: 8)
        #expect(unclaimed == expected)
    }
}
