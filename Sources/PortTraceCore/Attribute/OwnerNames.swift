/// Whose failure it is, by name. Empty: not known.
public struct OwnerNames: Equatable, Sendable {
    /// Kubernetes' names and the pod's UID; any bytes.
    public var namespace: [UInt8] = []
    public var pod: [UInt8] = []
    public var podUID: [UInt8] = []
    public var container: [UInt8] = []
    public var runtime: ContainerRuntime?
    /// 64 lower-case hexadecimal digits.
    public var containerID: [UInt8] = []
    public var image: [UInt8] = []
    /// The systemd unit, outside containers.
    public var unit: [UInt8] = []

    public init() {}
}

// MARK: NDJSON

extension OutputBuffer {
    /// `,"k8s":{…},"runtime":{…},"unit":"…"`: what is known of it; nothing where nothing is.
    mutating func append(_ names: OwnerNames) {
        append(
            object: ",\"k8s\":",
            [
                ("\"namespace\":\"", names.namespace), ("\"pod\":\"", names.pod), ("\"pod_uid\":\"", names.podUID),
                ("\"container\":\"", names.container),
            ])
        append(
            object: ",\"runtime\":",
            [
                ("\"name\":\"", names.runtime.map { Array($0.rawValue.utf8) } ?? []),
                ("\"container_id\":\"", names.containerID), ("\"image\":\"", names.image),
            ])
        if !names.unit.isEmpty { append(field: ",\"unit\":\"", names.unit) }
    }

    /// `,"k8s":{…}` of a destination.
    mutating func append(_ name: NamedAddress) {
        append(
            object: ",\"k8s\":",
            [
                ("\"namespace\":\"", name.namespace),
                (name.kind == .pod ? "\"pod\":\"" : "\"service\":\"", name.name),
            ])
    }

    /// An object of strings, without those that are empty; nothing where all are.
    private mutating func append(object start: StaticString, _ fields: [(start: StaticString, value: [UInt8])]) {
        var separator = UInt8(ascii: "{")
        for field in fields where !field.value.isEmpty {
            if separator == UInt8(ascii: "{") { append(start) }
            append(byte: separator)
            append(field: field.start, field.value)
            separator = UInt8(ascii: ",")
        }
        if separator == UInt8(ascii: ",") { append(byte: UInt8(ascii: "}")) }
    }

    private mutating func append(field start: StaticString, _ value: [UInt8]) {
        append(start)
        value.withUnsafeBytes { append(escapedForJSON: $0) }
        append(byte: UInt8(ascii: "\""))
    }
}

// MARK: Text

extension OwnerNames {
    /// Most columns of a name.
    private static let widest = 48
    private static let ellipsis = "…"

    /// The owner for a person: `namespace/pod/container`; without a pod's name its UID, or the container's runtime and
    /// the start of its id, or the unit; nil where nothing is known.
    ///
    /// Where it is too long the container goes first, then the namespace; then the middle of the name.
    var text: TerminalText? {
        if !pod.isEmpty { return podText }
        if !podUID.isEmpty { return OwnerNames.joined("pod ", OwnerNames.cut(podUID)) }
        if !containerID.isEmpty, unit.isEmpty {
            let start = TerminalText(escaping: Array(containerID.prefix(12)))
            return OwnerNames.joined("\(runtime?.rawValue ?? "container") ", start)
        }
        return unit.isEmpty ? nil : OwnerNames.cut(unit)
    }

    private var podText: TerminalText {
        var text = TerminalText()
        if !namespace.isEmpty {
            text.append(TerminalText(escaping: namespace))
            text.append("/" as String)
        }
        text.append(TerminalText(escaping: pod))
        if !container.isEmpty {
            var whole = text
            whole.append("/" as String)
            whole.append(TerminalText(escaping: container))
            if whole.width <= OwnerNames.widest { return whole }
            text.append("/\(OwnerNames.ellipsis)")
        }
        if text.width <= OwnerNames.widest { return text }
        return namespace.isEmpty
            ? OwnerNames.cut(pod) : OwnerNames.joined("\(OwnerNames.ellipsis)/", OwnerNames.cut(pod, by: 2))
    }

    private static func joined(_ words: String, _ text: TerminalText) -> TerminalText {
        var joined = TerminalText()
        joined.append(words)
        joined.append(text)
        return joined
    }

    /// A name without its middle where it is wider than a name may be, less so many columns; an escape may be cut, what
    /// is left of it is harmless.
    private static func cut(_ name: [UInt8], by columns: Int = 0) -> TerminalText {
        let whole = TerminalText(escaping: name)
        let most = widest - columns
        if whole.width <= most { return whole }
        let scalars = whole.string.unicodeScalars
        var text = whole.cut(to: most / 2)
        var (start, width) = (scalars.endIndex, 0)
        while start > scalars.startIndex {
            let before = scalars.index(before: start)
            width += PortTraceCore.columns(of: scalars[before].value)
            if width > most - most / 2 { break }
            start = before
        }
        text.append(String(scalars[start...]))
        return text
    }
}
