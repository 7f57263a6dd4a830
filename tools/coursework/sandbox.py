"""One process for one question of one submission: start it, ask it, end it.

The process runs `child` with an empty environment, behind bubblewrap where that is installed, and
gives up the rest by itself (`child/guards.py`). It answers over a socket; what it prints is lost.
"""

import contextlib
import ctypes
import functools
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from tools.coursework.child import wire
from tools.coursework.child.room import MEGABYTES

ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).resolve().parent / "child"
LIBRARY = ROOT / "fsps_lite"
SYSTEM = ["/usr", "/lib", "/lib64", "/bin", "/nix/store"]
SYSTEM += ["/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime"]  # libraries, and the time
START = 120  # seconds until torch is imported, on a busy machine
PATIENCE = 2  # seconds of waiting allowed for each second of computing
MOST_TEXT = 2_000_000  # bytes in all cells together
FIRST_USER = 1_900_000_000  # root becomes this plus the number of the process: nobody else has it
NOBODY = 65534  # whom root becomes where so high a number is refused
WARM = "warm"  # a folder in the room, whose files each child finds in its own
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_THREAD_LIMIT": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
    "TORCHDYNAMO_DISABLE": "1",  # torch.compile would start a compiler
    "PATH": "/usr/bin:/bin",
    "USER": "student",
    "LOGNAME": "student",
}
IN_SCRATCH = {
    "HOME": "",
    "TMPDIR": "",
    "MPLCONFIGDIR": "matplotlib",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "IPYTHONDIR": "ipython",
    "XDG_CACHE_HOME": "cache",
}


class Ended(Exception):
    """The process gave no answer and is gone; the message says why, in words for the student."""


class StartFailed(Exception):
    """The process could not start at all, which is no fault of a submission."""


