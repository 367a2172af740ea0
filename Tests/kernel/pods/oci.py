"""Writes an OCI image archive with one layer."""

import hashlib
import io
import json
import platform
import tarfile

FOLDERS = ("bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def read_image(archive):
    """The configuration of an archive's one image, and the names of all files in it."""
    with tarfile.open(archive) as content:
        (manifest,) = json.load(content.extractfile("index.json"))["manifests"]
        manifest = json.load(content.extractfile(blob(manifest)))
        config = json.load(content.extractfile(blob(manifest["config"])))
        names = []
        for part in manifest["layers"]:
            with tarfile.open(fileobj=content.extractfile(blob(part))) as files:
                names += files.getnames()
    return config, names


def blob(descriptor):
    return "blobs/" + descriptor["digest"].replace(":", "/")


def layer(files, links):
    """`files`: path → content; `links`: path → target."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in FOLDERS:
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(folder)
        for name, data in files.items():
            add(archive, name, data, 0o755)
        for name, target in links.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
    return content.getvalue()


def add(archive, name, data, mode=0o644):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def write_image(path, name, files, links=None, entrypoint=()):
    """An archive for `ctr images import`; `name` is REPOSITORY:TAG."""
    platform_of = {"architecture": ARCHITECTURES[platform.machine()], "os": "linux"}
    content = layer(files, links or {})
    settings = {"Env": ["PATH=/bin"], "Entrypoint": list(entrypoint)}
    root = {"type": "layers", "diff_ids": [digest(content)]}
    config = json.dumps(platform_of | {"config": settings, "rootfs": root}).encode()
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST}
    manifest["config"] = described("application/vnd.oci.image.config.v1+json", config)
    manifest["layers"] = [described("application/vnd.oci.image.layer.v1.tar", content)]
    manifest = json.dumps(manifest).encode()
    names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
    entry = described(MANIFEST, manifest) | {"platform": platform_of, "annotations": names}
    with tarfile.open(path, "w") as archive:
        add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        add(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
        for blob in (config, content, manifest):
            add(archive, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)


def described(media_type, data):
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}
