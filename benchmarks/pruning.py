"""The figure of the tree: what it looks at, and how its time grows: python -m benchmarks.pruning.

Real patches of 8 x 8 pixels, half of whose pixels' grid is measured. Dense and tree are the same
library, in turn in one process, on one thread; the tree is planted in its time.
"""

import json
import time
from pathlib import Path

import torch
from matplotlib.figure import Figure

import fsps_lite as fl
from fsps_lite.datasets import patches
from fsps_lite.engine import pruned
from fsps_lite.plots import COLOURS, panels

HERE = Path(__file__).resolve().parent
SIZES = (10_000, 30_000, 100_000, 300_000)
ROWS, NOISE = 256, 0.02


def posterior(data: patches.Patches) -> fl.Empirical:
    """The prior after every fourth pixel of a held-out patch was measured."""
    seen = torch.zeros(8, 8, dtype=torch.bool)
    seen[::2, ::2] = True
    operator = fl.mask(seen, dtype=torch.float32)
    return data.prior.condition(fl.Likelihood(operator, operator(data.held_out[3]), NOISE))


def shares(prior: fl.Empirical) -> dict[str, list[float]]:
    """The share of pairs of a point and an atom that is looked at, over the times of a run."""
    known, g, found = fl.Diffusion(prior, fl.VP()), torch.Generator().manual_seed(0), []
    times = fl.times(fl.VP())[1::2].tolist()
    for t in times:
        at = known.at(known.sample(ROWS, t, generator=g), t)
        found.append(getattr(at, "visited", 1.0))
    return {"t": times, "share": found}


def run(data: patches.Patches) -> float:
    """Seconds of a run of fifty steps, from the atoms on."""
    g = torch.Generator().manual_seed(1)
    start = time.process_time()
    known = fl.Diffusion(posterior(data), fl.VP())
    x = fl.VP().noise(ROWS, 64, generator=g, dtype=torch.float32)
    fl.ddpm(known, fl.VP(), x, fl.times(fl.VP()), generator=g)
    return time.process_time() - start


def measured() -> dict:
    data = patches.load(100_000)
    looked = {"prior": shares(data.prior), "posterior": shares(posterior(data))}
    seconds: dict[str, list[float]] = {"tree": [], "dense": []}
    fewest = pruned.FEWEST
    for n in SIZES:
        part = patches.load(n)
        for name, least in (("tree", fewest), ("dense", 10**12)):
            pruned.FEWEST = least
            seconds[name].append(run(part))
        print(n, {name: f"{found[-1]:.2f} s" for name, found in seconds.items()}, flush=True)
    pruned.FEWEST = fewest
    return {"looked at": looked, "n": SIZES, "seconds": seconds}


def drawn(found: dict) -> Figure:
    figure, (left, right) = panels(2, width=3.7, height=3.0)
    for colour, (name, curve) in zip(COLOURS, found["looked at"].items(), strict=False):
        left.semilogy(curve["t"], curve["share"], color=colour, label=name)
    left.set(title="share of pairs looked at", xlabel="t", xlim=(1, 0))
    for colour, style, name in zip(COLOURS, ("-", "--"), ("tree", "dense"), strict=False):
        times = found["seconds"][name]
        right.loglog(found["n"], times, style, color=colour, marker="o", label=name)
    right.set(title="seconds of a run", xlabel="atoms N")
    for axis in (left, right):
        axis.legend(frameon=False)
    return figure


def main() -> None:
    torch.set_num_threads(1)
    found = measured()
    (HERE / "pruning.json").write_text(json.dumps(found, indent=1) + "\n")
    drawn(found).savefig(HERE / "pruning.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
