"""Run the library's tests and every notebook under other processors, threads, Pythons, versions.

    python -m tools.matrix                 every row that is not done; then the table
    python -m tools.matrix plain avx2      these rows
    python -m tools.matrix --table         what is done, and the numbers that break the law
    python -m tools.matrix --store         the same, into CONTRIBUTING.md and tests/edges.json

One factor at a time. What is done is kept in .matrix/; each notebook counts for itself.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.matrix import law, table
from tools.matrix.rows import KEPT, ROWS, Row, environment, missing
from tools.matrix.running import notebook, run_notebook, run_tests, twins


def run(row: Row) -> None:
    """Everything of a row that is not done yet, and a line that says how it went."""
    start = time.monotonic()
    environment(row)
    with ThreadPoolExecutor(2 // row.threads) as pool:
        answers = list(pool.map(lambda twin: run_notebook(row, twin), twins()))
    tests = run_tests(row)
    failed = [c["differences"] for answer in answers for c in answer["cells"] if c["differences"]]
    print(f"{row.name}: {tests['failed']} tests and {len(failed)} cells failed", end=", ")
    print(f"{time.monotonic() - start:.0f} s", flush=True)
    for told in (*tests["told"], *("\n".join(lines) for lines in failed)):
        print(f"    {told}", flush=True)


def done(row: Row) -> bool:
    """Whether every notebook of a row has an answer, even an old one."""
    return all((KEPT / row.name / f"{twin.stem}.json").exists() for twin in twins())


def conclude(write: bool) -> int:
    """The table, the numbers that break the law, and the exit status."""
    rows = [row for row in ROWS if missing(row) or done(row)]
    names = [row.name for row in rows if not missing(row)]
    numbers, text = law.near_edges(names), table.table(rows)
    if write:
        law.store(numbers)
        table.store(text)
    broken = law.unlisted(numbers)
    for twin in twins():
        broken += [*law.unlike(names, twin.stem), *law.unexplained(twin)]
    print(text)
    print(f"{len(numbers)} numbers on an edge; not yet told in tests/edges.json: {len(broken)}")
    print("\n".join(broken))
    return 1 if broken or any(int(table.summary(row)[2] or 0) for row in rows) else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = ", ".join(row.name for row in ROWS)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rows", nargs="*", help=names)
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--store", action="store_true", help="run nothing, and write the table")
    parser.add_argument("--notebook", nargs=2, type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    unknown = sorted({*chosen.rows} - {row.name for row in ROWS})
    if unknown:
        parser.error(f"no row is called {', '.join(unknown)}; the rows are {names}")
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parse(arguments)
    if chosen.notebook:
        notebook(*chosen.notebook)
        return 0
    for row in () if chosen.table or chosen.store else ROWS:
        if row.name in (chosen.rows or [row.name]) and not missing(row):
            run(row)
    return conclude(chosen.store)


if __name__ == "__main__":
    sys.exit(main())
