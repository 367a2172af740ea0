enum Version {
    /// Semantic versioning; the contract (options, events, exit statuses) is what it is about.
    static let number = "0.1.0"
}
