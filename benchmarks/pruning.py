"""The figure of the tree: what it looks at, and how its time grows: python -m benchmarks.pruning.

Real patches of 8 x 8 pixels, half of whose pixels' grid is measured. Dense and tree are the same
library, in turn in one process, on one thread; the tree is planted in its time.
"""

import json
from pathlib import Path

import torch
from matplotlib.figure import Figure

import fsps_lite as fl
from benchmarks.goals import in_turn, measured
from fsps_lite.datasets import patches
from fsps_lite.plots import COLOURS, panels

HERE = Path(__file__).resolve().parent
SIZES = (10_000, 30_000, 100_000, 300_000)
ROWS, NOISE = 256, 0.02


def posterior(data: patches.Patches) -> fl.Empirical:
    """The prior after a quarter of the pixels of a held-out patch was measured."""
    return data.prior.condition(measured(data, 3, NOISE))


def shares(prior: fl.Empirical) -> dict[str, list[float]]:
    """The share of pairs of a point and an atom that is looked at, over the times of a run."""
    known, g, found = fl.Diffusion(prior, fl.VP()), torch.Generator().manual_seed(0), []
    times = fl.times(fl.VP())[1::2].tolist()
    for t in times:
        at = known.at(known.sample(ROWS, t, generator=g), t)
        found.append(getattr(at, "visited", 1.0))
    return {"t": times, "share": found}


def run(data: patches.Patches) -> None:
    """Fifty steps, from the atoms on."""
    g = torch.Generator().manual_seed(1)
    known = fl.Diffusion(posterior(data), fl.VP())
    x = fl.VP().noise(ROWS, 64, generator=g, dtype=torch.float32)
    fl.ddpm(known, fl.VP(), x, fl.times(fl.VP()), generator=g)


def results() -> dict:
    data = patches.load(100_000)
    looked = {"prior": shares(data.prior), "posterior": shares(posterior(data))}
    tree, whole = [], []
    for n in SIZES:
        part = patches.load(n)
        with_tree, without = in_turn(lambda part=part: run(part), 1)
        tree.append(with_tree)
        whole.append(without)
        print(f"{n} atoms: {with_tree:.2f} s with the tree, {without:.2f} s dense", flush=True)
    return {"looked at": looked, "n": SIZES, "seconds": {"tree": tree, "dense": whole}}


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
    found = results()
    (HERE / "pruning.json").write_text(json.dumps(found, indent=1) + "\n")
    drawn(found).savefig(HERE / "pruning.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
