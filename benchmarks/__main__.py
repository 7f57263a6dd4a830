"""Print the table, write results.json and scaling.svg: python -m benchmarks [--quick | --promised].

Each number is the median of runs in one process on one thread, the textbook and the engine in turn.
"""

import argparse
import json
import platform
from pathlib import Path

import torch

from benchmarks.case import METHODS, Case
from benchmarks.figure import scaling

HERE = Path(__file__).resolve().parent
DIMS, SIZES, BATCHES = (1, 2, 64, 784), (256, 2000, 20_000, 100_000), (256, 2048)
MOST = 2e10  # batch * N * d of a cell: a larger one would take minutes
LONG = 200.0  # seconds that a call of the textbook may take, where the project has promised a ratio
PROMISED = [
    Case("score", 1, 2000, 256, patience=LONG),
    Case("score", 2, 20_000, 256, patience=LONG),
    Case("score", 64, 2000, 256, patience=LONG),
    Case("score", 784, 2000, 256, patience=LONG),
    Case("score", 64, 20_000, 256),
    Case("DPS", 64, 2000, 256, patience=LONG),
    Case("PiGDM", 64, 2000, 256, patience=LONG),
    Case("TMPD", 64, 2000, 256, patience=LONG),
    Case("score", 64, 100_000, 2048),
]
NEAR = [
    Case("score", d, 2000, 256, t=t) for d in DIMS for t in (0.3, 0.1, 1e-3)
]  # the guard's cost
HEADS = (
    f"{'score':<6} {'d':>4} {'N':>7} {'B':>5} {'dtype':<7} {'t':<6} {'in':<7} {'ms':>8} "
    f"{'textbook':>11} {'faster':>7} {'GEMM':>5} {'peak MB':>11} {'error':>8}"
)


def grid() -> list[Case]:
    cells = [
        Case(method, d, n, batch, dtype)
        for method in METHODS
        for dtype in ("float32", "float64")
        for d in DIMS
        for n in SIZES
        for batch in BATCHES
    ]
    return [c for c in cells if c.batch * c.n * c.d * (1 if c.method == "score" else 8) <= MOST]


def row(r: dict) -> str:
    book = f"{r['textbook_ms']:.4g}" if r["textbook_ms"] else r["textbook_skipped"]
    faster = f"{r['speedup']:.3g}x" if r["speedup"] else ""
    gemm = f"{r['gemm_fraction']:.2f}" if r["gemm_fraction"] else ""
    memory = "/".join(
        f"{r[k]:.0f}" if r[k] is not None else "-" for k in ("engine_peak_mb", "textbook_peak_mb")
    )
    return (
        f"{r['method']:<6} {r['d']:>4} {r['n']:>7} {r['batch']:>5} {r['dtype']:<7} {r['t']:<6g} "
        f"{r['arithmetic']:<7} {r['engine_ms']:>8.4g} {book:>11} {faster:>7} {gemm:>5} "
        f"{memory:>11} {r['error']:>8.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small cells only: two minutes")
    parser.add_argument("--promised", action="store_true", help="only where a ratio is promised")
    parser.add_argument("--out", type=Path, default=HERE, help="the folder for JSON and figure")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cases = [c for c in grid() if c.n * c.batch <= 2e6 and c.d < 64] if options.quick else []
    cases = cases or [*PROMISED, *NEAR, *([] if options.promised else grid())]
    results = []
    print(HEADS)
    for case in cases:
        results.append(case.measure())
        print(row(results[-1]), flush=True)
        about = {"torch": torch.__version__, "machine": platform.machine(), "threads": 1}
        written = json.dumps({"about": about, "results": results}, indent=1)
        (options.out / "results.json").write_text(written + "\n")
    scaling(results).savefig(options.out / "scaling.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
