"""Check all that the project claims, every part, also when one fails. `make test` calls this.

python tools/check.py                        everything, but for what takes long
python tools/check.py tests pages            some parts
python tools/check.py notebooks FILE.ipynb   one notebook against its stored outputs
python tools/check.py lint types changed     `make check`: with the tests of what changed
python tools/check.py long                   `make test-long`: the tests that take long

The last line is the sum: `N passed, N failed`. A part that is no pytest run counts as one.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = [sys.executable, "-m", "pytest", "-q"]
WORKERS = ["-n", "2", "--dist", "loadfile"]  # what a file sets up is set up once
SETTINGS = [f"--rootdir={ROOT}", f"-c={ROOT / 'pyproject.toml'}"]
SHORT, LONG = ["-m", "not long"], ["-m", "long"]
PAGES = ["tests/test_html.py", "tests/test_browser.py"]
NOT_YET = [f"--ignore={path}" for path in PAGES]  # of pages that are not built yet

# One thread for each worker: the machine stays usable, and sums come out in one order.
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "FSPS_PAGES": "required",  # tests/test_html.py skips when there are no pages; not here
    "PYTHONUTF8": "1",  # our texts, whatever the system's encoding
}

READ = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
READ += ["book", "fsps_lite", "tools", "tests", "benchmarks"]
Part = Callable[[Sequence[Path], Path], list[str]]  # (notebooks, report) -> command


class Result(NamedTuple):
    """How a part went; ``seconds`` of the wall, ``cpu`` seconds of all its processes."""

    part: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    cpu: float


def lint(notebooks: Sequence[Path], report: Path) -> list[str]:
    return [sys.executable, "-m", "ruff", "check", "."]


def layout(notebooks: Sequence[Path], report: Path) -> list[str]:
    return [sys.executable, "-m", "ruff", "format", "--check", "."]


def spelling(notebooks: Sequence[Path], report: Path) -> list[str]:
    """codespell, over all that people read; vendored files and outputs are others' words."""
    return [program("codespell"), "--skip", "*.ipynb,_vendor,*.svg,*.json,*.lock", *READ]


def types(notebooks: Sequence[Path], report: Path) -> list[str]:
    """mypy --strict, over what pyproject.toml names."""
    return [sys.executable, "-m", "mypy"]


def layers(notebooks: Sequence[Path], report: Path) -> list[str]:
    """import-linter, over the floors that pyproject.toml names; its cache would be left behind."""
    return [program("lint-imports"), "--no-cache", "--no-logo"]


def unit_tests(notebooks: Sequence[Path], report: Path) -> list[str]:
    """All of tests/ that is not marked as long."""
    chosen = [*WORKERS, *SHORT, *NOT_YET]
    return [*PYTEST, *chosen, f"--junitxml={report}", "tests"]


def long_tests(notebooks: Sequence[Path], report: Path) -> list[str]:
    """All of tests/ that is marked as long."""
    chosen = [*WORKERS, *LONG, *NOT_YET]
    return [*PYTEST, *chosen, f"--junitxml={report}", "tests"]


def changed_tests(notebooks: Sequence[Path], report: Path) -> list[str]:
    """The tests of each file that differs from the last commit, and no others."""
    chosen = tests_of(changed_files())
    nothing = [sys.executable, "-c", "print('no test belongs to what changed')"]
    return [*PYTEST, *SHORT, f"--junitxml={report}", *chosen] if chosen else nothing


def stored_outputs(notebooks: Sequence[Path], report: Path) -> list[str]:
    """Run the notebooks again and compare; the cells of one stay on one worker.

    Pytest looks for settings beside a notebook, which may lie elsewhere: ours are named.
    """
    chosen = [*WORKERS, *SETTINGS, "--nbval", f"--junitxml={report}"]
    return [*PYTEST, *chosen, *map(str, notebooks)]


def strict_build(notebooks: Sequence[Path], report: Path) -> list[str]:
    """All pages anew: a page that is not read again would not repeat its warnings."""
    shutil.rmtree(ROOT / "_build", ignore_errors=True)
    return [program("jupyter-book"), "build", "book", "-W", "-n", "--keep-going"]


def pages(notebooks: Sequence[Path], report: Path) -> list[str]:
    """The pages as files; and in a browser, where there is one (`make browser`)."""
    return [*PYTEST, *SHORT, f"--junitxml={report}", *PAGES]


def long_pages(notebooks: Sequence[Path], report: Path) -> list[str]:
    """The pages on all screens and in both themes: needs `make browser`."""
    return [*PYTEST, f"--junitxml={report}", *PAGES]


def program(name: str) -> str:
    """The command that was installed beside this Python."""
    return shutil.which(name, path=str(BIN)) or name


