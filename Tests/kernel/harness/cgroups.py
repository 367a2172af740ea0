"""Cgroups at any path, of v2 and of v1's hierarchies."""

import pathlib

from robust.lab import Skip

from .node import cgroup2_root, remove_cgroup

KNOWN = ("memory", "pids", "cpu", "devices")  # the hierarchies in which porttrace looks for containers, in its order


def v1_mounts():
    """controller → where its v1 hierarchy is mounted."""
    mounts = {}
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, folder, kind, options, *_ = line.split()
        if kind == "cgroup":
            mounts |= {name: pathlib.Path(folder) for name in options.split(",")}
    return mounts


def need_v1():
    """(the controller by which porttrace knows the containers' hierarchy, controller → mount)"""
    mounts = v1_mounts()
    found = [name for name in KNOWN if name in mounts]
    if not found:
        raise Skip("no controller in a v1 hierarchy here")
    return found[0], {name: mounts[name] for name in found}


def made_cgroup(lab, path, root=None):
    """`root`: of a hierarchy; None: of v2."""
    folder = root or cgroup2_root()
    for part in pathlib.PurePath(path).parts[1:]:
        folder = folder / part
        if not folder.exists():
            folder.mkdir()
            lab.stack.callback(remove_cgroup, folder)
    return folder
