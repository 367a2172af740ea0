import Glibc
import PortTraceCore
import Testing

@testable import PortTraceNode

/// Containers that come and go while they are watched.
struct ContainerWatchTests {
    private let host = HostTree()
    private let id = containerID(1)
    private var folder: String { "\(ContainerFiles.tasks)/\(id)" }

    private func container(_ watch: ContainerWatch, _ id: String) -> String? {
        watch.record(id).map { String(decoding: $0.container, as: UTF8.self) }
    }

    @Test func comesAndGoes() {
        host.folder(ContainerFiles.tasks)
        let watch = host.watch()
        #expect(watch.record(id) == nil)
        host.write("\(folder)/config.json", ContainerFiles.task("app"))
        #expect(watch.waits { container(watch, id) == "app" })
        #expect(watch.takePresentRecords().count == 1)
        host.remove(folder)
        #expect(watch.waits { watch.takePresentRecords().isEmpty })
        #expect(container(watch, id) == "app")
        #expect(watch.pod(ContainerFiles.uid)?.text == "shop/web-1")
    }

    /// The folder first, then the file, then what is in it.
    @Test func fileComesLater() {
        host.folder(ContainerFiles.tasks)
        let watch = host.watch()
        host.folder(folder)
        usleep(50_000)
        host.write("\(folder)/config.json", "")
        usleep(50_000)
        let text = Array(ContainerFiles.task("app").utf8)
        host.write("\(folder)/config.json", Array(text[..<100]))
        usleep(50_000)
        #expect(watch.record(id) == nil)
        host.write("\(folder)/config.json", text)
        #expect(watch.waits { container(watch, id) == "app" })
    }

