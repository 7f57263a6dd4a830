"""The results that the chapter *A learned denoiser* has stored.

python -m tools.learned             computes all of them, and writes them into the chapter
python -m tools.learned training    computes these alone: crossed, treatments or training

All together take about ten minutes of one core: too long for a chapter. A test computes a sample of
each again.
"""

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import fsps_lite as fl
from fsps_lite import networks
from fsps_lite.diagnosis.crossed import Crossed
from fsps_lite.diagnosis.decomposing import Judge
from fsps_lite.diagnosis.method import ScoreMethod
from fsps_lite.diagnosis.sampling import Sampling
from fsps_lite.likelihood import Likelihood
from fsps_lite.problems import Problem
from tools.over_y import flat
from tools.stored import results_of, store

CHAPTER = Path(__file__).resolve().parents[1] / "book" / "chapters" / "a-learned-denoiser.md"

Y, N, STEPS = 10, 100, 60  # held-out pictures that are measured; particles; steps
FEW, SOME = 3, 60  # pictures and particles for the treatments: they take a product for each pixel
RARE = 0.01  # of the posterior: a label that weighs less is hallucinated where a method draws it

OPERATORS: Mapping[str, Callable[..., Problem]] = {
    "half seen": fl.problems.digits_masked,
    "averaged": fl.problems.digits_downsampled,
    "out of focus": fl.problems.digits_blurred,
    "Fourier magnitudes": fl.problems.digits_fourier,
}
METHODS: Mapping[str, ScoreMethod] = {
    "DPS": fl.DPS,
    "PiGDM (data_var = 1)": fl.PiGDM,
    "PiGDM (flat)": flat,
    "TMPD (step)": partial(fl.TMPD, indefinite="step"),
}
TREATMENTS: Mapping[str, ScoreMethod] = {
    "step": partial(fl.TMPD, indefinite="step"),
    "clip": partial(fl.TMPD, indefinite="clip"),
    "diagonal": partial(fl.TMPD, indefinite="diagonal"),
    "keep": partial(fl.TMPD, indefinite="keep"),
}
SIZES, LENGTHS = (50, 200, 1600), (250, 1000, 3000)  # pictures to learn from, steps of training
BATCH, LEVEL = 64, 0.5  # of training; sigma / alpha, at which denoisers are compared

Read = dict[str, float]
Column = dict[str, list[float]]


@cache
def network() -> fl.Denoiser:
    """The one that comes with the library."""
    return networks.load()


def crossed(operator: str, index: int, n: int = N, steps: int = STEPS) -> Crossed:
    """The runs for one held-out picture, with noise of their own."""
    how = Sampling(n=n, steps=steps, seed=index)
    return Crossed(OPERATORS[operator](index=index), network(), how)


def read(runs: Crossed, cloud: Tensor) -> Read:
    """What is kept of a cloud; spread and misfit are those of its particles that are finite."""
    problem, alpha = runs.problem, float(runs.problem.schedule.alpha(runs.stop))
    known, parts = problem.likelihood, problem.parts
    assert isinstance(known, Likelihood)
    assert parts is not None
    apart = Judge(runs).total_variation(cloud)
    assert apart is not None
    alive = cloud.isfinite().all(-1)
    clean = cloud[alive] / alpha
    shares, weights = parts.shares(cloud / alpha)[0], parts.weights(problem.posterior.prior)
    assert weights is not None
    misfit = known.noise.whiten(known.residual(clean)).square()
    return {
        "tv": apart.value,
        "spread": float(clean.var(0).mean().sqrt()) if len(clean) > 1 else math.nan,
        "misfit": float(misfit.mean()) if len(clean) else math.nan,
        "hallucinated": float(shares[weights < RARE].sum()),
        "lost": 1 - float(alive.double().mean()),
    }


def column(reads: Sequence[Read]) -> Column:
    """One list for each number, a picture each; what is not finite is null."""
    return {name: [shown(one[name]) for one in reads] for name in reads[0]}


def shown(value: float, digits: int = 4) -> Any:
    """Rounded; None where it is not finite."""
    return round(value, digits) if math.isfinite(value) else None


