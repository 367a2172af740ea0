"""What a guest boots from: a Debian kernel's vmlinux and an initramfs that reaches the host's root."""

import dataclasses
import lzma
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
UNITS = ("job.target", "job.service")  # for a guest that boots systemd
NEEDED_MODULES = ("virtio_pci", "virtiofs", "overlay", "virtio_rng")
COMPRESSIONS = (
    (b"\x02\x21\x4c\x18", ["lz4", "-dc"]),
    (b"\xfd7zXZ\0", ["xz", "-dc"]),
    (b"\x28\xb5\x2f\xfd", ["zstd", "-dc"]),
    (b"\x1f\x8b\x08", ["gzip", "-dc"]),
)


class ImageError(Exception):
    """A kernel that cannot be made to boot."""


def cache():
    return pathlib.Path(os.environ.get("PORTTRACE_KERNELS", "~/.cache/porttrace-kernels")).expanduser()


@dataclasses.dataclass(frozen=True)
class Kernel:
    """An unpacked Debian kernel."""

    suite: str
    release: str
    base: pathlib.Path  # holds lib/modules
    modules: pathlib.Path
    compressed: pathlib.Path

    @property
    def boot(self):
        return cache() / "boot" / self.suite


def find_kernel(suite):
    root = cache() / "roots" / suite
    if not (root / ".done").exists():
        raise ImageError(f"no kernel of {suite}: run getkernel {suite}")
    found = [d for base in (root, root / "usr") for d in base.glob("lib/modules/*") if d.is_dir()]
    if not found:
        raise ImageError(f"no modules under {root}")
    modules = found[0]
    images = [*root.glob("boot/vmlinuz-*"), *modules.glob("vmlinuz*")]
    if not images:
        raise ImageError(f"no vmlinuz under {root}")
    return Kernel(suite, modules.name, modules.parents[2], modules, images[0])


def uncompressed(kernel):
    """The path of the ELF inside vmlinuz: it boots through PVH, faster than the compressed image."""
    target = kernel.boot / f"vmlinux-{kernel.release}"
    if not target.exists():
        write_whole(target, extract(kernel.compressed.read_bytes()))
    return target


def extract(image):
    for magic, command in COMPRESSIONS:
        at = image.find(magic)
        while at >= 0:
            run = subprocess.run(command, input=image[at:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            if run.stdout.startswith(b"\x7fELF"):
                return run.stdout
            at = image.find(magic, at + 1)
    raise ImageError("no ELF inside vmlinuz")


def write_whole(path, data):
    """Two runs may make the same file at once: neither sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(data)
    part.rename(path)


def initramfs(kernel, settings, job):
    """The bytes of an initramfs: busybox, the modules, guest-init, and this run's settings and job."""
    base = kernel.boot / f"initramfs-{kernel.release}.cpio"
    sources = [HERE / name for name in ("guest-init", "guest_image.py", *UNITS)]
    if not base.exists() or base.stat().st_mtime < max(s.stat().st_mtime for s in sources):
        write_whole(base, archive(base_files(kernel)))
    return base.read_bytes() + archive({"settings": (0o644, settings), "job": (0o644, job)})


def base_files(kernel):
    files = {
        "bin/busybox": (0o755, pathlib.Path("/bin/busybox").read_bytes()),
        "init": (0o755, (HERE / "guest-init").read_bytes()),
        **{name: (0o644, (HERE / name).read_bytes()) for name in UNITS},
    }
    order = []
    for path in module_files(kernel):
        name = path.name.removesuffix(".xz").removesuffix(".zst")
        if name not in order:
            order.append(name)
            files[f"modules/{name}"] = (0o644, module_bytes(path))
    files["modules/order"] = (0o644, "".join(f"{name}\n" for name in order).encode())
    return files


def module_files(kernel):
    """The needed modules with what they depend on, in the order in which to insert them."""
    if not (kernel.modules / "modules.dep").exists():
        subprocess.run(["depmod", "-b", kernel.base, kernel.release], check=True)
    for module in NEEDED_MODULES:
        command = ["modprobe", "-d", kernel.base, "-S", kernel.release, "-D", "-q", module]
        listing = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout
        for line in listing.splitlines():
            if line.startswith("insmod "):
                yield pathlib.Path(line.split()[1])


def module_bytes(path):
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dc", path], stdout=subprocess.PIPE, check=True).stdout
    return path.read_bytes()


def archive(files):
    """A cpio archive in the "newc" form, with every folder that the names need."""
    folders = sorted({str(p) for name in files for p in pathlib.PurePath(name).parents} - {"."})
    entries = [(name, 0o040755, b"") for name in folders]
    entries += [(name, 0o100000 | mode, data) for name, (mode, data) in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    return b"".join(cpio_entry(number, *entry) for number, entry in enumerate(entries, 1))


def cpio_entry(inode, name, mode, data):
    encoded = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return padded(header) + padded(data)


def padded(data):
    return data + b"\0" * (-len(data) % 4)
