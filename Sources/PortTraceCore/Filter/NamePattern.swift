/// A name that an option asks for; all that begin with it where a `*` ends it.
struct NamePattern: Equatable, Sendable {
    var name: [UInt8]
    var isPrefix = false

    func matches(_ name: [UInt8]) -> Bool {
        isPrefix ? name.starts(with: self.name) : name == self.name
    }
}

/// Pods that `--pod` asks for: `NAME` or `NAMESPACE/NAME`; a `*` at the end matches any rest.
struct PodPattern: Equatable, Sendable {
    /// Nil: any namespace.
    var namespace: [UInt8]?
    var pod: NamePattern

    /// Reads one pattern.
    ///
    /// - Throws: ``OptionError`` saying why it can match no pod.
    init(parsing text: some Collection<UInt8>) throws(OptionError) {
        let parts = text.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { Array($0) }
        guard parts.count <= 2, let last = parts.last else {
            throw OptionError(text, "has more than one '/': it is NAME or NAMESPACE/NAME")
        }
        if parts.count == 2 {
            guard NameKind.namespace.allows(parts[0]) else {
                throw OptionError(text, "has a namespace that none can have: \(NameKind.namespace.rule)")
            }
            namespace = parts[0]
        }
        let isPrefix = last.last == UInt8(ascii: "*")
        pod = NamePattern(name: isPrefix ? last.dropLast() : last, isPrefix: isPrefix)
        guard isPrefix && pod.name.isEmpty || NameKind.pod.allows(pod.name) else {
            throw OptionError(
                text, "can be no pod's name: \(NameKind.pod.rule); a '*' at the end matches any rest")
        }
    }

    /// What it says of a pod; either name may be empty: not known.
    func evaluate(namespace: [UInt8], pod: [UInt8]) -> Verdict {
        var verdict = pod.isEmpty ? .undecided : Verdict(self.pod.matches(pod))
        if let wanted = self.namespace {
            verdict = verdict.and(namespace.isEmpty ? .undecided : Verdict(wanted == namespace))
        }
        return verdict
    }
}

/// The kinds of name, by what they may consist of: Kubernetes' for namespaces and pods
/// (https://kubernetes.io/docs/concepts/overview/working-with-objects/names/), for containers also Docker's and podman's.
enum NameKind {
    case namespace, pod, container

    private var longest: Int { self == .namespace ? 63 : 253 }

    /// Whether a name, or the start of one, is not empty and has nothing that names of its kind cannot have.
    func allows(_ name: some Collection<UInt8>) -> Bool {
        !name.isEmpty && name.count <= longest && name.allSatisfy(allows)
    }

    private func allows(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
        case UInt8(ascii: "."): self != .namespace
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): self == .container
        default: false
        }
    }

    /// The rule as a message says it.
    var rule: String {
        switch self {
        case .namespace: "up to 63 lower-case letters, digits and '-'"
        case .pod: "up to 253 lower-case letters, digits, '-' and '.'"
        case .container: "up to 253 letters, digits, '-', '_' and '.'"
        }
    }
}
