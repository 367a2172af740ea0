internal import Glibc

/// An open file of the kernel's: a map, a program, a link, a file. Closes it when it goes away.
public final class Descriptor {
    public let number: Int32

    /// Takes over an open descriptor.
    public init(_ number: Int32) {
        self.number = number
    }

    deinit { close(number) }
}
