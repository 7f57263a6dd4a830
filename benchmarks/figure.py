"""The figure of the table: how time grows with the number of atoms."""

from matplotlib.figure import Figure

from fsps_lite.plots import COLOURS, panels

BATCH, T = 256, 0.8


def scaling(results: list[dict]) -> Figure:
    """Milliseconds of one posterior score against N, a panel for each d: textbook and engine."""
    cells = [r for r in results if (r["method"], r["batch"], r["t"]) == ("score", BATCH, T)]
    dims = sorted({r["d"] for r in cells})
    figure, axes = panels(len(dims), width=2.6, height=2.8)
    for axis, d in zip(axes, dims, strict=True):
        for colour, (name, dtype) in zip(COLOURS, LINES, strict=False):
            times = {
                r["n"]: r[f"{name}_ms"]
                for r in cells
                if (r["d"], r["dtype"]) == (d, dtype) and r[f"{name}_ms"]
            }
            n = sorted(times)
            style = "-" if name == "engine" else "--"
            axis.loglog(
                n, [times[k] for k in n], style, color=colour, marker="o", label=LABELS[name, dtype]
            )
        axis.set_title(f"d = {d}")
        axis.set_xlabel("atoms N")
    axes[0].set_ylabel(f"ms a score, {BATCH} points")
    axes[0].legend(fontsize="x-small")
    return figure


LINES = [
    ("textbook", "float32"),
    ("textbook", "float64"),
    ("engine", "float32"),
    ("engine", "float64"),
]
LABELS = {(name, dtype): f"{name}, {dtype}" for name, dtype in LINES}
