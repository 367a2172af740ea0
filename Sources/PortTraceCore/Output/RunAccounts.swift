/// What a run has counted; all of it is in the summary.
struct RunAccounts {
    /// Failures that passed, by type.
    var totals = TypeCounts()
    /// Failures that lacked a field that a filter asks for, by type.
    var undecided = TypeCounts()
    /// Samples that the ring had no room for.
    var lostInRing: UInt64 = 0
    /// Runs that the kernel skipped.
    var missedRuns: UInt64 = 0
    /// Records that could not be read.
    var undecodable: UInt64 = 0

    /// Whether the totals are the truth: no failure can have gone unseen.
    var isExact: Bool { missedRuns == 0 && undecodable == 0 }
}
