"""The images of the pods: the failing clients beside a shell, and the sandbox's process."""

import pathlib
import subprocess

from harness import clients
from robust.lab import need_program

from .oci import write_image

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAUSE, CLIENTS = "localhost/pause:1", "localhost/clients:1"
BUSYBOX = pathlib.Path("/bin/busybox")
APPLETS = ("sh", "sleep", "cat", "true")


PROGRAMS = {
    "failing": sorted(clients.SOURCES.glob("*.c")),
    "flows": [clients.SOURCES / "flows/flows.c"],
    "pause": [clients.SOURCES / "pods/pause.c"],
}


def build_clients(folder):
    """Compiles what runs in the pods, statically, unless it is there."""
    inside = folder / "static"
    inside.mkdir(exist_ok=True)
    for name, files in PROGRAMS.items():
        if not (inside / name).exists():
            subprocess.run(["gcc", *clients.FLAGS, "-static", "-o", inside / name, *files], check=True)


def write_images(folder):
    """The images of the built clients, unless they are there."""
    if (folder / "clients.tar").exists():
        return
    content = {name: (folder / "static" / name).read_bytes() for name in PROGRAMS}
    write_image(folder / "pause.tar", PAUSE, {"pause": content["pause"]}, entrypoint=["/pause"])
    files = {f"bin/{name}": content[name] for name in ("failing", "flows")} | {"bin/busybox": BUSYBOX.read_bytes()}
    write_image(folder / "clients.tar", CLIENTS, files, {f"bin/{name}": "busybox" for name in APPLETS})


def build_porttrace(folder, program):
    """The product's own image, by its own recipe, unless it is there."""
    if not (folder / "porttrace.tar").exists():
        need_program("buildah")
        subprocess.run([ROOT / "scripts/image", program, folder / "porttrace.tar"], check=True, stdout=subprocess.DEVNULL)
