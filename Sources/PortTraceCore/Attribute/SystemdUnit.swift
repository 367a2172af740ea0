/// Finds the systemd unit in the path of a cgroup, part by part from the root.
///
/// It is the first unit below slices: what is below a unit was delegated to it and is still its own, and what is not
/// below slices alone is not the host's systemd's (`/lxc.payload.web/system.slice/nginx.service`). A user's systemd
/// is a service with slices and units of its own; of those, again the first is the unit, so that
/// `user@1000.service/app.slice/sync.service` is `sync.service`. A slice alone is no unit: it does not run anything.
struct SystemdUnit {
    /// The name, without systemd's escape for names that cgroups reserve; empty: none.
    private(set) var name: [UInt8] = []

    private enum Place {
        /// Below the slices of the host's systemd.
        case system
        /// Below the service of a user's systemd, or its slices.
        case user
        /// Below a unit, or of something other than systemd.
        case settled
    }
    private var place = Place.system

    /// The kinds of unit with processes of their own (systemd.resource-control(5)).
    private static let suffixes: [StaticString] = [".service", ".scope", ".mount", ".socket", ".swap"]

    /// Takes the next part of a path.
    mutating func enter(_ part: ArraySlice<UInt8>) {
        if place == .settled { return }
        // systemd's cg_escape() puts it before names such as `cpu.service`.
        let text = part.dropping(prefix: "_") ?? part
        if let slice = text.dropping(suffix: ".slice"), SystemdUnit.isName(slice) { return }
        guard let stem = SystemdUnit.suffixes.lazy.compactMap({ text.dropping(suffix: $0) }).first,
            SystemdUnit.isName(stem), text.count <= 255
        else {
            place = .settled
            return
        }
        if place == .user, text.equals("init.scope") {
            // The user's systemd itself.
            place = .settled
            return
        }
        name = Array(text)
        place =
            place == .system && text.dropping(prefix: "user@") != nil && text.dropping(suffix: ".service") != nil
            ? .user : .settled
    }

    /// Whether it can stand before a suffix: `NAME` or `NAME@INSTANCE`, of the characters of systemd.unit(5).
    private static func isName(_ stem: ArraySlice<UInt8>) -> Bool {
        guard !stem.isEmpty, stem.allSatisfy({ isCharacter($0) }) else { return false }
        guard let at = stem.firstIndex(of: UInt8(ascii: "@")) else { return true }
        return at > stem.startIndex && at < stem.endIndex - 1
    }

    private static func isCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ":"), UInt8(ascii: "-"), UInt8(ascii: "_"),
            UInt8(ascii: "."), UInt8(ascii: "\\"), UInt8(ascii: "@"):
            true
        default: false
        }
    }
}
