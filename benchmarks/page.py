"""The tables of the book's performance page, from what was measured: python -m benchmarks.page."""

import json
from pathlib import Path

from benchmarks.__main__ import PROMISED
from benchmarks.integrators import INTEGRATORS, arrival

HERE = Path(__file__).resolve().parent


def speeds(results: list[dict]) -> str:
    """The cells for which a ratio, a rate or a size is promised."""
    head = "| what | d | N | B | engine, ms | textbook, ms | faster | GEMM | MB | error |"
    rows = [head, "|---|" + "---:|" * 9]
    wanted = [(c.method, c.d, c.n, c.batch) for c in PROMISED]
    for key, r in zip(wanted, results, strict=False):
        assert key == (r["method"], r["d"], r["n"], r["batch"]), "results.json begins with PROMISED"
        book = f"{r['textbook_ms']:,.3g}" if r["textbook_ms"] else f"({r['textbook_skipped']})"
        faster = f"{r['speedup']:.3g}" if r["speedup"] else ""
        gemm = f"{r['gemm_fraction']:.2f}" if r["gemm_fraction"] else ""
        cells = (*key, f"{r['engine_ms']:.3g}", book, faster, gemm)
        cells += (f"{r['engine_peak_mb']:.0f}", f"{r['error']:.0e}")
        rows.append("| " + " | ".join(f"{c:,}" if isinstance(c, int) else c for c in cells) + " |")
    return "\n".join(rows) + "\n"


def evaluations(found: dict) -> str:
    """The least evaluations of the score that come within 1.5 floors, in log-SNR / in time."""
    rows = ["| integrator | " + " | ".join(found) + " |", "|---|" + "---:|" * len(found)]
    for name in INTEGRATORS:
        pairs = [[arrival(row[s][name]) for s in ("log_snr", "time")] for row in found.values()]
        rows.append(f"| {name} | " + " | ".join(" / ".join(pair) for pair in pairs) + " |")
    return "\n".join(rows) + "\n"


def goals(found: list[dict]) -> str:
    """What the tree and the arithmetic were built to reach, beside what was measured."""
    words = {True: "yes", False: "**falls short**", None: "not judged"}
    rows = ["| what | asked | measured | met |", "|---|---|---|---|"]
    for row in found:
        cells = row["what"], row["asked"], row["measured"], words[row["met"]]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def tables() -> dict[str, str]:
    """{file: text} of all."""
    results = json.loads((HERE / "results.json").read_text())["results"]
    found = json.loads((HERE / "integrators.json").read_text())["distance over floor"]
    found = {
        problem: {
            spacing: {name: {int(k): v for k, v in c.items()} for name, c in curves.items()}
            for spacing, curves in row.items()
        }
        for problem, row in found.items()
    }
    reached = json.loads((HERE / "goals.json").read_text())
    return {
        "table.md": speeds(results),
        "integrators.md": evaluations(found),
        "goals.md": goals(reached),
    }


if __name__ == "__main__":
    for name, text in tables().items():
        (HERE / name).write_text(text)
