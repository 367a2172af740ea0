import Testing

@testable import PortTraceCore

@Suite struct OwnerNamesTests {
    private static let id = String(repeating: "0123456789abcdef", count: 4)
    private static let uid = "2c48913c-b29f-11e7-9350-020968147796"

    private func names(_ change: (inout OwnerNames) -> Void) -> OwnerNames {
        var names = OwnerNames()
        change(&names)
        return names
    }

    private func pod(_ namespace: String, _ pod: String, _ container: String = "") -> OwnerNames {
        names {
            $0.namespace = Array(namespace.utf8)
            $0.pod = Array(pod.utf8)
            $0.container = Array(container.utf8)
        }
    }

    private func json(_ names: OwnerNames) -> String {
        written { $0.append(names) }
    }

    @Test func jsonHasWhatIsKnown() {
        #expect(json(OwnerNames()) == "")
        var owner = pod("shop", "checkout-1", "app")
        #expect(json(owner) == #","k8s":{"namespace":"shop","pod":"checkout-1","container":"app"}"#)
        owner.podUID = Array(Self.uid.utf8)
        owner.runtime = .crio
        owner.containerID = Array(Self.id.utf8)
        owner.image = Array("example.com/shop/checkout:1".utf8)
        #expect(
            json(owner)
                == #","k8s":{"namespace":"shop","pod":"checkout-1","pod_uid":"\#(Self.uid)","container":"app"}"#
                + #","runtime":{"name":"cri-o","container_id":"\#(Self.id)","image":"example.com/shop/checkout:1"}"#)
        #expect(json(names { $0.podUID = Array(Self.uid.utf8) }) == #","k8s":{"pod_uid":"\#(Self.uid)"}"#)
        #expect(json(names { $0.containerID = Array(Self.id.utf8) }) == #","runtime":{"container_id":"\#(Self.id)"}"#)
        #expect(json(names { $0.unit = Array("nginx.service".utf8) }) == #","unit":"nginx.service""#)
    }

    @Test func jsonIsEscaped() {
        let owner = names {
            $0.pod = Array("a\"\u{1b}".utf8) + [0xff]
            $0.unit = Array(#"a\x2db.service"#.utf8)
        }
        #expect(json(owner) == #","k8s":{"pod":"a\"\u001b"# + "\u{fffd}" + #""},"unit":"a\\x2db.service""#)
    }

    @Test func destinations() {
        let pod = NamedAddress(.pod, namespace: Array("a".utf8), name: Array("b\n".utf8))
        let service = NamedAddress(.service, namespace: Array("a".utf8), name: Array("b".utf8))
        #expect(written { $0.append(pod) } == #","k8s":{"namespace":"a","pod":"b\n"}"#)
        #expect(written { $0.append(service) } == #","k8s":{"namespace":"a","service":"b"}"#)
    }

    @Test func text() {
        func shown(_ change: (inout OwnerNames) -> Void) -> String? { names(change).text?.string }
        #expect(shown { _ in } == nil)
        #expect(pod("shop", "checkout-1", "app").text?.string == "shop/checkout-1/app")
        #expect(pod("shop", "checkout-1").text?.string == "shop/checkout-1")
        #expect(pod("", "checkout-1", "app").text?.string == "checkout-1/app")
        #expect(shown { $0.podUID = Array(Self.uid.utf8) } == "pod \(Self.uid)")
        #expect(shown { $0.containerID = Array(Self.id.utf8) } == "container 0123456789ab")
        #expect(
            shown {
                $0.runtime = .docker
                $0.containerID = Array(Self.id.utf8)
                $0.image = Array("nginx".utf8)
            } == "docker 0123456789ab")
        #expect(shown { $0.unit = Array("nginx.service".utf8) } == "nginx.service")
        #expect(shown { $0.unit = Array("a\u{1b}[31m".utf8) } == #"a\x1b[31m"#)
        // What may be a container, in a unit that certainly is one.
        #expect(
            shown {
                $0.containerID = Array(Self.id.utf8)
                $0.unit = Array("builder.service".utf8)
            } == "builder.service")
    }

    @Test func aContainerThatIsKnownIsNoUnit() {
        for (runtime, unit) in [(nil, "builder.service"), (ContainerRuntime.podman, "")] {
            var owner = names {
                $0.containerID = Array(Self.id.utf8)
                $0.unit = Array("builder.service".utf8)
            }
            let isSame = owner.complete(
                by: names {
                    $0.containerID = Array(Self.id.utf8)
                    $0.runtime = runtime
                })
            #expect(isSame)
            #expect(owner.unit == Array(unit.utf8))
        }
    }

    @Test(arguments: [
        ("shop", "checkout-7d4b9c6f5d-x2x9z", "application-serve", "shop/checkout-7d4b9c6f5d-x2x9z/application-serve"),
        ("shop", "checkout-7d4b9c6f5d-x2x9z", "application-server", "shop/checkout-7d4b9c6f5d-x2x9z/…"),
        ("payments-production-eu", "checkout-7d4b9c6f5d-x2x9z-abcd", "app", "…/checkout-7d4b9c6f5d-x2x9z-abcd"),
        (
            "shop", "abcdefghijklmnopqrstuvwxyz0123456789-7d4b9c6f5d-x2x9z", "app",
            "…/abcdefghijklmnopqrstuv…456789-7d4b9c6f5d-x2x9z"
        ),
        (
            "", "abcdefghijklmnopqrstuvwxyz0123456789-7d4b9c6f5d-x2x9z", "",
            "abcdefghijklmnopqrstuvw…3456789-7d4b9c6f5d-x2x9z"
        ),
    ])
    func longNamesAreShortened(_ namespace: String, _ name: String, _ container: String, _ shown: String) {
        let text = pod(namespace, name, container).text
        #expect(text?.string == shown)
        #expect(text.map { $0.width <= 48 } == true)
    }

    @Test func hostileNamesAreSafe() {
        var random = SplitMix(seed: 3)
        for _ in 0..<300 {
            func bytes() -> [UInt8] {
                (0..<Int.random(in: 0...80, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random) & (Bool.random(using: &random) ? 0x7f : 0xff)
                }
            }
            let owner = names {
                $0.namespace = bytes()
                $0.pod = bytes()
                $0.container = bytes()
                $0.unit = bytes()
            }
            guard let text = owner.text else { continue }
            #expect(!text.string.unicodeScalars.contains { isHazardous($0.value) })
            #expect(text.width <= 48 && text.width == TerminalText(text.string).width)
        }
    }
}