def of_operator(operator: str, indices: Sequence[int] = range(Y)) -> dict[str, Any]:
    """The four clouds of each method, and what exact draws have, ``floor``."""
    kept = [crossed(operator, index) for index in indices]
    known = ("DPS",) if operator == "Fourier magnitudes" else tuple(METHODS)
    found: dict[str, Any] = {
        "floor": [shown(Judge(runs).floor[0] or 0.0) for runs in kept],
        "exact": column([read(runs, runs.neither) for runs in kept]),
        "learned": column([read(runs, runs.learned) for runs in kept]),
    }
    for name in known:
        method = METHODS[name]
        found[f"{name}, exact"] = column([read(r, r.approximate(method)) for r in kept])
        found[f"{name}, learned"] = column([read(r, r.both(method)) for r in kept])
    return found


def of_treatment(word: str, indices: Sequence[int] = range(FEW)) -> Column:
    """TMPD with a learned denoiser on half-seen digits."""
    kept = [crossed("half seen", index, n=SOME) for index in indices]
    return column([read(runs, runs.both(TREATMENTS[word])) for runs in kept])


def of_training(size: int, length: int) -> dict[str, list[float]]:
    """A network that learns from ``size`` digits: three numbers, each with its error.

    ``gap``: to the denoiser of these digits as atoms, at the noisy digits themselves. ``held out``:
    the error on digits that nobody has seen. ``atoms``: that of the denoiser of the atoms.
    """
    data = fl.digits.load()
    seen = data.images[:size]
    trained = networks.train(seen, (1, 8, 8), steps=length, batch=BATCH).denoiser()
    atoms = fl.Empirical.from_samples(seen)
    found = {
        "gap": gap(trained, atoms, seen),
        "held out": networks.denoising_error(trained, data.held_out, LEVEL, generator=g()),
        "atoms": networks.denoising_error(atoms, data.held_out, LEVEL, generator=g()),
    }
    return {name: [shown(one.value), shown(one.error)] for name, one in found.items()}


def gap(one: fl.Denoiser, atoms: fl.Empirical, clean: Tensor) -> fl.Estimate:
    """The mean square between two denoisers at the noisy pictures, a pixel."""
    noisy = clean + LEVEL * torch.randn(clean.shape, generator=g(), dtype=clean.dtype)
    with torch.no_grad():
        apart = one.denoise(noisy, 1.0, LEVEL) - atoms.denoise(noisy, 1.0, LEVEL)
    return fl.Estimate.of(apart.square().mean(-1))


def g() -> torch.Generator:
    """The same noise for every network."""
    return torch.Generator().manual_seed(0)


Tell = Callable[[str], object]


def told(names: Iterable[str], of: Callable[[str], Any], tell: Tell, what: str) -> dict[str, Any]:
    """For each name what ``of`` finds, told when it is found."""
    found = {}
    for name in names:
        found[name] = of(name)
        tell(what.format(name))
    return found


def all_training(tell: Tell) -> dict[str, Any]:
    """For each number of pictures and of steps."""
    found: dict[str, Any] = {}
    for size in SIZES:
        for length in LENGTHS:
            found.setdefault(str(size), {})[str(length)] = of_training(size, length)
            tell(f"{length} steps of training on {size} digits")
    return found


PARTS: Mapping[str, Callable[[Tell], dict[str, Any]]] = {
    "crossed": lambda tell: told(OPERATORS, of_operator, tell, "the four clouds: {}"),
    "treatments": lambda tell: told(TREATMENTS, of_treatment, tell, "TMPD ({})"),
    "training": all_training,
}


def stored(text: str | None = None) -> dict[str, Any]:
    """What the chapter has stored."""
    return results_of(CHAPTER, text)


def main(parts: Sequence[str], tell: Tell = print) -> int:
    """Compute these parts, or all, and write them into the chapter."""
    torch.set_num_threads(1)
    if unknown := sorted(set(parts) - set(PARTS)):
        raise SystemExit(f"tools.learned knows {', '.join(PARTS)}, got {', '.join(unknown)}")
    new = {name: PARTS[name](tell) for name in parts or PARTS}
    known = stored() | new
    results = {name: known.get(name) for name in PARTS}
    store(CHAPTER, results)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
