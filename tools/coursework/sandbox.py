"""One process for one question of one submission: start it, ask it, end it.

The process runs `child` with an empty environment, behind bubblewrap where that is installed, and
gives up the rest by itself (`child/guards.py`). It answers over a socket; what it prints is lost.
"""

import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tools.coursework.child import wire

ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).resolve().parent / "child"
LIBRARY = ROOT / "fsps_lite"
SYSTEM = ["/usr", "/lib", "/lib64", "/bin"]
START = 120  # seconds until torch is imported, on a busy machine
PATIENCE = 2  # seconds of waiting allowed for each second of computing
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_THREAD_LIMIT": "1",
    "MKL_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
    "HOME": "/nonexistent",
    "PATH": "/usr/bin:/bin",
}


class Ended(Exception):
    """The process gave no answer and is gone; the message says why, in words for the student."""


class StartFailed(Exception):
    """The process could not start at all, which is no fault of a submission."""


class Child:
    """A process that has run `cells`, [(name, source), ...], and answers with `ask`.

    Starts in the folder `room`, where the trusted imports may leave their caches.
    """

    def __init__(
        self,
        cells: Iterable[tuple[str, str]],
        imports: Sequence[str],
        room: str,
        seconds: int,
        megabytes: int,
    ) -> None:
        if sys.platform == "win32":
            raise StartFailed("submissions run on Linux or macOS: on Windows, grade in WSL")
        self.seconds = seconds
        self.ended: Ended | None = None
        self.channel, theirs = socket.socketpair()
        self.buffer = bytearray()
        self.process = subprocess.Popen(
            command(room),
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**ENVIRONMENT, "MPLCONFIGDIR": room, "TORCHINDUCTOR_CACHE_DIR": room},
            cwd=room,
            start_new_session=True,
        )
        theirs.close()
        self.deadline = time.monotonic() + START
        limits = {"seconds": seconds, "megabytes": megabytes, "readable": readable()}
        try:
            told = self._talk({"cells": cells, "imports": imports, **limits})
            self.guards: list[str] = told["guards"]
        except Ended as ended:
            raise StartFailed(f"the sandbox does not start here: {ended}") from None
        self.deadline = time.monotonic() + PATIENCE * seconds
        self.failures: dict[str, str] = self._hear().get("failures", {})

    def ask(self, request: wire.Message) -> wire.Message:
        """The reply to a request, a dict. Raises Ended, now and ever after, when none comes."""
        if self.ended:
            raise self.ended
        reply = self._talk(request)
        if not isinstance(reply, dict):
            raise self._end("it sent something that is no answer")
        return reply

    def _talk(self, message: wire.Message) -> Any:
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
        self.ended = Ended(f"your notebook was stopped: {why}")
        return self.ended

    def close(self) -> None:
        """Kill all that is left of it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.channel.close()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def readable() -> list[str]:
    """The folders that a submission may read: Python with its packages, and the library."""
    return [sys.prefix, sys.base_prefix, *SYSTEM, str(LIBRARY), str(CHILD)]


def command(room: str) -> list[str]:
    """How to start the child; behind bubblewrap, if it is installed and works here."""
    return [*bubblewrap(room), sys.executable, "-I", "-B", str(CHILD), str(ROOT)]


def bubblewrap(room: str) -> list[str]:
    """The front of the command: a file system that holds only what may be read, and no network."""
    program = shutil.which("bwrap")
    if not program:
        return []
    spaces = ["--unshare-all"]
    if os.getuid() == 0:  # root stays root, so that the child can become nobody
        spaces = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
        spaces += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    front = [program, *spaces, "--die-with-parent", "--new-session", "--tmpfs", "/tmp"]
    for folder in filter(os.path.exists, readable()):
        front += ["--ro-bind", folder, folder]
    front += ["--bind", room, room, "--proc", "/proc", "--dev", "/dev", "--chdir", room]
    return front if _runs(tuple(front)) else []


@functools.cache
def _runs(front: tuple[str, ...]) -> bool:
    """Whether this system lets bubblewrap make its namespaces."""
    return subprocess.run([*front, sys.executable, "-c", ""], capture_output=True).returncode == 0
