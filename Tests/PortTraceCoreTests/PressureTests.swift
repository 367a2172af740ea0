import Testing

@testable import PortTraceCore

extension Resource {
    /// Ports of an address towards one destination, whose port tells them apart.
    static func ports(to port: UInt16) -> Resource {
        Resource(
            .ports, in: NamespaceIdentity(inode: 4_026_531_840, mix: 7), proto: 6, source: IPAddress(ipv4: 0x0a00_0005),
            destination: Endpoint(address: IPAddress(ipv4: 0x0a00_0009), port: port))
    }

    static let table = Resource(.conntrack, in: NamespaceIdentity(inode: 4_026_531_840, mix: 7))
}

private let second: UInt64 = 1_000_000_000

/// Numbers that look like chance and are the same each time.
private struct Noise {
    private var state: UInt64 = 1

    /// From -1 to 1.
    mutating func next() -> Double {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Double(Int64(bitPattern: state) >> 11) / Double(1 << 52)
    }
}

/// A resource that is looked at again and again.
private final class Watched {
    private(set) var pressure = Pressure()
    let resource: Resource
    let limit: UInt64

    init(_ resource: Resource = .table, limit: UInt64 = 1_000) {
        self.resource = resource
        self.limit = limit
    }

    func look(_ used: UInt64?, at time: UInt64) -> [PressureCrossing] {
        let found = used.map { [Occupancy(resource, used: $0, limit: limit, holders: [Holder(.unknown, count: $0)])] }
        return pressure.look(found ?? [], at: time)
    }

    /// What is told of looks a second apart, as `0.8up`.
    func told(_ found: [UInt64?]) -> [String] {
        found.enumerated().flatMap { index, used in look(used, at: UInt64(index + 1) * second).map(\.short) }
    }
}

/// Looks of several sorts.
private final class Looked {
    private var pressure: Pressure

    init(_ configuration: Pressure.Configuration = .init()) {
        pressure = Pressure(configuration)
    }

    var count: Int { pressure.count }
    var untold: Int { pressure.untold }

    func look(
        _ found: [Occupancy], at time: UInt64, covers: (Resource) -> Bool = { _ in true }
    ) -> [PressureCrossing] {
        pressure.look(found, at: time, covers: covers)
    }
}

extension PressureCrossing {
    fileprivate var short: String { "\(threshold.name)\(direction.name)" }
}

@Suite struct PressureTests {
    @Test(
        arguments: [
            ([0, 799, 800, 949, 950, 1_000, 900, 899, 750, 749, 0], ["0.8up", "0.95up", "0.95down", "0.8down"]),
            ([1_000, 0], ["0.8up", "0.95up", "0.95down", "0.8down"]),
            ([960], ["0.8up", "0.95up"]),
            ([960, nil], ["0.8up", "0.95up", "0.95down", "0.8down"]),
            ([799, 760, 799], []),
            ([800, 799, 751, 800, 760, 810], ["0.8up"]),
            ([nil, 850, 850], ["0.8up"]),
            ([2_000], ["0.8up", "0.95up"]),
        ] as [([UInt64?], [String])])
    func crossings(_ found: [UInt64?], _ told: [String]) {
        let watched = Watched()
        #expect(watched.told(found) == told)
    }

    @Test func aCrossingHasItsMoment() throws {
        let watched = Watched()
        _ = watched.look(700, at: second)
        let up = try #require(watched.look(820, at: 2 * second).first)
        #expect(up.occupancy.used == 820)
        #expect(up.occupancy.holders == [Holder(.unknown, count: 820)])
        let down = try #require(watched.look(nil, at: 3 * second).first)
        #expect(down.occupancy == Occupancy(.table, used: 0, limit: 1_000, holders: []))
        #expect(down.eta == nil)
    }

    @Test func withoutALimitNothingIsTold() {
        let pressure = Looked()
        #expect(pressure.look([Occupancy(.table, used: 9, limit: nil, holders: [])], at: 1).isEmpty)
        #expect(pressure.look([Occupancy(.table, used: 9, limit: 0, holders: [])], at: 2).isEmpty)
        #expect(pressure.count == 0)
    }

