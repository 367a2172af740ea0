internal import CLinux
internal import Glibc

/// Counters in which network drivers say that a limit beyond this node has refused packets, as `ethtool -S` shows them.
public struct DriverLimits: Sendable {
    /// A counter of one device.
    public struct Reading: Equatable, Sendable {
        public var device: String
        public var counter: String
        public var value: UInt64

        public init(device: String, counter: String, value: UInt64) {
            self.device = device
            self.counter = counter
            self.value = value
        }
    }

    /// Amazon's ENA: connections that the instance's own tracking had no room for (Documentation/networking/device_drivers/
    /// ethernet/amazon/ena.rst).
    private static let counters = ["conntrack_allowance_exceeded"]
    /// Devices that are asked; those of pods have no such counter.
    private static let mostDevices = 256

    public var readings: [Reading]

    public init(_ readings: [Reading] = []) {
        self.readings = readings
    }

    /// Of the devices in the network namespace that the calling thread is in.
    public static func read() -> DriverLimits {
        var readings: [Reading] = []
        guard let devices = if_nameindex() else { return DriverLimits() }
        defer { if_freenameindex(devices) }
        for index in 0..<mostDevices {
            guard let name = devices[index].if_name else { break }
            for counter in counters {
                var value: UInt64 = 0
                guard linux_driver_counter(name, counter, &value) == 1 else { continue }
                readings.append(Reading(device: String(cString: name), counter: counter, value: value))
            }
        }
        return DriverLimits(readings)
    }

    /// How far each has moved since an earlier reading; those that stand still are left out.
    public func moved(since earlier: DriverLimits) -> [(device: String, counter: String, moved: UInt64)] {
        readings.compactMap { reading in
            guard
                let before = earlier.readings.first(where: {
                    $0.device == reading.device && $0.counter == reading.counter
                }), reading.value > before.value
            else { return nil }
            return (reading.device, reading.counter, reading.value - before.value)
        }
    }
}
