internal import JSON

/// One object of a names file.
struct NamesFileItem {
    /// Why an object is none.
    struct Problem: Error {
        /// Safe on a terminal.
        var reason: String
    }

    var network: DestinationPattern.Network
    /// Host byte order; 0: any.
    var port: UInt16 = 0
    var name: NamedAddress

    /// Most bytes of a name: as long as a DNS name can be.
    private static let longest = 253

    /// - Throws: ``Problem``.
    init(_ value: JSONValue) throws(Problem) {
        guard value.isObject else { throw Problem(reason: "is no object") }
        switch (try NamesFileItem.string("address", of: value), try NamesFileItem.string("cidr", of: value)) {
        case (let text?, nil): network = try NamesFileItem.address(text)
        case (nil, let text?): network = try NamesFileItem.prefix(text)
        case (nil, nil): throw Problem(reason: "has neither address nor cidr")
        default: throw Problem(reason: "has both address and cidr")
        }
        guard let namespace = try NamesFileItem.name("namespace", of: value) else {
            throw Problem(reason: "has no namespace")
        }
        switch (try NamesFileItem.name("pod", of: value), try NamesFileItem.name("service", of: value)) {
        case (let pod?, nil): name = NamedAddress(.pod, namespace: namespace, name: pod)
        case (nil, let service?): name = NamedAddress(.service, namespace: namespace, name: service)
        case (nil, nil): throw Problem(reason: "has neither pod nor service")
        default: throw Problem(reason: "has both pod and service")
        }
        if let port = NamesFileItem.member("port", of: value) {
            guard let number = port.integer, (1...65_535).contains(number) else {
                throw Problem(reason: "has a bad port: a number from 1 to 65535")
            }
            self.port = UInt16(number)
        }
    }

    /// A member, if there is one that is not null.
    private static func member(_ key: String, of value: JSONValue) -> JSONValue? {
        value[key].flatMap { $0.isNull ? nil : $0 }
    }

    private static func string(_ key: String, of value: JSONValue) throws(Problem) -> [UInt8]? {
        guard let member = member(key, of: value) else { return nil }
        guard let string = member.string else { throw Problem(reason: "its \(key) is no string") }
        return string
    }

    private static func name(_ key: String, of value: JSONValue) throws(Problem) -> [UInt8]? {
        guard let name = try string(key, of: value) else { return nil }
        if name.isEmpty { throw Problem(reason: "its \(key) is empty") }
        guard name.count <= longest else { throw Problem(reason: "its \(key) has more than \(longest) bytes") }
        return name
    }

    private static func address(_ text: [UInt8]) throws(Problem) -> DestinationPattern.Network {
        guard !text.contains(UInt8(ascii: "/")), let network = try? DestinationPattern.Network(parsing: text[...])
        else {
            throw Problem(reason: "its address \(quoted(text)) is none")
        }
        return network
    }

    private static func prefix(_ text: [UInt8]) throws(Problem) -> DestinationPattern.Network {
        do throws(DestinationPattern.Network.Problem) {
            return try DestinationPattern.Network(parsing: text[...])
        } catch {
            let problem = error == .address ? "is not an address and length: ADDR/LEN" : error.rawValue
            throw Problem(reason: "its cidr \(quoted(text)) \(problem)")
        }
    }

    private static func quoted(_ text: [UInt8]) -> String {
        let most = 60
        return "'\(TerminalText(escaping: Array(text.prefix(most))).string)\(text.count > most ? "…" : "")'"
    }
}
