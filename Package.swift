// swift-tools-version: 6.2
import PackageDescription

let swiftSettings: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// For what runs seldom: less code.
let smallSettings = swiftSettings + [.unsafeFlags(["-Osize"], .when(configuration: .release))]

let package = Package(
    name: "porttrace",
    products: [.executable(name: "porttrace", targets: ["porttrace"])],
    targets: [
        .systemLibrary(name: "CLibbpf", providers: [.apt(["libbpf-dev", "libelf-dev", "zlib1g-dev"])]),
        .systemLibrary(name: "CJansson", providers: [.apt(["libjansson-dev"])]),
        .systemLibrary(name: "CNcurses", providers: [.apt(["libncurses-dev"])]),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CLinux"),
        .target(name: "CPortTraceWire"),
        .target(name: "BPF", dependencies: ["CLibbpf"], swiftSettings: swiftSettings),
        .target(name: "JSON", dependencies: ["CJansson"], swiftSettings: swiftSettings),
        .target(name: "PortTraceCore", dependencies: ["CPortTraceWire", "JSON"], swiftSettings: smallSettings),
        .target(
            name: "PortTraceNode", dependencies: ["CLinux", "JSON", "PortTraceCore"], swiftSettings: smallSettings),
        .target(
            name: "PortTraceProbes",
            dependencies: ["BPF", "CLinux", "CPortTraceWire", "CZlib", "PortTraceCore"],
            swiftSettings: smallSettings,
            plugins: ["BPFObjects"]),
        .target(
            name: "PortTraceTerminal", dependencies: ["CLinux", "CNcurses", "PortTraceCore"],
            swiftSettings: smallSettings),
        .executableTarget(
            name: "porttrace",
            dependencies: ["CLinux", "PortTraceCore", "PortTraceNode", "PortTraceProbes", "PortTraceTerminal"],
            swiftSettings: smallSettings,
            linkerSettings: [
                // Functions of the same code are one: generic Swift has many.
                .unsafeFlags(["-static-executable", "-Xlinker", "--icf=safe"], .when(configuration: .release))
            ]),

        // Build time only: compiles bpf/*.bpf.c and embeds the objects in PortTraceProbes.
        .executableTarget(name: "embed-object", dependencies: ["CZlib"], swiftSettings: swiftSettings),
        .plugin(name: "BPFObjects", capability: .buildTool(), dependencies: ["embed-object"]),

        .testTarget(name: "JSONTests", dependencies: ["JSON"], swiftSettings: swiftSettings),
        .testTarget(
            name: "PortTraceCoreTests", dependencies: ["PortTraceCore", "CPortTraceWire", "ReplayedNode"],
            swiftSettings: swiftSettings),
        // A node of numbers, for top's screens: in unit tests, and on a terminal.
        .target(
            name: "ReplayedNode", dependencies: ["PortTraceCore"], path: "Tests/screen/node",
            swiftSettings: swiftSettings),
        .testTarget(
            name: "PortTraceProbesTests", dependencies: ["CPortTraceWire", "PortTraceProbes", "PortTraceCore"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "PortTraceNodeTests", dependencies: ["CLinux", "PortTraceCore", "PortTraceNode"],
            swiftSettings: swiftSettings),

        // Not in `swift test`: a release build has no @testable, and these want one (make bench, make soak, Tests/screen).
        .executableTarget(
            name: "bench-stream", dependencies: ["CPortTraceWire", "PortTraceCore"], path: "Tests/bench/stream",
            swiftSettings: swiftSettings,
            linkerSettings: [
                .unsafeFlags(["-static-executable"], .when(configuration: .release))
            ]),
        .executableTarget(
            name: "replayed-top", dependencies: ["CLinux", "PortTraceCore", "PortTraceTerminal", "ReplayedNode"],
            path: "Tests/screen/replay", swiftSettings: swiftSettings,
            linkerSettings: [
                .unsafeFlags(["-static-executable"], .when(configuration: .release))
            ]),
        .executableTarget(
            name: "census-ports", dependencies: ["PortTraceCore", "PortTraceProbes"], path: "Tests/tools/census-ports",
            swiftSettings: swiftSettings,
            linkerSettings: [
                .unsafeFlags(["-static-executable"], .when(configuration: .release))
            ]),
        .executableTarget(
            name: "read-tables",
            dependencies: ["CLinux", "PortTraceCore", "PortTraceNode", "PortTraceProbes"],
            path: "Tests/tools/read-tables", swiftSettings: swiftSettings,
            linkerSettings: [
                .unsafeFlags(["-static-executable"], .when(configuration: .release))
            ]),
        .executableTarget(
            name: "soak", dependencies: ["CPortTraceWire", "PortTraceCore"], path: "Tests/soak/fuzz",
            swiftSettings: swiftSettings),
    ],
    swiftLanguageModes: [.v6]
)
