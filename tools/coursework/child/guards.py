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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.coursework.child import filter, room
else:  # this folder is all that the process sees of the package
    import filter
    import room

NOBODY = 65534
# Namespaces, and the guard that each is; of mounts, which is none before the root is another.
SPACES = {0x40000000: "no network", 0x08000000: "own shared memory", 0x00020000: "mounts"}
NEW_USER = 0x10000000
RULESET, RULE, RESTRICT = 444, 445, 446  # Landlock's system calls, the same on every processor
READ = 1 << 0 | 1 << 2 | 1 << 3  # to execute, to read a file, to list a folder
WRITE_FILE, TRUNCATE, DEVICE = 1 << 1, 1 << 14, 1 << 15
# All but to execute, and to make devices, sockets and pipes.
READ_AND_WRITE = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 12 | 1 << 13
READ_AND_WRITE |= TRUNCATE
OF_FILES = 1 << 0 | 1 << 1 | 1 << 2 | TRUNCATE | DEVICE  # the rights that a file can have
READ_SEARCH = 1 << 2  # the right of root to read every file, which Landlock then narrows
THREADS = 64  # that a submission may have at once
BIGGEST = 16  # megabytes in a file, on a disk that is everybody's
DESCRIPTORS = 128  # what the kernel keeps behind one of them, no other limit counts


@dataclass(frozen=True)
class Wanted:
    """What the parent asks for.

    `tasks` is how many processes and threads the user has now, `user` whom root becomes. `walled`
    says that the process sees no files of others already. `without` names guards that are not
    tried: namespaces, own root, Landlock, filter. `parent` is the grader, with which to die.
    """

    seconds: int
    megabytes: int
    tasks: int
    readable: Sequence[str]
    scratch: str
    user: int
    walled: bool
    without: Sequence[str]
    parent: int = 0


def guard(wanted: Wanted) -> list[str]:
    """Give up all that computing does not need; return the names of the guards that hold."""
    libc = ctypes.CDLL(None, use_errno=True)
    _one_thread()
    if sys.platform == "linux":
        libc.prctl(
            38, 1, 0, 0, 0
        )  # no program gives new privileges: Landlock and filter ask for it
    held = [] if wanted.walled else _own_spaces(libc, wanted)
    inside = wanted.walled or "own root" in held
    if "Landlock" not in wanted.without:
        held += _landlock(libc, wanted, ["/"] if "own root" in held else wanted.readable)
    if os.getuid() == 0:
        held += _become_another(libc, wanted, reads="files" in held)
    elif sys.platform == "linux":  # a namespace of its own gave an ordinary user all rights in it
        _keep(libc, 0)
    _die_with(libc, wanted)
    if "filter" not in wanted.without and filter.close(libc, only_scratch=inside):
        held.append("system calls")
    file_size = room.MEGABYTES if inside else BIGGEST if "files" in held else 0
    return held + _limits(wanted, file_size, "system calls" in held)


def _die_with(libc: ctypes.CDLL, wanted: Wanted) -> None:
    """End when the grader ends, however it ended; to become another user had cleared this."""
    if sys.platform == "linux" and not wanted.walled:  # bubblewrap sees to it by itself
        libc.prctl(1, 9, 0, 0, 0)
        if wanted.parent and os.getppid() != wanted.parent:
            raise RuntimeError("the grader ended while its guards were closed")


def _one_thread() -> None:
    """Refuse to go on with several threads: the kernel guards only the one that asks for it."""
    with contextlib.suppress(FileNotFoundError):
        number = len(os.listdir("/proc/self/task"))
        if number > 1:
            raise RuntimeError(f"the imports left {number} threads running; there must be one")


