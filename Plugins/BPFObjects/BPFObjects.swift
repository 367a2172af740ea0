import Foundation
import PackagePlugin

/// Compiles each `bpf/*.bpf.c` with the toolchain's clang and hands the objects to the target as Swift source.
@main
struct BPFObjects: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let root = context.package.directoryURL
        let programs = root.appending(path: "bpf")
        let wire = root.appending(path: "Sources/CPortTraceWire/include")
        let files = try FileManager.default.contentsOfDirectory(at: programs, includingPropertiesForKeys: nil)
        let headers =
            files.filter { $0.pathExtension == "h" }
            + ["pt_wire.h", "pt_conntrack.h", "pt_census.h"].map { wire.appending(path: $0) }
        let compile = root.appending(path: "scripts/compile-bpf")
        let clang = try context.tool(named: "clang").url
        let embed = try context.tool(named: "embed-object").url

        return files.filter { $0.lastPathComponent.hasSuffix(".bpf.c") }.map { source in
            let name = source.lastPathComponent.replacing(".bpf.c", with: "")
            let output = context.pluginWorkDirectoryURL.appending(path: "\(name).bpf.swift")
            return .buildCommand(
                displayName: "Compiling BPF object \(name)",
                executable: embed,
                arguments: [name, output.path, compile.path, clang.path, source.path],
                inputFiles: [source, compile] + headers,
                outputFiles: [output])
        }
    }
}
