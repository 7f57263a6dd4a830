"""The library of an older commit beside this one: each in a process, asked in turn."""

import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 3


@dataclass(frozen=True)
class Beside:
    """``commit`` names what is measured against."""

    commit: str

    def rows(self) -> Iterator[tuple[str, str, str, bool | None]]:
        """What was asked, what was measured, and whether it was met."""
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "old.tar"
            command = ["git", "archive", "-o", str(archive), self.commit, "fsps_lite"]
            if subprocess.run(command, cwd=ROOT, capture_output=True).returncode:
                missing = "not measured: the commit is not here"
                yield from ((case.what, case.asked, missing, None) for case in CASES)
                return
            with tarfile.open(archive) as file:
                file.extractall(folder, filter="data")
            yield from self._compared(folder)

    def _compared(self, folder: str) -> Iterator[tuple[str, str, str, bool]]:
        old, new = _started(folder), _started(str(ROOT))
        try:
            for case in CASES:
                pairs = [(_asked(old, case.name), _asked(new, case.name)) for _ in range(ROUNDS)]
                before, now = (statistics.median(part) for part in zip(*pairs, strict=True))
                yield case.what, case.asked, *case.told(before, now)
        finally:
            old.terminate()
            new.terminate()


@dataclass(frozen=True)
class Case:
    """What :mod:`benchmarks.worker` calls ``name``, and how many times as fast it should be.

    Where ``steps`` are said, a step should take ``milliseconds`` at most instead.
    """

    name: str
    what: str
    times: float = 1.5
    steps: int = 0
    milliseconds: float = 0.0

    @property
    def asked(self) -> str:
        return f"<= {self.milliseconds:g} ms" if self.steps else f">= {self.times:g} times"

    def told(self, before: float, now: float) -> tuple[str, bool]:
        """What was measured, in seconds, and whether that is enough."""
        text = f"{before / now:.2f} times"
        if not self.steps:
            return text, before / now >= self.times
        step = 1e3 * now / self.steps
        return f"{step:.2f} ms, {text}", step <= self.milliseconds


PROBLEMS = "trimodal", "two_atoms", "gaussian", "unequal", "square"
CASES = (
    Case("wide", "d = 784, steps at sigma/alpha 1, 2, 4, 6"),
    Case("dps", "DPS on the digits", times=1.8),
    Case(
        "ancestral", "an ancestral step of 2,000 particles, trimodal", steps=100, milliseconds=0.5
    ),
    *(Case(f"diagnose {name}", f"`diagnose`, {name}") for name in PROBLEMS),
)


def _started(folder: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": folder, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "benchmarks" / "worker.py")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=environment, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


def _asked(process: "subprocess.Popen[str]", case: str) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(case + "\n")
    process.stdin.flush()
    return float(process.stdout.readline())
