import Testing

@testable import PortTraceCore

@Suite struct NameFilterTests {
    private func owner(_ namespace: String, _ pod: String, _ container: String = "") -> OwnerNames {
        var names = OwnerNames()
        names.namespace = Array(namespace.utf8)
        names.pod = Array(pod.utf8)
        names.container = Array(container.utf8)
        return names
    }

    @Test(
        arguments: [
            ("web", "shop", "web", .pass), ("web", "shop", "web-1", .reject), ("web*", "shop", "web-1", .pass),
            ("web*", "shop", "web", .pass), ("web*", "shop", "we", .reject), ("*", "shop", "a", .pass),
            ("shop/web", "shop", "web", .pass), ("shop/web", "other", "web", .reject),
            ("shop/web", "shop", "web2", .reject),
            ("shop/*", "shop", "a", .pass), ("shop/*", "shops", "a", .reject), ("shop/we*", "shop", "web", .pass),
            ("a,web", "shop", "web", .pass), ("a/web,b/web", "shop", "web", .reject),
            ("a/web,shop/web", "shop", "web", .pass),
            // Not known.
            ("web", "shop", "", .undecided), ("*", "shop", "", .undecided), ("shop/web", "", "web", .undecided),
            ("shop/web", "", "db", .reject), ("shop/web", "other", "", .reject), ("shop/web", "shop", "", .undecided),
            ("shop/web,web", "", "web", .pass), ("shop/web,db", "", "web", .undecided), ("web", "", "web", .pass),
        ] as [(String, String, String, Verdict)])
    func pods(_ option: String, _ namespace: String, _ pod: String, _ verdict: Verdict) throws {
        var filter = Filter()
        try filter.addPods(parsing: option.utf8)
        #expect(filter.evaluate(names: owner(namespace, pod)) == verdict)
        #expect(filter.evaluate(names: nil) == .undecided)
        #expect(!filter.isEmpty && filter.asksForNames)
    }

    @Test func namespacesAndContainers() throws {
        var namespaces = Filter()
        try namespaces.addNamespaces(parsing: "shop,kube-system".utf8)
        #expect(namespaces.evaluate(names: owner("shop", "")) == .pass)
        #expect(namespaces.evaluate(names: owner("kube-system", "a")) == .pass)
        #expect(namespaces.evaluate(names: owner("kube", "a")) == .reject)
        #expect(namespaces.evaluate(names: owner("", "a")) == .undecided)
        #expect(namespaces.evaluate(names: nil) == .undecided)
        var containers = Filter()
        try containers.addContainers(parsing: "app,My_app.1".utf8)
        #expect(containers.evaluate(names: owner("", "", "app")) == .pass)
        #expect(containers.evaluate(names: owner("", "", "My_app.1")) == .pass)
        #expect(containers.evaluate(names: owner("", "", "app2")) == .reject)
        #expect(containers.evaluate(names: owner("shop", "web", "")) == .undecided)
    }

    /// Different options must all match, and a rejection settles it.
    @Test func together() throws {
        var filter = Filter()
        try filter.addNamespaces(parsing: "shop".utf8)
        try filter.addPods(parsing: "web*".utf8)
        try filter.addContainers(parsing: "app".utf8)
        #expect(filter.evaluate(names: owner("shop", "web-1", "app")) == .pass)
        #expect(filter.evaluate(names: owner("shop", "web-1", "")) == .undecided)
        #expect(filter.evaluate(names: owner("shop", "db", "")) == .reject)
        #expect(filter.evaluate(names: owner("", "web-1", "sidecar")) == .reject)
        #expect(filter.evaluate(names: owner("other", "web-1", "app")) == .reject)
    }

    @Test func withoutSuchAnOptionAllPass() {
        #expect(!Filter().asksForNames)
        #expect(Filter().evaluate(names: nil) == .pass)
        #expect(Filter().evaluate(names: OwnerNames()) == .pass)
    }
}