    @Test func sortsOfLooksDoNotTouchEachOther() {
        let pressure = Looked()
        let table = Occupancy(.table, used: 90, limit: 100, holders: [])
        #expect(pressure.look([table], at: second) { $0.kind == .conntrack }.count == 1)
        #expect(pressure.look([], at: 2 * second) { $0.kind == .ports }.isEmpty)
        #expect(pressure.look([], at: 3 * second) { $0.kind == .conntrack }.map(\.short) == ["0.8down"])
    }

    /// Ten minutes of teeth from 70 to 90 %, of all lengths.
    @Test(arguments: [2, 4, 10, 20, 60])
    func aSawToothIsToldAFewTimes(_ period: Int) {
        let watched = Watched()
        let teeth = (0..<600).map { UInt64(700 + 200 * ($0 % period) / (period - 1)) }
        let told = watched.told(teeth)
        #expect(told.count <= 2 * min(600 / period, 16))
        #expect(told.first == "0.8up")
        #expect(zip(told, told.dropFirst()).allSatisfy { $0 != $1 })
    }

    @Test func whatIsQuietAgainIsToldAtOnce() {
        let watched = Watched()
        _ = watched.told([850, 700, 850, 700, 700, 700, 700, 700, 700, 700, 700])
        #expect(watched.look(850, at: 200 * second).map(\.short) == ["0.8up"])
        #expect(watched.look(700, at: 201 * second).map(\.short) == ["0.8down"])
    }

    // MARK: When it will be full

    /// A climb of some length to the limit, from nothing or after a while at a third, at even and uneven looks.
    @Test(arguments: [10.0, 20, 60, 300, 3_000], [0.0, 0.33])
    func timeLeftOfASteadyClimb(_ length: Double, _ base: Double) {
        for (limit, jitter) in [(28_000, 0.0), (28_000, 0.4), (262_144, 0.9), (234, 0.2)] {
            var noise = Noise()
            let watched = Watched(limit: UInt64(limit))
            let pace = max(1, length / 200)
            let start = base == 0 ? 0 : 40 * pace
            var time = 0.0
            while true {
                time += pace * (1 + jitter * noise.next())
                let progress = max(0, time - start) / length
                guard progress < 0.97 else { break }
                let used = (base + (1 - base) * progress) * Double(limit)
                _ = watched.look(UInt64(used), at: UInt64(time * 1e9))
                guard progress > 0.5 else { continue }
                let left = (1 - progress) * length
                let eta = watched.pressure.eta(of: watched.resource).map { Double($0) / 1e9 } ?? .infinity
                #expect(abs(eta - left) <= 0.2 * left, "\(limit) jitter \(jitter): \(eta) s told, \(left) s left")
            }
        }
    }

    /// A climb that is looked at as often as its nearness wants, after a while at what it
    /// begins with: each crossing's time.
    @Test(arguments: [32.0, 60], [0.0, 0.3, 0.5, 0.7])
    func timeLeftAtTheCrossings(_ length: Double, _ base: Double) {
        for phase in stride(from: 0, to: 10, by: 2) {
            let watched = Watched(limit: 28_000)
            let start = 300 + Double(phase)
            var (time, crossed) = (0.35, 0)
            while crossed < 2 {
                let progress = max(0, (time - start) / length)
                let used = (base + (1 - base) * min(progress, 1)) * 28_000
                for crossing in watched.look(UInt64(used), at: UInt64(time * 1e9)) {
                    crossed += 1
                    let left = (1 - progress) * length
                    let eta = crossing.eta.map { Double($0) / 1e9 } ?? .infinity
                    let what = "from \(base), phase \(phase): \(eta) s told, \(left) s left"
                    #expect(abs(eta - left) <= max(0.2 * left, 0.1), "\(what)")
                }
                // Who comes each second looks when it is due, or a tenth of a second before.
                let delay = Double(watched.pressure.delay(afterLookCosting: 1_000_000)) / 1e9
                time += max((delay - 0.1).rounded(.up), 1)
            }
        }
    }

