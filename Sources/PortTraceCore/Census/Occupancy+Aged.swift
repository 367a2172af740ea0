extension Occupancy {
    /// What was found a while ago, with what is used now: what has come since is nobody's, as far as is known; what has gone
    /// was each holder's, in proportion.
    public func aged(to now: UInt64) -> Occupancy {
        var aged = self
        aged.used = now
        guard now < used else { return aged }
        for index in holders.indices {
            let (high, low) = holders[index].count.multipliedFullWidth(by: now)
            aged.holders[index].count = used.dividingFullWidth((high, low)).quotient
        }
        aged.holders.removeAll { $0.count == 0 }
        return aged
    }
}
