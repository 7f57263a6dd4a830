"""Which system calls a submission may make: the kernel answers the others itself (seccomp).

What reaches beyond the process is refused: sockets, shared memory, other processes, new processes,
mounts. What only computes, or works on a file that is open already, passes. A refused call gets
EPERM, or ENOSYS where libc then takes an older call.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ALLOW, ANSWER = 0x7FFF0000, 0x00050000
REFUSED, UNKNOWN, AS_DONE = ANSWER | errno.EPERM, ANSWER | errno.ENOSYS, ANSWER
PROCESSORS = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column in CALLS, audit name
X32 = 0x40000000  # from here on x86_64 numbers the same calls a second time

# The numbers of each call on x86_64 and on aarch64, which lacks some.
SOCKETS = """socket 41 198, connect 42 203, bind 49 200, listen 50 201, accept 43 202,
    accept4 288 242, setsockopt 54 208"""
SHARED = """shmget 29 194, shmat 30 196, shmctl 31 195, shmdt 67 197, semget 64 190, semop 65 193,
    semctl 66 191, semtimedop 220 192, msgget 68 186, msgsnd 69 189, msgrcv 70 188, msgctl 71 187,
    mq_open 240 180, mq_unlink 241 181, mq_timedsend 242 182, mq_timedreceive 243 183,
    mq_notify 244 184, add_key 248 217, request_key 249 218, keyctl 250 219,
    memfd_create 319 279, memfd_secret 447 447"""
PROCESSES = """ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271,
    process_madvise 440 440, process_mrelease 448 448, pidfd_send_signal 424 424,
    pidfd_open 434 434, pidfd_getfd 438 438, kcmp 312 272, setpriority 141 140, ioprio_set 251 30,
    move_pages 279 239, migrate_pages 256 238, fork 57 -, vfork 58 -, execve 59 221,
    execveat 322 281"""
WATCHING = """perf_event_open 298 241, bpf 321 280, userfaultfd 323 282, inotify_init 253 -,
    inotify_init1 294 26, inotify_add_watch 254 27, fanotify_init 300 262, fanotify_mark 301 263,
    syslog 103 116"""
PLACES = """unshare 272 97, setns 308 268, mount 165 40, umount2 166 39, pivot_root 155 41,
    chroot 161 51, open_tree 428 428, move_mount 429 429, fsopen 430 430, fsconfig 431 431,
    fsmount 432 432, fspick 433 433, mount_setattr 442 442, statmount 457 457, listmount 458 458,
    open_tree_attr 467 467, name_to_handle_at 303 264, open_by_handle_at 304 265,
    quotactl 179 60, quotactl_fd 443 443"""
NEWER = "clone3 435 435, io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427"
SIGNALS = "kill 62 129, tkill 200 130, tgkill 234 131, rt_sigqueueinfo 129 138"
SIGNALS += ", rt_tgsigqueueinfo 297 240"
OF_A_PROCESS = """prlimit64 302 261, sched_setaffinity 203 122, sched_setscheduler 144 119,
    sched_setparam 142 118, sched_setattr 314 274"""
# Landlock, unlike an own file system, lets the owner of a file change these.
MODES_AND_DATES = """chmod 90 -, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452, chown 92 -,
    lchown 94 -, fchown 93 55, fchownat 260 54, utime 132 -, utimes 235 -, futimesat 261 -,
    utimensat 280 88, setxattr 188 5, lsetxattr 189 6, fsetxattr 190 7, setxattrat 463 463,
    removexattr 197 14, lremovexattr 198 15, fremovexattr 199 16, removexattrat 466 466,
    file_setattr 469 469"""

WORD = 0xFFFFFFFF
THREAD, SPACES = 0x00010000, 0x7E020000  # of clone: what it must have, what it must not have
STREAM = 1  # on a pair of datagram sockets, a path could still be written to
OWNERS, LEASES = (8, 15), (1024, 1026)  # of fcntl: whom to signal; to be told of others' accesses
LOCKS = (6, 7, 37, 38)  # of fcntl: on a file that all may read, a lock is a message
IOCTLS = (0x8901, 0x8902, 0x5412, 0x541C, 0x40086602, 0x401C5820)  # owners, terminals, file flags


@dataclass(frozen=True)
class Case:
    """The answer to calls in which one argument, seen through a mask, has one of these values."""

    argument: int
    mask: int
    values: Sequence[int]
    answer: int


@dataclass(frozen=True)
class Rule:
    """The answer to the calls with one of these numbers: that of the first case, or `otherwise`."""

    calls: str
    otherwise: int
    cases: Sequence[Case] = ()


def rules(pid: int, only_scratch: bool) -> list[Rule]:
    """All rules for the process `pid`; `only_scratch` says that it sees no file to harm."""
    own = [Case(0, WORD, [pid], ALLOW)]
    own_or_0 = [Case(0, WORD, [0, pid], ALLOW)]
    fcntl = [Case(1, WORD, [*OWNERS, *LEASES], REFUSED), Case(1, WORD, LOCKS, AS_DONE)]
    found = [
        *(Rule(calls, REFUSED) for calls in (SOCKETS, SHARED, PROCESSES, WATCHING, PLACES)),
        Rule(NEWER, UNKNOWN),
        Rule("socketpair 53 199", REFUSED, [Case(1, 0xF, [STREAM], ALLOW)]),
        Rule("clone 56 220", REFUSED, [Case(0, THREAD | SPACES, [THREAD], ALLOW)]),
        Rule(SIGNALS, REFUSED, own),
        Rule(OF_A_PROCESS, REFUSED, own_or_0),
        Rule("fcntl 72 25", ALLOW, fcntl),
        Rule("ioctl 16 29", ALLOW, [Case(1, WORD, IOCTLS, REFUSED)]),
        Rule("flock 73 32", AS_DONE),  # honest programs lock what nobody else has
    ]
    if not only_scratch:  # copying a file sets its mode, which must not fail
        found += [Rule(MODES_AND_DATES, AS_DONE), Rule("truncate 76 45", REFUSED)]
    return found


def program(processor: str, pid: int, only_scratch: bool) -> bytes:
    """The rules as the kernel reads them: instructions of the Berkeley packet filter."""
    column, name = PROCESSORS[processor]
    lines = [_load(4), _jump(0x15, 1, 0, name), _answer(UNKNOWN), _load(0)]
    if processor == "x86_64":
        lines += [_skip_unless(0x35, X32), _answer(UNKNOWN)]
    for rule in rules(pid, only_scratch):
        body = b"".join(_decide(rule))
        for number in numbers(rule.calls, column):
            lines += [_jump(0x15, 0, len(body) // 8, number), body]
    return b"".join([*lines, _answer(ALLOW)])


def numbers(calls: str, column: int) -> list[int]:
    """The numbers of calls that are written like `socket 41 198, fork 57 -`."""
    each = [call.split()[1 + column] for call in calls.split(",")]
    return [int(number) for number in each if number != "-"]


def _decide(rule: Rule) -> Iterator[bytes]:
    for case in rule.cases:
        yield _load(16 + 8 * case.argument)  # the low half: the kernel looks at no more of these
        yield struct.pack("HBBI", 0x54, 0, 0, case.mask)
        for value in case.values:
            yield _skip_unless(0x15, value) + _answer(case.answer)
    yield _answer(rule.otherwise)


def _load(offset: int) -> bytes:
    return struct.pack("HBBI", 0x20, 0, 0, offset)


def _jump(kind: int, yes: int, no: int, value: int) -> bytes:
    """Skip `yes` instructions if what was loaded equals (0x15) or reaches (0x35) the value."""
    return struct.pack("HBBI", kind, yes, no, value)


def _skip_unless(kind: int, value: int) -> bytes:
    return _jump(kind, 0, 1, value)


def _answer(answer: int) -> bytes:
    return struct.pack("HBBI", 0x06, 0, 0, answer)


def close(libc: ctypes.CDLL, only_scratch: bool) -> bool:
    """Put the filter on this process, for good; say whether the kernel took it.

    The process has given up new privileges already, without which only root could do this.
    """
    processor = platform.machine()
    if sys.platform != "linux" or processor not in PROCESSORS or ctypes.sizeof(ctypes.c_void_p) < 8:
        return False
    lines = program(processor, os.getpid(), only_scratch)
    array = ctypes.create_string_buffer(lines, len(lines))
    told = ctypes.create_string_buffer(struct.pack("HP", len(lines) // 8, ctypes.addressof(array)))
    call = 317 if processor == "x86_64" else 277
    return bool(libc.syscall(call, 1, 1, told) == 0)  # 1, 1: set a filter, on all threads
