"""The rows of the matrix: what each changes of the plain run, and the environment that it needs."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / ".matrix"


@dataclass(frozen=True)
class Row:
    """One setting: what is changed of the plain run, and which environment runs it."""

    name: str
    changes: str
    env: Mapping[str, str] = field(default_factory=dict)
    python: str = ""  # "3.12": another Python
    versions: str = ""  # "oldest" or "newest" that pyproject.toml allows
    needs: str = ""  # a flag of the processor

    @property
    def threads(self) -> int:
        return int(self.env.get("FSPS_THREADS", "1"))


ROWS = (
    Row("plain", "nothing"),
    Row("default", "ATEN_CPU_CAPABILITY=default", {"ATEN_CPU_CAPABILITY": "default"}),
    Row("avx2", "ATEN_CPU_CAPABILITY=avx2", {"ATEN_CPU_CAPABILITY": "avx2"}, needs="avx2"),
    Row("avx512", "ATEN_CPU_CAPABILITY=avx512", {"ATEN_CPU_CAPABILITY": "avx512"}, needs="avx512f"),
    Row("mkl", "MKL_CBWR=COMPATIBLE", {"MKL_CBWR": "COMPATIBLE"}),
    Row("mkl-avx2", "MKL_CBWR=AVX2", {"MKL_CBWR": "AVX2"}, needs="avx2"),
    Row("onednn", "ONEDNN_MAX_CPU_ISA=SSE41", {"ONEDNN_MAX_CPU_ISA": "SSE41"}),
    Row("threads", "two threads in place of one", {"FSPS_THREADS": "2"}),
    Row("python3.12", "Python 3.12", python="3.12"),
    Row("python3.13", "Python 3.13", python="3.13"),
    Row("oldest", "the oldest torch, NumPy, Matplotlib", versions="oldest"),
    Row("newest", "the newest torch, NumPy, Matplotlib", versions="newest"),
)
MOVING = ("torch", "numpy", "matplotlib")  # what oldest and newest are about
FOLLOW = ("scipy", "scikit-learn", "contourpy")  # what must move with them


# Where a row runs.


def missing(row: Row) -> str:
    """Why this machine cannot imitate the row, or nothing."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    if row.needs and row.needs not in flags:
        return f"this processor has no {row.needs}"
    if row.python and not interpreter(row.python):
        return f"this machine has no Python {row.python}"
    return ""


def interpreter(version: str) -> str | None:
    """A Python of this version: on the path, or among those of pyenv."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return shutil.which(f"python{version}") or (str(pyenv[-1]) if pyenv else None)


def environment(row: Row) -> str:
    """The Python that runs the row, in an environment that is made where there is none."""
    if not (row.python or row.versions):
        return sys.executable
    folder = KEPT / "venvs" / row.name
    limits = constraints(row.versions)
    stamp = folder / "constraints.txt"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != limits:
        shutil.rmtree(folder, ignore_errors=True)
        base = interpreter(row.python) if row.python else sys.executable
        subprocess.run([str(base), "-m", "venv", str(folder)], check=True)
        (KEPT / f"{row.name}.txt").write_text(limits, encoding="utf-8")
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c"]
        command = [str(folder / "bin" / "python"), *install, str(KEPT / f"{row.name}.txt")]
        subprocess.run([*command, "-e", ".[test]", *upgrades(row)], cwd=ROOT, check=True)
        stamp.write_text(limits, encoding="utf-8")
    return str(folder / "bin" / "python")


def upgrades(row: Row) -> list[str]:
    return ["--upgrade", *MOVING] if row.versions == "newest" else []


def constraints(versions: str) -> str:
    """constraints.txt, with the packages that move set free, or at the least that is promised."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if versions:
        lines = [line for line in lines if line.partition("==")[0] not in (*MOVING, *FOLLOW)]
    if versions == "oldest":
        lines += [f"{name}=={least(name)}" for name in MOVING]
    return "\n".join(lines) + "\n"


def least(name: str) -> str:
    """The lowest version of a package that pyproject.toml promises."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(rf'^\s+"{name}>=([\d.]+)', text, re.MULTILINE)
    if not found:
        raise SystemExit(f"pyproject.toml promises no lowest version of {name}: write {name}>=...")
    return found.group(1)


def surroundings(row: Row) -> dict[str, str]:
    """The environment variables of a row."""
    plain = {"OMP_NUM_THREADS": str(row.threads), "MKL_NUM_THREADS": str(row.threads)}
    return {**os.environ, **plain, "PYTHONNOUSERSITE": "1", **row.env}