    @Test func whatIsCountedUnevenlyStillHasATime() throws {
        var noise = Noise()
        let watched = Watched(limit: 100_000)
        for step in 1...60 {
            let used = Double(step) * 1_000 + 30_000 + 400 * noise.next()
            _ = watched.look(UInt64(used), at: UInt64(step) * second)
        }
        let eta = try #require(watched.pressure.eta(of: .table))
        #expect((8.0...12.0).contains(Double(eta) / 1e9))
    }

    @Test func noTimeLeftWithoutRising() {
        var noise = Noise()
        for slope in [0.0, -40] {
            let watched = Watched(limit: 10_000)
            var times = 0
            for step in 1...200 {
                let used = 9_000 + Double(step) * slope / 2 + 60 * noise.next()
                _ = watched.look(UInt64(used), at: UInt64(step) * second)
                if watched.pressure.eta(of: .table) != nil { times += 1 }
            }
            // Chance looks like a climb now and then.
            #expect(times <= 10, "\(slope): \(times) of 200 looks")
        }
    }

    @Test func whatHasClimbedAndStandsStillHasNoTimeLeft() {
        let watched = Watched(limit: 10_000)
        for step in 1...20 { _ = watched.look(UInt64(5_000 + step * 50), at: UInt64(step) * second) }
        #expect(watched.pressure.eta(of: .table) != nil)
        for step in 21...24 { _ = watched.look(6_000, at: UInt64(step) * second) }
        #expect(watched.pressure.eta(of: .table) == nil && watched.pressure.rate(of: .table) == 0)
    }

    @Test func whatGrowsSeldomStillGrows() {
        let watched = Watched(limit: 100)
        for step in 1...90 {
            _ = watched.look(UInt64(50 + step / 10), at: UInt64(step) * second)
            guard step > 40 else { continue }
            #expect(watched.pressure.eta(of: .table) != nil, "after \(step) s")
        }
    }

    @Test func oneLookHasNoRate() {
        let watched = Watched()
        #expect(watched.look(990, at: second).map(\.eta) == [nil, nil])
        #expect(watched.pressure.rate(of: .table) == nil)
        _ = watched.look(990, at: second)
        #expect(watched.pressure.rate(of: .table) == nil)
    }

    @Test func aFullOneHasNoTimeLeft() throws {
        let watched = Watched()
        for step in 1...10 { _ = watched.look(UInt64(900 + step * 10), at: UInt64(step) * second) }
        #expect(watched.pressure.eta(of: .table) == 0)
        for step in 11...30 { _ = watched.look(1_000, at: UInt64(step) * second) }
        #expect(watched.pressure.eta(of: .table) == nil)
    }

    // MARK: Many

