"""A file system of a process's own, which holds what it may read and one folder to write in.

A root in memory, with the readable folders bound into it at their own paths. What is not bound has
no name there: it can be neither opened nor looked for.
"""

import ctypes
import os
import shutil
import struct
from collections.abc import Iterable
from pathlib import Path

BIND, RECURSIVE, PRIVATE, DETACH = 1 << 12, 1 << 14, 1 << 18, 2
READ_ONLY, NO_SETUID, NO_DEVICES = 1, 2, 4  # the same bits for `mount` and for its attributes
SET_ATTRIBUTES, HERE, BELOW_TOO = 442, -100, 0x8000  # a system call of Linux 5.12 and its options
DEVICES = ["/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"]
MEGABYTES, FILES = 64, 4096  # of the folder to write in


def map_user(user: int, group: int) -> None:
    """In a new namespace of users, stay who we were."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def move_in(libc: ctypes.CDLL, readable: Iterable[str], scratch: str) -> bool:
    """Build the file system and make it the root; say whether that worked.

    The process needs a namespace of mounts, and `scratch` as its current folder: there is then a
    folder of this name to write in, with a copy of what was in it. If the system refuses, the old
    root stays.
    """
    try:
        _mount(libc, "none", "/", PRIVATE | RECURSIVE)
        _mount(libc, "tmpfs", scratch, NO_SETUID | NO_DEVICES, "size=1m,mode=755")
    except OSError:
        return False
    try:
        _furnish(libc, scratch, readable)
        _add_scratch(libc, scratch, scratch)
        os.chdir(scratch)
        _check(libc.pivot_root(b".", b"."), "pivot_root")
    except OSError:
        libc.umount2(os.fsencode(scratch), DETACH)
        os.chdir(scratch)
        return False
    _check(libc.umount2(b".", DETACH), "the old root stays")
    os.chdir(scratch)
    return True


def _furnish(libc: ctypes.CDLL, root: str, readable: Iterable[str]) -> None:
    """Bind the readable folders and the devices, and make the links that lead to them."""
    links: dict[str, str] = {}
    found = {resolved(path, links) for path in readable if os.path.exists(path)}
    bound: list[str] = []
    for path in sorted(found, key=lambda path: (path.count("/"), path)):
        if not any(Path(path).is_relative_to(other) for other in bound):
            _bind(libc, path, root + path, NO_DEVICES)
            bound.append(path)
    for device in filter(os.path.exists, DEVICES):
        _bind(libc, device, root + device, 0)
    for link, target in links.items():
        if not os.path.lexists(root + link):  # it came along with the folder that it lies in
            os.makedirs(os.path.dirname(root + link), exist_ok=True)
            os.symlink(target, root + link)


def resolved(path: str, links: dict[str, str]) -> str:
    """The path without links; each link on the way and its target are added to `links`."""
    at = "/"
    for part in Path(path).parts[1:]:
        at = os.path.join(at, part)
        if os.path.islink(at):
            links[at] = os.readlink(at)
            at = resolved(os.path.normpath(os.path.join(os.path.dirname(at), links[at])), links)
    return at


def _bind(libc: ctypes.CDLL, path: str, place: str, attributes: int) -> None:
    if os.path.isdir(path):
        os.makedirs(place, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        Path(place).touch()
    _mount(libc, path, place, BIND | RECURSIVE)
    _protect(libc, place, READ_ONLY | NO_SETUID | attributes)


def _add_scratch(libc: ctypes.CDLL, root: str, scratch: str) -> None:
    """Mount the folder to write in, with what the current folder holds; nothing else is written."""
    place = root + scratch
    os.makedirs(place, exist_ok=True)
    options = f"size={MEGABYTES}m,nr_inodes={FILES},mode=700"
    _mount(libc, "tmpfs", place, NO_SETUID | NO_DEVICES, options)
    shutil.copytree(".", place, symlinks=True, dirs_exist_ok=True)
    _protect(libc, root, READ_ONLY, below=0)


def _mount(libc: ctypes.CDLL, what: str, place: str, flags: int, options: str = "") -> None:
    kind, where = os.fsencode(what), os.fsencode(place)
    result = libc.mount(kind, where, kind, ctypes.c_ulong(flags), os.fsencode(options))
    _check(result, f"mount {place}")


def _protect(libc: ctypes.CDLL, place: str, attributes: int, below: int = BELOW_TOO) -> None:
    """Add attributes to a mount, and to all below it; those that it has stay."""
    told = struct.pack("4Q", attributes, 0, 0, 0)
    result = libc.syscall(SET_ATTRIBUTES, HERE, os.fsencode(place), below, told, len(told))
    _check(result, f"mount_setattr {place}")


def _check(result: int, what: str) -> None:
    if result:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
