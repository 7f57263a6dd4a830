"""The table of the matrix, as CONTRIBUTING.md holds it."""

import json
import platform
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.matrix.law import cells_of
from tools.matrix.rows import KEPT, ROOT, Row, missing
from tools.matrix.running import twins

MARKS = "<!-- matrix: begin -->", "<!-- matrix: end -->"


def effect(row: str) -> str:
    """How many of the kept values differ from those of the plain row, and one that does."""
    pairs = [pair for twin in twins() for pair in values_beside(row, twin.stem)]
    moved = [f"{a!r}, {b!r}" for a, b in pairs if a != b]
    return f"{len(moved)} of {len(pairs)}: {moved[0]}" if moved else "none: it had no effect"


def values_beside(row: str, stem: str) -> Iterator[tuple[float, float]]:
    """The kept values of a notebook, each as the plain row has it and as this one has it."""
    for cells in zip(*cells_of(["plain", row], stem).values(), strict=False):
        for a, b in zip(*(cell["notes"] for cell in cells), strict=False):
            yield a[0], b[0]


def summary(row: Row) -> tuple[str, ...]:
    """A row of the table."""
    if reason := missing(row):
        return row.changes, reason, "", "", "", ""
    path = KEPT / row.name / "tests.json"
    tests = json.loads(path.read_text("utf-8")) if path.exists() else {"passed": 0, "failed": 0}
    changes = row.changes if path.exists() else f"{row.changes} (notebooks only)"
    cells = [cell for twin in twins() for cell in cells_of([row.name], twin.stem)[row.name]]
    failed = sum(bool(cell["differences"]) for cell in cells)
    relative, rms = (max(c.get("measured", (0.0, 0.0))[i] for c in cells) for i in (0, 1))
    counts = tests["passed"] + len(cells) - failed, tests["failed"] + failed
    moved = "" if row.name == "plain" else effect(row.name)
    return changes, *map(str, counts), f"{relative:.1e}", f"{rms:.4f}", moved


HEAD = (
    "setting",
    "passed",
    "failed",
    "worst relative difference of a printed number",
    "worst picture RMS",
    "values before rounding that differ from the plain row: an example",
)


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, with the date and the processor."""
    lines = [HEAD, tuple("---" for _ in HEAD), *(summary(row) for row in rows)]
    when = f"{time.strftime('%Y-%m-%d')}, {processor()}, {platform.system()}"
    return f"{when}:\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def processor() -> str:
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    names = re.findall(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return names[0] if names else platform.processor()


def store(text: str) -> None:
    """Write the table into CONTRIBUTING.md, between its marks."""
    path = ROOT / "CONTRIBUTING.md"
    before, rest = path.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    whole = f"{before}{MARKS[0]}\n{text}{MARKS[1]}{after}"
    path.write_text(whole, encoding="utf-8", newline="\n")
