"""Check all that the project claims, every part, also when one fails. `make test` calls this.

python tools/check.py                        everything
python tools/check.py tests pages            some parts
python tools/check.py notebooks FILE.ipynb   one notebook against its stored outputs

The last line is the sum: `N passed, N failed`. A part that is no pytest run counts as one.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = [sys.executable, "-m", "pytest", "-q"]
WORKERS = ["-n", "2"]

# One thread for each worker: the machine stays usable, and sums come out in one order.
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "FSPS_PAGES": "required",  # tests/test_html.py skips when there are no pages; not here
}
Result = namedtuple("Result", "part passed failed skipped seconds")


def lint(notebooks, report):
    return [str(BIN / "ruff"), "check", "."]


def layout(notebooks, report):
    return [str(BIN / "ruff"), "format", "--check", "."]


def unit_tests(notebooks, report):
    """All of tests/, but for the pages, which are not built yet."""
    tests = ["tests", "--ignore=tests/test_html.py"]
    return [*PYTEST, *WORKERS, "--dist", "loadgroup", f"--junitxml={report}", *tests]


def stored_outputs(notebooks, report):
    """Run the notebooks again and compare; the cells of one stay on one worker."""
    return [*PYTEST, *WORKERS, "--dist", "loadfile", "--nbval", f"--junitxml={report}", *notebooks]


def strict_build(notebooks, report):
    """All pages anew: a page that is not read again would not repeat its warnings."""
    shutil.rmtree(ROOT / "_build", ignore_errors=True)
    return [str(BIN / "jupyter-book"), "build", "book", "-W", "-n", "--keep-going"]


def pages(notebooks, report):
    return [*PYTEST, f"--junitxml={report}", "tests/test_html.py"]


# In this order: the pages are looked at after they are built.
PARTS = {
    "lint": lint,
    "format": layout,
    "tests": unit_tests,
    "notebooks": stored_outputs,
    "book": strict_build,
    "pages": pages,
}


def count(report):
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


def run(part, notebooks):
    """Run one part and count; output goes straight to the terminal."""
    print(f"\n===== {part} " + "=" * (73 - len(part)), flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = PARTS[part](notebooks, report)
        status = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT).returncode
        counts = count(report) if report.exists() else (int(status == 0), int(status != 0), 0)
    passed, failed, skipped = counts
    if status and not failed:  # it ended before it could count
        failed = 1
    if not status and not passed:  # nothing was checked, and that is no success
        print(f"{part}: nothing ran", flush=True)
        failed = 1
    return Result(part, passed, failed, skipped, time.monotonic() - start)


def choose(arguments):
    """Split the command line into parts and notebooks."""
    notebooks = [Path(word).resolve() for word in arguments if word.endswith(".ipynb")]
    parts = [word for word in arguments if not word.endswith(".ipynb")]
    unknown = sorted(set(parts) - set(PARTS))
    missing = [str(path) for path in notebooks if not path.exists()]
    if unknown or missing:
        names = ", ".join(PARTS)
        raise SystemExit(
            f"tools/check.py knows the parts {names}, and notebooks that exist, got "
            f"{', '.join(unknown + missing)}. Call it like this: python tools/check.py tests"
        )
    return [part for part in PARTS if part in parts] or list(PARTS), notebooks


def stored_notebooks():
    """Every notebook of the book."""
    found = (ROOT / "book").rglob("*.ipynb")
    return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)


def main(arguments):
    parts, notebooks = choose(arguments)
    notebooks = notebooks or stored_notebooks()
    results = []
    for part in parts:
        if part == "notebooks" and not notebooks:
            print("\nThere is no notebook in book/. Make them: make notebooks", flush=True)
            results.append(Result(part, 0, 1, 0, 0.0))
        else:
            results.append(run(part, notebooks))
    return conclude(results)


def conclude(results):
    """Print the table and the last line; return the exit status."""
    print(f"\n{'part':12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for part, passed, failed, skipped, seconds in results:
        print(f"{part:12}{passed:>8}{failed:>8}{skipped:>9}{seconds:>9.0f}")
    passed, failed = (sum(getattr(r, name) for r in results) for name in ("passed", "failed"))
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