def _limits(wanted: Wanted, file_size: int, no_fork: bool) -> list[str]:
    """Limit computing time and memory above what is used now, processes, and what is written."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    computing = int(used.ru_utime + used.ru_stime) + wanted.seconds
    tasks = wanted.tasks + THREADS if no_fork else 0
    limits = {
        "time": (resource.RLIMIT_CPU, computing, computing + 1),
        "memory": (resource.RLIMIT_AS, *[_memory() + (wanted.megabytes << 20)] * 2),
        "processes": (resource.RLIMIT_NPROC, tasks, tasks),
        "written files": (resource.RLIMIT_FSIZE, file_size << 20, file_size << 20),
        "core dumps": (resource.RLIMIT_CORE, 0, 0),
        "descriptors": (resource.RLIMIT_NOFILE, DESCRIPTORS, DESCRIPTORS),
    }
    held = []
    for name, (what, soft, hard) in limits.items():
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(what, (soft, hard))
            held.append(name)
    return held


def _memory() -> int:
    """Bytes of address space that this process holds already."""
    with contextlib.suppress(OSError), open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
    return 4 << 30


def _own_spaces(libc: ctypes.CDLL, wanted: Wanted) -> list[str]:
    """Move to a network without interfaces, to shared memory and to files that nobody else sees."""
    if sys.platform != "linux" or "namespaces" in wanted.without:
        return []
    user, group = os.getuid(), os.getgid()
    with_user = 0 if user == 0 else NEW_USER  # an ordinary user has no right to the others
    if libc.unshare(with_user | sum(SPACES)) == 0:
        moved = list(SPACES.values())
    else:  # all at once, or else those that this system has
        libc.unshare(with_user)
        moved = [name for flag, name in SPACES.items() if libc.unshare(flag) == 0]
    with contextlib.suppress(OSError):
        if with_user:
            room.map_user(user, group)
    inside = "mounts" in moved and "own root" not in wanted.without
    inside = inside and room.move_in(libc, wanted.readable, wanted.scratch)
    return [name for name in moved if name != "mounts"] + ["own root"] * inside


def _landlock(libc: ctypes.CDLL, wanted: Wanted, readable: Sequence[str]) -> list[str]:
    """Let only `readable` be read, only the scratch folder be written, and no TCP be used.

    From version 6 on (Linux 6.12) no other process can be signalled either.
    """
    version = libc.syscall(RULESET, None, 0, 1) if sys.platform == "linux" else 0
    if version < 1:
        return []
    files = (1 << 13 + (version >= 2) + (version >= 3) + (version >= 5)) - 1
    rights = struct.pack("3Q", files, 3, 3)[: 8 + 8 * (version >= 4) + 8 * (version >= 6)]
    ruleset = libc.syscall(RULESET, rights, len(rights), 0)
    places = [(folder, READ) for folder in readable]
    places += [(device, READ | WRITE_FILE) for device in room.DEVICES]
    for path, wished in [*places, (wanted.scratch, READ_AND_WRITE)]:
        with contextlib.suppress(OSError):
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            right = files & wished & (-1 if os.path.isdir(path) else OF_FILES)
            libc.syscall(RULE, ruleset, 1, struct.pack("=Qi", right, place), 0)
            os.close(place)
    closed = libc.syscall(RESTRICT, ruleset, 0) == 0
    os.close(ruleset)
    return ["files", *["no TCP"] * (version >= 4), *["no signals"] * (version >= 6)] * closed


def _become_another(libc: ctypes.CDLL, wanted: Wanted, reads: bool) -> list[str]:
    """Root could lift its limits: become a user that nobody is, or else nobody.

    Behind Landlock keep the right to read if Python or the scratch folder cannot be reached
    otherwise.
    """
    _give(wanted.scratch, wanted.user)
    if sys.platform == "linux":
        libc.prctl(
            8, 1, 0, 0, 0
        )  # keep the capabilities over the change of user, to drop them here
    os.setgroups([])
    user = wanted.user
    try:
        os.setgid(user)
    except OSError:  # in a container that has not so many users
        user = NOBODY
        os.setgid(user)
    os.setuid(user)
    if sys.platform == "linux":
        _keep(libc, READ_SEARCH if reads and not _reachable(wanted.scratch) else 0)
    return ["own user"] if user == wanted.user else []


def _give(folder: str, user: int) -> None:
    """Give a folder and what the imports left in it to a user, where that is allowed."""
    for path, _, files in os.walk(folder):
        for name in [path, *(os.path.join(path, name) for name in files)]:
            with contextlib.suppress(OSError):
                os.chown(name, user, user, follow_symlinks=False)


def _reachable(scratch: str) -> bool:
    """Whether this user can read all of the modules that are there, and write to its folder."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    readable = all(os.access(file, os.R_OK) for file in files if isinstance(file, str))
    return readable and os.access(scratch, os.W_OK)


def _keep(libc: ctypes.CDLL, kept: int) -> None:
    """Keep these capabilities and drop all others."""
    header, rights = struct.pack("Ii", 0x20080522, 0), struct.pack("6I", kept, kept, 0, 0, 0, 0)
    if libc.capset(header, rights):  # what bubblewrap took away already cannot be kept
        libc.capset(header, bytes(24))