    @Test func manyResourcesAreFollowedByNearness() {
        let pressure = Looked(.init(least: 250, most: 100))
        func node(_ high: Int) -> [Occupancy] {
            (0..<10_000).map { index in
                let used: UInt64 = index < high ? 850 : index < 5_000 ? 300 + UInt64(index % 100) : 10
                return Occupancy(.ports(to: UInt16(index + 1)), used: used, limit: 1_000, holders: [])
            }
        }
        #expect(pressure.look(node(7), at: second).count == 7)
        #expect(pressure.count == 100)
        for step in 2...5 { #expect(pressure.look(node(7), at: UInt64(step) * second).isEmpty) }
        #expect(pressure.look(node(3), at: 6 * second).isEmpty == false)
        // More than there is room for: as many as are followed are told, once.
        #expect(pressure.untold == 0)
        #expect(pressure.look(node(9_000), at: 7 * second).count == 97)
        #expect(pressure.untold == 8_900)
        #expect(pressure.look(node(9_000), at: 8 * second).isEmpty)
        #expect(pressure.count == 100)
        // Four have come up again within a minute.
        #expect(pressure.look([], at: 9 * second).count == 96)
        #expect(pressure.look([], at: 14 * second).count == 4)
    }

    /// What comes and goes is remembered for a minute, if there is room for it.
    @Test func comingAndGoingIsBounded() {
        let pressure = Looked(.init(least: 250, most: 100))
        let table = Occupancy(.table, used: 300, limit: 1_000, holders: [])
        _ = pressure.look([table], at: second) { $0.kind == .conntrack }
        for step in 2...200 {
            let found = (0..<80).map { index in
                Occupancy(.ports(to: UInt16(step * 80 + index)), used: 900, limit: 1_000, holders: [])
            }
            let told = pressure.look(found, at: UInt64(step) * second) { $0.kind == .ports }
            #expect(told.filter { $0.direction == .up }.count == 80)
            #expect(told.filter { $0.direction == .down }.count == (step == 2 ? 0 : 80))
            #expect(pressure.count <= 100 && pressure.untold == 0)
        }
    }

    @Test func whatIsFarIsNotKept() {
        let watched = Watched()
        _ = watched.look(249, at: second)
        #expect(watched.pressure.count == 0)
        _ = watched.look(250, at: 2 * second)
        #expect(watched.pressure.count == 1)
        _ = watched.look(100, at: 3 * second)
        #expect(watched.pressure.count == 0)
    }

    // MARK: Pacing

    @Test(
        arguments: [
            (0, 1, 10), (100, 1, 10), (400, 1, 10), (500, 1, 5), (740, 1, 5), (750, 1, 1), (949, 1, 1), (1_000, 1, 5),
            (100, 1_000, 400), (600, 1_000, 50), (900, 1_000, 20),
        ] as [(UInt64, UInt64, UInt64)])
    func delays(_ used: UInt64, _ milliseconds: UInt64, _ seconds: UInt64) {
        let watched = Watched()
        _ = watched.look(used, at: second)
        #expect(watched.pressure.delay(afterLookCosting: milliseconds * 1_000_000) == seconds * second)
        #expect(watched.pressure.delay(afterLookCosting: .max) > 60 * second)
        // Of another sort of look it says nothing.
        #expect(watched.pressure.delay(afterLookCosting: 0) { $0.kind == .ports } == 10 * second)
    }

    @Test(arguments: [(1, 0, 1), (1, 1_000, 1), (100, 749, 5), (100, 750, 2)] as [(UInt64, UInt64, UInt64)])
    func delaysOfWhatIsWatched(_ milliseconds: UInt64, _ urgency: UInt64, _ seconds: UInt64) {
        let delay = Pressure.watchedDelay(afterLookCosting: milliseconds * 1_000_000, urgency: urgency)
        #expect(delay == seconds * second)
        #expect(Pressure.watchedDelay(afterLookCosting: .max, urgency: urgency) > 60 * second)
    }

    @Test func howUrgentItIs() {
        let watched = Watched()
        #expect(watched.pressure.urgency { _ in true } == 0)
        _ = watched.look(400, at: second)
        #expect(watched.pressure.urgency { _ in true } == 400)
        #expect(watched.pressure.urgency { $0.kind == .ports } == 0)
        // At this rate 80 % is 8 s away.
        for step in 2...6 { _ = watched.look(400 + 40 * UInt64(step - 1), at: UInt64(step) * second) }
        #expect(watched.pressure.urgency { _ in true } == 750)
        _ = watched.look(940, at: 7 * second)
        #expect(watched.pressure.urgency { _ in true } == 940)
        // All was told.
        _ = watched.look(960, at: 8 * second)
        #expect(watched.pressure.urgency { _ in true } == 500)
    }

    @Test func aFastClimbIsLookedAtInTime() {
        let watched = Watched(limit: 100_000)
        var (time, looks) = (15 * second, 0)
        while true {
            // 1 % a second.
            let used = time / 1_000_000
            guard used < 79_000 else { break }
            _ = watched.look(used, at: time)
            looks += 1
            time += watched.pressure.delay(afterLookCosting: 100_000)
        }
        // The look that finds the crossing comes soon after it.
        #expect(time < 83 * second)
        #expect(looks < 50)
    }
}