    @Test func fileIsRenamedIntoPlace() {
        host.folder("var/lib/docker/containers")
        let watch = host.watch()
        host.folder("var/lib/docker/containers/\(id)")
        let file = "var/lib/docker/containers/\(id)/config.v2.json"
        host.write(file + ".tmp", #"{"ID":"\#(id)","Name":"/web","Config":{"Image":"nginx"}}"#)
        usleep(50_000)
        rename("\(host.path)/\(file).tmp", "\(host.path)/\(file)")
        #expect(watch.waits { watch.record(id)?.name == Array("web".utf8) })
    }

    @Test func fileIsTwoFoldersDown() {
        let storage = "run/containers/storage/overlay-containers"
        host.folder(storage)
        let watch = host.watch()
        for name in ["", "/userdata"] {
            host.folder("\(storage)/\(id)\(name)")
            usleep(50_000)
        }
        host.write(
            "\(storage)/\(id)/userdata/config.json", ContainerFiles.containerd(ContainerFiles.labels("app")))
        #expect(watch.waits { container(watch, id) == "app" })
    }

    @Test func rootsComeLater() {
        let watch = host.watch()
        host.write("\(folder)/config.json", ContainerFiles.task("app"))
        #expect(watch.waits { container(watch, id) == "app" })
        host.write(
            "run/containerd/io.containerd.runtime.v2.task/default/\(containerID(2))/config.json",
            ContainerFiles.containerd([:]))
        #expect(watch.waits { watch.record(containerID(2)) != nil })
        host.folder("var/log/pods")
        usleep(50_000)
        host.folder("var/log/pods/a_b_c")
        #expect(watch.waits { watch.pod("c")?.text == "a/b" })
    }

    @Test func rootsGoAndComeAgain() {
        host.write("\(folder)/config.json", ContainerFiles.task("app"))
        let watch = host.watch()
        host.remove("run")
        #expect(watch.waits { watch.takePresentRecords().isEmpty })
        host.write("\(ContainerFiles.tasks)/\(containerID(2))/config.json", ContainerFiles.task("other"))
        #expect(watch.waits { container(watch, containerID(2)) == "other" })
        #expect(container(watch, id) == "app")
        #expect(watch.takePresentRecords().count == 1)
    }

    @Test func rootsAreMoved() {
        host.write("\(folder)/config.json", ContainerFiles.task("app"))
        let watch = host.watch()
        let root = "\(host.path)/run/containerd/io.containerd.runtime.v2.task"
        rename(root, root + ".old")
        #expect(watch.waits { watch.takePresentRecords().isEmpty })
        rename(root + ".old", root)
        #expect(watch.waits { watch.takePresentRecords().count == 1 })
    }

    @Test func idIsUsedAgain() {
        host.write("\(folder)/config.json", ContainerFiles.task("first", pod: "one", uid: "u1"))
        let watch = host.watch()
        #expect(container(watch, id) == "first")
        host.remove(folder)
        host.write("\(folder)/config.json", ContainerFiles.task("second", pod: "two", uid: "u2"))
        #expect(watch.waits { container(watch, id) == "second" })
        #expect(watch.pod("u2")?.text == "shop/two")
        #expect(watch.pod("u1")?.text == "shop/one")
    }

    @Test func isInTwoPlaces() {
        let places = ["run/containers/storage", "var/lib/containers/storage"].map { "\($0)/overlay-containers/\(id)" }
        for place in places {
            host.write(
                "\(place)/userdata/config.json", ContainerFiles.containerd(ContainerFiles.labels("app")))
        }
        let watch = host.watch()
        host.remove(places[0])
        usleep(100_000)
        #expect(watch.takePresentRecords().count == 1)
        host.remove(places[1])
        #expect(watch.waits { watch.takePresentRecords().isEmpty })
    }

    @Test func runtimesKnowBetterThanLogs() {
        host.folder("var/log/containers")
        let watch = host.watch()
        host.link("var/log/containers/web_shop_fromlogs-\(id).log", to: "/nowhere")
        #expect(watch.waits { container(watch, id) == "fromlogs" })
        host.write("\(folder)/config.json", ContainerFiles.task("app"))
        #expect(watch.waits { container(watch, id) == "app" })
        host.link("var/log/containers/web_shop_again-\(id).log", to: "/nowhere")
        #expect(watch.found(id).map { String(decoding: $0.container, as: UTF8.self) } == "app")
    }

    /// More events than the kernel keeps for a thread that is held up.
    @Test func eventsAreLost() throws {
        let limit = Int(try Shell.run("cat /proc/sys/fs/inotify/max_queued_events").split(separator: "\n")[0]) ?? 0
        try #require(limit > 0 && limit <= 1 << 17)
        host.write("\(folder)/config.json", ContainerFiles.task("app"))
        let inotify = Inotify()
        let root = try #require(HostFolder(root: host.path))
        _ = inotify.add(root, Inotify.entries)
        for number in 0...limit / 2 + 1 {
            mkdir("\(host.path)/x\(number % 1000)", 0o755)
            rmdir("\(host.path)/x\(number % 1000)")
        }
        var events: [Inotify.Event] = []
        repeat { events = inotify.take() } while !events.isEmpty && !events.contains { $0.isOverflow }
        #expect(events.contains { $0.isOverflow && $0.watch == -1 })
    }

    @Test func beginsAnewAfterLostEvents() {
        host.write("\(folder)/config.json", ContainerFiles.task("app"))
        let queue = ContainerQueue()
        let root = HostFolder(root: host.path)
        let worker = root.map { ContainerWorker(queue, PodNamespaces(hostRoot: host.path), root: $0) }
        let id = ContainerID(Array(id.utf8))
        worker?.pass()
        #expect(queue.withCache { cache in id.map { cache.isPresent($0) } } == true)
        host.remove(folder)
        host.write("\(ContainerFiles.tasks)/\(containerID(2))/config.json", ContainerFiles.task("other"))
        worker?.take(Inotify.Event(watch: -1, mask: UInt32(IN_Q_OVERFLOW), name: []))
        worker?.pass()
        #expect(queue.withCache { cache in id.map { cache.isPresent($0) } } == false)
        #expect(queue.withCache { $0.present.map(\.container) } == [Array("other".utf8)])
    }

    /// In the order in which sources are asked; the runtime's word replaces the logs'.
    @Test func tellsWhichSourceHasAnswered() {
        let other = containerID(2)
        host.write("\(folder)/config.json", ContainerFiles.task("app"))
        host.folder("var/log/containers")
        let watch = host.watch()
        let (first, second) = ("\(id.prefix(12))", "\(other.prefix(12))")
        #expect(watch.takeArrivals() == "containerd \(first)")
        #expect(watch.takeArrivals() == nil)
        host.link("var/log/containers/web-1_shop_app-\(other).log", to: "/nowhere")
        host.link("var/log/containers/web-1_shop_app-\(id).log", to: "/nowhere")
        #expect(watch.waits { watch.record(other) != nil })
        #expect(watch.takeArrivals() == "logs \(second)")
        host.write("\(ContainerFiles.tasks)/\(other)/config.json", ContainerFiles.task("app"))
        #expect(watch.waits { watch.record(other)?.source == .containerd })
        #expect(watch.takeArrivals() == "containerd \(second)")
        host.write("\(ContainerFiles.tasks)/\(containerID(3))/config.json", ContainerFiles.task("app"))
        #expect(watch.waits { watch.record(containerID(3)) != nil })
        #expect(watch.takePresentRecords().count == 3)
        #expect(watch.takeArrivals() == nil)
    }

    @Test func tellsOfManyByTheirNumber() throws {
        var arrivals = ContainerArrivals()
        for number in 0..<6 {
            arrivals.insert(try #require(ContainerID(Array(containerID(number).utf8))), from: .docker)
        }
        let zeros = String(repeating: "0", count: 12)
        #expect(arrivals.text == "docker \(zeros), \(zeros), \(zeros), \(zeros) and 2 more")
    }

    /// A container's logs outlive it.
    @Test func logsDoNotKeepAContainer() {
        host.write("\(folder)/config.json", ContainerFiles.task("app"))
        host.link("var/log/containers/web-1_shop_app-\(id).log", to: "/nowhere")
        let watch = host.watch()
        #expect(watch.record(id)?.source == .containerd)
        host.remove(folder)
        #expect(watch.waits { watch.takePresentRecords().isEmpty })
        #expect(watch.record(id)?.source == .containerd)
    }

    /// Where the kernel gives no watch, it is said once, and what is new is found all the same.
    @Test func watchesAreRefused() throws {
        host.folder(ContainerFiles.tasks)
        let queue = ContainerQueue()
        let worker = ContainerWorker(
            queue, PodNamespaces(hostRoot: host.path), root: try #require(HostFolder(root: host.path)))
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        dup2(null, worker.inotify.descriptor)
        close(null)
        worker.pass()
        let problems = queue.takeProblems()
        #expect(problems.count == 1)
        #expect(problems.first?.hasSuffix("inotify: Invalid argument") == true)
        #expect((1...1_001).contains(worker.millisecondsToNext))
        host.write("\(folder)/config.json", ContainerFiles.task("app"))
        worker.pass()
        #expect(queue.withCache { $0.present.map(\.container) } == [Array("app".utf8)])
        #expect(queue.takeProblems().isEmpty)
    }

    @Test func questionsAreBounded() {
        let watch = ContainerWatch(hostRoot: host.path)
        for number in 0..<ContainerQueue.mostQuestions {
            #expect(watch.look(for: Array(containerID(number).utf8)))
        }
        #expect(!watch.look(for: Array(id.utf8)))
        #expect(!watch.look(for: Array("x".utf8)))
        #expect(!watch.look(for: nil))
    }

    @Test func endsAtOnce() {
        let watch = host.watch()
        let start = KernelClock.monotonicNow()
        watch.close()
        watch.close()
        #expect(KernelClock.monotonicNow() - start < 1_000_000_000)
        #expect(!watch.start())
        #expect(!watch.look(for: Array(id.utf8)))
    }

    @Test func aHostRootThatIsNotThere() {
        let watch = ContainerWatch(hostRoot: host.path + "/nowhere")
        #expect(!watch.start())
    }

    /// Nothing wakes the thread where nothing happens: it waits for good.
    @Test func restsWithoutEvents() {
        host.write("\(folder)/config.json", ContainerFiles.task("app"))
        let queue = ContainerQueue()
        let worker = HostFolder(root: host.path).map {
            ContainerWorker(queue, PodNamespaces(hostRoot: host.path), root: $0)
        }
        worker?.pass()
        #expect(worker?.millisecondsToNext == -1)
        host.folder("\(ContainerFiles.tasks)/\(containerID(2))")
        worker?.pass()
        #expect(worker.map { $0.millisecondsToNext > 50_000 } == true)
    }
}
