"""What a process gives up, for good, before it runs a submission.

Each guard is the kernel's, so that no Python in the submission can lift it. Not every system has
every guard: `guard` answers with the names of those that hold.
"""

import contextlib
import ctypes
import os
import resource
import struct
import sys
from collections.abc import Iterable

NOBODY = 65534
NEW_USER, NEW_NET = 0x10000000, 0x40000000
RULESET, RULE, RESTRICT = 444, 445, 446  # Landlock's system calls, the same on every processor
READ = 1 << 0 | 1 << 2 | 1 << 3  # to execute, to read a file, to list a folder
READ_SEARCH = 1 << 2  # the right of root to read every file, which Landlock then narrows


def guard(seconds: int, megabytes: int, readable: Iterable[str]) -> list[str]:
    """Give up all that computing does not need; return the names of the guards that hold."""
    libc = ctypes.CDLL(None, use_errno=True)
    held = ["no network"] if _leave_network(libc) else []
    held += _landlock(libc, readable)
    if os.getuid() == 0:
        _become_nobody(libc, reads="files" in held)
    return held + _limits(seconds, megabytes)


def _limits(seconds: int, megabytes: int) -> list[str]:
    """Limit computing time and memory above what is used now; no processes, no files written."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    computing = int(used.ru_utime + used.ru_stime) + seconds
    wanted = {
        "time": (resource.RLIMIT_CPU, computing, computing + 1),
        "memory": (resource.RLIMIT_AS, *[_memory() + (megabytes << 20)] * 2),
        "processes": (resource.RLIMIT_NPROC, 0, 0),
        "written files": (resource.RLIMIT_FSIZE, 0, 0),
        "core dumps": (resource.RLIMIT_CORE, 0, 0),
    }
    held = []
    for name, (what, soft, hard) in wanted.items():
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(what, (soft, hard))
            held.append(name)
    return held


def _memory() -> int:
    """Bytes of address space that this process holds already."""
    with contextlib.suppress(OSError), open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
    return 4 << 30


def _leave_network(libc: ctypes.CDLL) -> bool:
    """Move to a network without interfaces; an ordinary user needs a user namespace for it."""
    if sys.platform != "linux":
        return False
    return bool(libc.unshare(NEW_NET if os.getuid() == 0 else NEW_USER | NEW_NET) == 0)


def _landlock(libc: ctypes.CDLL, readable: Iterable[str]) -> list[str]:
    """Let nothing be written, only what lies in `readable` be read, and no TCP be used.

    From version 6 on (Linux 6.12) no other process can be signalled either.
    """
    version = libc.syscall(RULESET, None, 0, 1) if sys.platform == "linux" else 0
    if version < 1 or libc.prctl(38, 1, 0, 0, 0):  # no new privileges, which Landlock asks for
        return []
    files = (1 << 13 + (version >= 2) + (version >= 3) + (version >= 5)) - 1
    rights = struct.pack("3Q", files, 3, 3)[: 8 + 8 * (version >= 4) + 8 * (version >= 6)]
    ruleset = libc.syscall(RULESET, rights, len(rights), 0)
    for folder in readable:
        with contextlib.suppress(OSError):
            place = os.open(folder, os.O_PATH)
            libc.syscall(RULE, ruleset, 1, struct.pack("=Qi", READ, place), 0)
            os.close(place)
    if libc.syscall(RESTRICT, ruleset, 0):
        return []
    return ["files"] + ["no TCP"] * (version >= 4) + ["no signals"] * (version >= 6)


def _become_nobody(libc: ctypes.CDLL, reads: bool) -> None:
    """Root could lift its limits: keep nothing but, behind Landlock, the right to read."""
    libc.prctl(8, 1, 0, 0, 0)  # keep the capabilities over the change of user, to drop them here
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    kept = READ_SEARCH if reads else 0
    header, rights = struct.pack("Ii", 0x20080522, 0), struct.pack("6I", kept, kept, 0, 0, 0, 0)
    if libc.capset(header, rights):  # what bubblewrap took away already cannot be kept
        libc.capset(header, bytes(24))