# In this order: the pages are looked at after they are built.
PARTS: dict[str, Part] = {
    "lint": lint,
    "format": layout,
    "spelling": spelling,
    "types": types,
    "layers": layers,
    "tests": unit_tests,
    "notebooks": stored_outputs,
    "book": strict_build,
    "pages": pages,
}
# What `make test` does not run.
OTHERS: dict[str, Part] = {
    "changed": changed_tests,
    "long": long_tests,
    "browser": long_pages,
}
# Tests of files that are not called after them.
TESTS_OF = {
    "README.md": ("readme", "environment"),
    "CITATION.cff": ("package",),
    "pyproject.toml": ("environment", "house"),
    "constraints.txt": ("environment",),
    "environment.yml": ("environment",),
    "Makefile": ("check",),
    "CONTRIBUTING.md": ("check", "house", "skeletons"),
    "fsps_lite": ("house", "skeletons"),
    "house_plan": ("house",),
    "book": ("twins", "book_laws", "references"),
    "priors": ("priors", "diffusion"),
    "engine": ("attention", "precision", "tree", "priors", "diffusion"),
    "denoising": ("priors", "denoiser", "diffusion"),
    "guidance": ("guidance", "linear_maps"),
    "operators": ("linear_maps", "images"),
    "poisson": ("images",),
    "problems": ("problems",),
    "datasets": ("digits", "files", "letters", "patches"),
    "networks": ("networks", "denoiser"),
    "samplers": ("integrators", "trajectory", "law"),
    "measures": ("behaviours", "beliefs", "law", "ranks"),
    "diagnosis": ("report", "sweep", "cli", "failure_map", "calibration", "decomposition"),
    "cli": ("own_pictures",),
    "coursework": ("coursework", "assignments", "rank", "teaching"),
    "child": ("sandbox", "attacks", "unlucky"),
    "coursework_attacks": ("attacks",),
    "coursework_unlucky": ("unlucky",),
    "places": ("submission", "students"),
    "notebook": ("submission", "students"),
    "handout": ("coursework",),
    "teaching": ("teaching",),
    "studying": ("teaching",),
    "matrix": ("matrix",),
    "browser": ("browser",),
    "notebooks": ("notebooks",),
    "contents": ("twins", "book_laws", "readme"),
    "cheat-sheet": ("paper",),
    "print": ("paper",),
    "comparison": ("comparison", "nbval_plugin"),
}


def changed_files() -> list[Path]:
    """What differs from the last commit, new files too, relative to the checkout."""
    commands = ["git diff --name-only HEAD", "git ls-files --others --exclude-standard"]
    found = []
    for command in commands:
        run = subprocess.run(command.split(), cwd=ROOT, capture_output=True, text=True, check=True)
        found += run.stdout.splitlines()
    return [Path(line) for line in found]


def tests_of(files: Sequence[Path]) -> list[str]:
    """The test files that are called after these files or their folders, or that TESTS_OF names."""
    names = [name for file in files for part in file.parts for name in (part, Path(part).stem)]
    wanted = [name.removeprefix("test_") for name in names]
    wanted += [test for name in names for test in TESTS_OF.get(name, ())]
    paths = sorted({ROOT / "tests" / f"test_{name}.py" for name in wanted})
    return [str(path.relative_to(ROOT)) for path in paths if path.exists()]


def count(report: Path) -> tuple[int, int, int]:
    """(passed, failed, skipped) of a pytest run, from its report."""
    passed = failed = skipped = 0
    for case in ET.parse(report).iter("testcase"):
        outcomes = {child.tag for child in case}
        if outcomes & {"failure", "error"}:
            failed += 1
        elif "skipped" in outcomes:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def run(part: str, notebooks: Sequence[Path]) -> Result:
    """Run one part and count; output goes straight to the terminal."""
    print(f"\n===== {part} " + "=" * (73 - len(part)), flush=True)
    start, cpu = time.monotonic(), cpu_seconds()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = (PARTS | OTHERS)[part](notebooks, report)
        status = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT).returncode
        counts = count(report) if report.exists() else (int(status == 0), int(status != 0), 0)
    passed, failed, skipped = counts
    if status and not failed:  # it ended before it could count
        failed = 1
    if not status and not passed:  # nothing was checked, and that is no success
        print(f"{part}: nothing ran", flush=True)
        failed = 1
    took = time.monotonic() - start, cpu_seconds() - cpu
    return Result(part, passed, failed, skipped, *took)


def cpu_seconds() -> float:
    """Processor time of all processes that this one has started and that have ended."""
    spent = os.times()
    return spent.children_user + spent.children_system


def choose(arguments: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Split the command line into parts and notebooks."""
    notebooks = [Path(word).resolve() for word in arguments if word.endswith(".ipynb")]
    parts = [word for word in arguments if not word.endswith(".ipynb")]
    known = PARTS | OTHERS
    unknown = sorted(set(parts) - set(known))
    missing = [str(path) for path in notebooks if not path.exists()]
    if unknown or missing:
        raise SystemExit(
            f"tools/check.py knows the parts {', '.join(known)}, and notebooks that exist, got "
            f"{', '.join(unknown + missing)}. Call it like this: python tools/check.py tests"
        )
    return [part for part in known if part in parts] or list(PARTS), notebooks


def stored_notebooks() -> list[Path]:
    """Every notebook of the book."""
    found = (ROOT / "book").rglob("*.ipynb")
    return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)


def main(arguments: Sequence[str]) -> int:
    parts, notebooks = choose(arguments)
    notebooks = notebooks or stored_notebooks()
    results = []
    for part in parts:
        if part == "notebooks" and not notebooks:
            print("\nThere is no notebook in book/. Make them: make notebooks", flush=True)
            results.append(Result(part, 0, 1, 0, 0.0, 0.0))
        else:
            results.append(run(part, notebooks))
    return conclude(results)


def conclude(results: Sequence[Result]) -> int:
    """Print the table and the last line; return the exit status."""
    names = ("part", *Result._fields[1:-1], "cpu")
    print("\n{:12}{:>8}{:>8}{:>9}{:>9}{:>9}".format(*names))
    for part, *counts, seconds, cpu in results:
        print("{:12}{:>8}{:>8}{:>9}{:>9.0f}{:>9.0f}".format(part, *counts, seconds, cpu))
    total = [sum(getattr(r, name) for r in results) for name in Result._fields[1:]]
    print("{:12}{:>8}{:>8}{:>9}{:>9.0f}{:>9.0f}".format("all", *total))
    print(f"{total[0]} passed, {total[1]} failed", flush=True)
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
