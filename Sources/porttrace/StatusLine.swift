import PortTraceNode

/// A line on the terminal that says that porttrace watches, for as long as there is no failure to show.
struct StatusLine {
    private let start = KernelClock.monotonicNow()
    private var isShown = false

    /// Milliseconds after which it wants to be shown anew.
    static let period: Int32 = 1000

    mutating func show() {
        let seconds = (KernelClock.monotonicNow() - start) / 1_000_000_000
        StandardError.write("\(StandardError.clearLine)watching for \(seconds) s, no failure to show")
        isShown = true
    }

    mutating func clear() {
        guard isShown else { return }
        StandardError.write(StandardError.clearLine)
        isShown = false
    }
}
