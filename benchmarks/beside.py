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

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """What was asked, and what was measured."""
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "old.tar"
            command = ["git", "archive", "-o", str(archive), self.commit, "fsps_lite"]
            if subprocess.run(command, cwd=ROOT, capture_output=True).returncode:
                missing = "not measured: the commit is not here"
                yield from ((what, asked, missing) for _, what, asked, _ in CASES)
                return
            with tarfile.open(archive) as file:
                file.extractall(folder, filter="data")
            yield from self._compared(folder)

    def _compared(self, folder: str) -> Iterator[tuple[str, str, str]]:
        old, new = _started(folder), _started(str(ROOT))
        try:
            for case, what, asked, steps in CASES:
                pairs = [(_asked(old, case), _asked(new, case)) for _ in range(ROUNDS)]
                before, now = (statistics.median(part) for part in zip(*pairs, strict=True))
                text = f"{before / now:.2f} times"
                yield what, asked, f"{1e3 * now / steps:.2f} ms, {text}" if steps else text
        finally:
            old.terminate()
            new.terminate()


CASES = (
    ("wide", "d = 784, steps at sigma/alpha 1, 2, 4, 6", ">= 1.5 times", 0),
    ("dps", "DPS on the digits", ">= 1.8 times", 0),
    ("ancestral", "an ancestral step of 2,000 particles, trimodal", "<= .5 ms", 100),
    ("diagnose trimodal", "diagnose, trimodal", ">= 1.5 times", 0),
    ("diagnose two_atoms", "diagnose, two_atoms", ">= 1.5 times", 0),
    ("diagnose gaussian", "diagnose, gaussian", ">= 1.5 times", 0),
    ("diagnose unequal", "diagnose, unequal", ">= 1.5 times", 0),
    ("diagnose square", "diagnose, square", ">= 1.5 times", 0),
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