class Child:
    """A process that has run `cells`, [(name, source), ...], and answers with `ask`.

    It gets a folder of its own in the folder `room`, which is gone when it ends. `guards` names
    what holds it; `without` names what is not even tried (`guards.Wanted`, and bubblewrap).
    """

    def __init__(
        self,
        cells: Iterable[tuple[str, str]],
        imports: Sequence[str],
        room: str,
        seconds: int,
        megabytes: int,
        without: Collection[str] = (),
    ) -> None:
        if sys.platform == "win32":
            raise StartFailed("submissions run on Linux or macOS: on Windows, grade in WSL")
        cells = weighed(cells)
        self.seconds = seconds
        self.ended: Ended | None = None
        self.guards: list[str] = []
        self.folder = own_folder(room)
        front = [] if "bubblewrap" in without else bubblewrap(self.folder)
        self._open(front)
        limits = {"seconds": seconds, "megabytes": megabytes}
        told = {**limits, **surroundings(self.folder, self.process.pid, bool(front))}
        self._begin({"imports": imports, "wanted": {**told, "without": sorted(without)}})
        self.guards = outer_guards(front) + self.guards
        self.deadline = time.monotonic() + PATIENCE * seconds
        self.failures = self._failures(self._talk({"cells": cells}))

    def _open(self, front: Sequence[str]) -> None:
        """Start the process with one end of a pair of sockets for its standard input."""
        self.buffer = bytearray()
        self.channel, theirs = socket.socketpair()
        try:
            self.process = subprocess.Popen(
                [*front, sys.executable, "-I", "-B", str(CHILD), str(ROOT)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment(self.folder),
                cwd=self.folder,
                umask=0o022,
                start_new_session=True,
            )
        except OSError as error:
            self.channel.close()
            remove(self.folder)
            raise StartFailed(f"no process can be started here: {error}") from None
        finally:
            theirs.close()

    def _begin(self, start: wire.Message) -> None:
        """Let it import and close its guards. What fails here is no fault of the submission."""
        self.deadline = time.monotonic() + START
        try:
            told = self._talk(start)
        except Ended as ended:
            raise StartFailed(f"the sandbox does not start here: {ended}") from None
        if "guards" not in told:
            self.close()
            raise StartFailed(f"the sandbox does not start here: {told.get('failed', told)}")
        self.guards = told["guards"]

    def _failures(self, told: Any) -> dict[str, str]:
        """{cell: error}, from a process that has run a stranger's cells and may say anything."""
        failures = told.get("failures") if isinstance(told, dict) else None
        if not isinstance(failures, dict):
            raise self._end("it sent something that is no answer")
        if not all(isinstance(text, str) for text in failures.values()):
            raise self._end("it sent something that is no answer")
        return failures

    def ask(self, request: wire.Message) -> wire.Message:
        """The reply to a request, a dict. Raises Ended, now and ever after, when none comes."""
        if self.ended:
            raise self.ended
        reply = self._talk(request)
        if not isinstance(reply, dict):
            raise self._end("it sent something that is no answer")
        return reply

    def _talk(self, message: wire.Message) -> Any:
        if time.monotonic() > self.deadline:  # also where its answer lies in the buffer already
            raise self._end(self._too_long())
        try:
            wire.send(self.channel, message, self.deadline)
        except TimeoutError:
            raise self._end(self._too_long()) from None
        except OSError:
            raise self._end(self._last_words()) from None
        return self._hear()

    def _hear(self) -> Any:
        try:
            return wire.receive(self.channel, self.buffer, self.deadline)
        except TimeoutError:
            raise self._end(self._too_long()) from None
        except (EOFError, OSError):
            raise self._end(self._last_words()) from None
        except (ValueError, RecursionError) as error:
            raise self._end(f"it sent something that is no answer ({error})") from None

    def _last_words(self) -> str:
        """Why the process ended, from its exit status; bubblewrap adds 128 to a signal."""
        try:
            status = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "it closed its connection to the grader"
        ended_by = -status if status < 0 else status - 128
        if ended_by in (signal.SIGXCPU, signal.SIGKILL):
            return self._too_long()
        if ended_by > 0:
            return f"it crashed ({signal.strsignal(ended_by) or ended_by})"
        return f"it ended by itself (exit status {status}) before it answered"

    def _too_long(self) -> str:
        limits = f"{self.seconds} s of computing, or {PATIENCE * self.seconds} s of waiting"
        return f"it took more than {limits}: is there a loop without an end?"

    def _end(self, why: str) -> Ended:
        self.close()
        self.ended = stopped(why)
        return self.ended

    def close(self) -> None:
        """Kill all that is left of it, and remove what it wrote."""
        if self.channel.fileno() < 0:  # it was closed before, and its number may be another's now
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.channel.close()
        if not {"own shared memory", "system calls", "bubblewrap"} & set(self.guards):
            remove_segments(self.process.pid)
        remove(self.folder)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def outer_guards(front: Sequence[str]) -> list[str]:
    """The guards that the front of the command is."""
    return ["bubblewrap"] * bool(front) + ["own scratch"] * ("--tmpfs" in front)


def stopped(why: str) -> Ended:
    return Ended(f"your notebook was stopped: {why}")


def weighed(cells: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The cells, unless their text is too long to be worked on."""
    held = list(cells)
    size = sum(len(source.encode("utf-8", "surrogatepass")) for _, source in held)
    if size > MOST_TEXT:
        most = f"at most {MOST_TEXT // 1_000_000} MB can be run"
        raise stopped(f"your cells hold {size / 1e6:.1f} MB of text, {most}")
    return held


def surroundings(folder: str, pid: int, walled: bool) -> dict[str, Any]:
    """What the guards must know of this machine and of the parent's arrangements."""
    root = os.getuid() == 0
    return {
        "readable": readable(),
        "scratch": folder,
        "user": FIRST_USER + pid if root else os.getuid(),
        "tasks": tasks(NOBODY if root else os.getuid()),
        "walled": walled,
        "parent": os.getpid(),
    }


def tasks(user: int) -> int:
    """How many processes and threads a user has, 0 where the system does not say."""
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if folder.stat().st_uid == user:
                found += len(os.listdir(folder / "task"))
    return found


def environment(folder: str) -> dict[str, str]:
    """What a child finds in its environment: nothing of ours, and its own folder for all caches."""
    return {**ENVIRONMENT, **{name: os.path.join(folder, IN_SCRATCH[name]) for name in IN_SCRATCH}}


def own_folder(room: str) -> str:
    """A new folder in the room for one child, with what `warm` left there."""
    folder = os.path.realpath(tempfile.mkdtemp(prefix="child-", dir=room))
    with contextlib.suppress(FileNotFoundError):
        shutil.copytree(os.path.join(room, WARM), folder, dirs_exist_ok=True)
    os.chmod(folder, 0o700)  # not as the other, which it took the mode of
    return folder


def warm(room: str) -> None:
    """Look once for the fonts of this machine, so that no child spends its time on it.

    Where that fails, each child that draws looks by itself.
    """
    folder = os.path.join(room, WARM)
    os.makedirs(folder, exist_ok=True)
    command = [sys.executable, "-I", "-c", "import matplotlib.font_manager"]
    subprocess.run(command, env=environment(folder), cwd=folder, capture_output=True)


def remove(folder: str) -> None:
    """Remove a folder with all in it, however deep and whatever its names and modes.

    No path here is longer than that of a file directly in the folder: what lies deeper is moved up.
    """
    top, number, token = os.fsencode(folder), itertools.count(), uuid.uuid4().hex.encode()
    while names := os.listdir(top):
        for name in names:
            path = os.path.join(top, name)
            if not os.path.isdir(path) or os.path.islink(path):
                os.unlink(path)
                continue
            os.chmod(path, 0o700)
            for inner in os.listdir(path):
                moved = os.path.join(path, inner)
                if os.path.isdir(moved) and not os.path.islink(moved):
                    os.chmod(moved, 0o700)  # a folder is moved only if it can be written
                os.rename(moved, os.path.join(top, b"%s-%d" % (token, next(number))))
            os.rmdir(path)
    os.rmdir(top)


def remove_segments(pid: int) -> None:
    """Remove the shared memory that a process made and left, where the system tells which."""
    with contextlib.suppress(OSError), open("/proc/sysvipc/shm") as file:
        rows = [line.split() for line in file]
        which, made_by = rows[0].index("shmid"), rows[0].index("cpid")
        for row in rows[1:]:
            if int(row[made_by]) == pid:
                ctypes.CDLL(None).shmctl(int(row[which]), 0, None)


WALLS = ["bubblewrap", "own root"]
DOORS = {  # what a submission can do, and the guards each of which prevents it
    "a submission can read your files, change them and delete them": [*WALLS, "files"],
    "it can use the network": ["bubblewrap", "no network", "system calls", "no TCP"],
    "it can use the network (UDP)": ["bubblewrap", "no network", "system calls"],
    "it can see the names and sizes of other files": WALLS,
    "it can change the modes and dates of your files": [*WALLS, "system calls", "own user"],
    "it can talk to other programs through sockets in files": [*WALLS, "system calls"],
    "it can leave messages for another submission in shared memory": [
        "bubblewrap",
        "own shared memory",
        "system calls",
    ],
    "it can fill the disk": ["own root", "own scratch"],
    "it can stop your other programs": ["bubblewrap", "system calls", "no signals", "own user"],
    "it can look into your other programs": ["bubblewrap", "system calls", "files", "own user"],
    "it can start programs that outlive it": ["bubblewrap", "processes"],
    "it can take all memory": ["memory"],
    "it can compute without end": ["time"],
}


def open_doors(held: Collection[str]) -> list[str]:
    """What the guards that hold leave open, as sentences; none when a submission is shut in."""
    found = [door for door, locks in DOORS.items() if not set(locks) & set(held)]
    if "it can use the network" in found:  # UDP too
        found.remove("it can use the network (UDP)")
    return found


def readable() -> list[str]:
    """The folders that a submission may read: Python with its packages, and the library."""
    return [sys.prefix, sys.base_prefix, *SYSTEM, str(LIBRARY), str(CHILD)]


def bubblewrap(folder: str) -> list[str]:
    """The front of the command, if bubblewrap is installed and works here."""
    program = shutil.which("bwrap")
    if not program:
        return []
    for limited in (True, False):  # older ones cannot limit the size of a folder
        if _works(program, limited):
            return walls(program, folder, limited)
    return []


def walls(program: str, folder: str, limited: bool) -> list[str]:
    """A command's front: a file system that holds only what may be read, and no network."""
    spaces = ["--unshare-all"]
    if os.getuid() == 0:  # root stays root, so that the child can become another
        spaces = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
        for right in ("CAP_SETUID", "CAP_SETGID", "CAP_CHOWN"):
            spaces += ["--cap-add", right]
    front = [program, *spaces, "--die-with-parent", "--new-session"]
    there = [path for path in readable() if os.path.exists(path)]
    above = {str(parent) for path in there for parent in Path(path).parents} - {"/"}
    for parent in sorted(above) * limited:  # bubblewrap itself would make them for root alone
        front += ["--perms", "0755", "--dir", parent]
    for path in there:
        front += ["--ro-bind", path, path]
    front += ["--proc", "/proc", "--dev", "/dev"]
    size = ["--perms", "0777", "--size", str(MEGABYTES << 20), "--tmpfs", folder]
    front += size if limited else ["--bind", folder, folder]
    return [*front, "--remount-ro", "/", "--chdir", folder]


@functools.cache
def _works(program: str, limited: bool) -> bool:
    """Whether this system lets bubblewrap make its namespaces, and it knows these options."""
    with tempfile.TemporaryDirectory() as folder:
        front = walls(program, folder, limited)
        return (
            subprocess.run([*front, sys.executable, "-c", ""], capture_output=True).returncode == 0
        )
