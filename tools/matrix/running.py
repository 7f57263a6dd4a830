"""What a row runs: the tests, and each notebook in a process of its own.

Each answer is kept in .matrix/, with the hash of all that it depends on, and is asked for again
only when that has changed.
"""

import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import nbformat

from tools.check import count
from tools.comparison import EDGES, differences, edges_of, measured, sanitizer, shown, stored_models
from tools.execute import CHAPTERS, execute
from tools.matrix.rows import KEPT, ROOT, Row, environment, surroundings

Answer = dict[str, Any]  # as JSON has it
SANITIZER = ROOT / "tests" / "nbval_sanitize.cfg"
PRINTED = ("stdout", "text/plain", "text/html")  # kinds of output that are read as text
# Tests of pages, metadata and tools, which compute nothing that a processor could change.
OTHERS = (
    *("book_laws", "check", "cli", "comparison", "coursework", "environment", "execute", "html"),
    *("matrix", "mutants", "nbgrader", "nbval_plugin", "package", "rank", "references", "twins"),
)
NOT_OF_A_ROW = [f"--ignore=tests/test_{name}.py" for name in OTHERS]


def twins() -> list[Path]:
    """Every executed notebook of the book."""
    return sorted(CHAPTERS.glob("*.ipynb"))


def digest(*parts: Path) -> str:
    """A hash of these files, and of all files of these folders."""
    found = hashlib.sha256()
    for part in parts:
        files = [part] if part.is_file() else sorted(part.rglob("*.py"))
        for path in files:
            found.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def kept(path: Path, key: str) -> Answer | None:
    """An answer of an earlier run, if nothing that it depends on has changed."""
    if not path.exists():
        return None
    found: Answer = json.loads(path.read_text(encoding="utf-8"))
    return found if found["key"] == key else None


def keep(path: Path, key: str, answer: Answer) -> Answer:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"key": key, **answer}), encoding="utf-8")
    return answer


def run_tests(row: Row) -> Answer:
    """The tests of the library under a row: how many passed and failed, and which failed."""
    path, key = KEPT / row.name / "tests.json", digest(ROOT / "fsps_lite", ROOT / "tests")
    if answer := kept(path, key):
        return answer
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [environment(row), "-m", "pytest", "-q", f"--junitxml={report}", "tests"]
        command += ["-n", str(2 // row.threads), "--dist", "loadfile", "-p", "no:cacheprovider"]
        command += ["-m", "not long", *NOT_OF_A_ROW]
        env = surroundings(row)
        run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        passed, failed, _ = count(report) if report.exists() else (0, 1, 0)
    told = [line for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    told = told or ([run.stdout[-1000:] + run.stderr[-1000:]] if failed else [])
    return keep(path, key, {"passed": passed, "failed": failed, "told": told})


def run_notebook(row: Row, twin: Path) -> Answer:
    """One notebook under a row, in a process of its own."""
    path = KEPT / row.name / f"{twin.stem}.json"
    key = digest(ROOT / "fsps_lite", twin, EDGES)
    if answer := kept(path, key):
        return answer
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "answer.json"
        command = [environment(row), "-m", "tools.matrix", "--notebook", str(twin), str(out)]
        env = surroundings(row) | watching(Path(folder))
        run = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        if out.exists():
            return keep(path, key, json.loads(out.read_text(encoding="utf-8")))
    return keep(path, key, {"cells": [{"differences": [run.stderr[-2000:]], "notes": []}]})


def watching(folder: Path) -> dict[str, str]:
    """Let every kernel that starts keep its numbers before they are rounded."""
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    code = "from tools.matrix import unrounded\nunrounded.start(get_ipython())\n"
    (startup / "00-unrounded.py").write_text(code, encoding="utf-8")
    names = {"IPYTHONDIR": str(folder / "ipython"), "FSPS_UNROUNDED": str(folder / "notes")}
    return names | {"PYTHONPATH": str(ROOT)}


def notebook(twin: Path, out: Path) -> None:
    """In the process of a notebook: run it, compare it, and write down what came out."""
    got, stored = execute(twin.with_suffix(".md")), nbformat.read(twin, as_version=4)
    lines = Path(os.environ["FSPS_UNROUNDED"]).read_text(encoding="utf-8").splitlines()
    clean, models = sanitizer(SANITIZER), [stored_models(nb) for nb in (stored, got)]
    pairs = zip(stored.cells, got.cells, strict=True)
    code = [pair for pair in pairs if pair[0].cell_type == "code"]
    cells = []
    for number, (pair, line) in enumerate(zip(code, lines, strict=True), start=1):
        a, b = (shown(c.outputs, m, clean) for c, m in zip(pair, models, strict=True))
        cells.append(
            {
                "differences": differences(a, b, edges_of(twin.stem, number)),
                "measured": measured(a, b),
                "notes": json.loads(line),
                "printed": [text for kind in PRINTED for text in a.get(kind, [])],
            }
        )
    out.write_text(json.dumps({"cells": cells}), encoding="utf-8")
