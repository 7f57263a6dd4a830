"""One method on one problem: what its draws say of the labels, at each of the images."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

import fsps_lite as fl
from fsps_lite.diagnosis.batches import Asking
from fsps_lite.diagnosis.kinds import Scored
from fsps_lite.diagnosis.method import ScoreMethod
from fsps_lite.likelihood import Likelihood
from tools.images.asked import GAUSSIANS, OFF, OPERATORS, Asked, asked, misfit, spread
from tools.over_y import exact, flat, rounded

DRAWS, STEPS, STOP = 64, 60, 1e-3
FLOOR = 400  # sets of independent draws, from which the floor of the total variation is known
RARE = 0.01  # a label with a smaller probability is called impossible

SCORES: Mapping[str, ScoreMethod] = {
    "exact score": exact,
    "DPS": fl.DPS,
    "SDA": fl.SDA,
    "PiGDM (data_var = 1)": fl.PiGDM,
    "PiGDM (flat)": flat,
    "TMPD": fl.TMPD,
}
SAMPLERS: Mapping[str, Callable[[fl.Diffusion, Likelihood], fl.Sampler]] = {
    "TDS": partial(fl.TDS, twist=fl.PiGDM),
    "TDS (twist DPS)": fl.TDS,
    "DAPS": partial(fl.DAPS, inner=None),
    "DiffPIR": fl.DiffPIR,
    "DDRM": fl.DDRM,
    "RED-diff": fl.REDDiff,
}
# Two runs of 64 particles; and RED-diff's hardly differ.
COUNTS = {"TDS": 128, "TDS (twist DPS)": 128, "RED-diff": 8}
# Those that take any operator.
ANY = ("exact score", "DPS", "SDA", "TDS (twist DPS)", "DiffPIR", "RED-diff")
LINEAR = tuple(name for name in (*SCORES, *SAMPLERS) if name not in ("SDA", "TDS (twist DPS)"))
CELLS: Mapping[str, tuple[str, ...]] = {
    **{name: ANY if name == "saturation" else LINEAR for name in OPERATORS},
    GAUSSIANS: tuple(name for name in LINEAR if name not in ("DiffPIR", "DAPS")),
}
Cloud = tuple[Float[Tensor, "n d"], Float[Tensor, "n"]]  # draws, and weights that sum to 1


@dataclass(frozen=True)
class Cell:
    """What was measured at each image, ``(Y,)``.

    ``tv`` is the total variation between the labels of the draws and those of the posterior, and
    ``floor`` its mean for as many independent exact draws. ``rare`` is the share of draws with a
    label that the posterior calls impossible, ``off`` of those that are near no atom (empty for a
    prior without atoms). ``variance``
    and ``misfit`` are those of the draws; ``lost`` is the share of draws that diverged.
    """

    tv: list[float]
    floor: list[float]
    rare: list[float]
    off: list[float]
    variance: list[float]
    misfit: list[float]
    lost: list[float]


def clouds(problem: Asked, method: str, images: int | None = None) -> list[Cloud]:
    """The draws of a method at each image."""
    y, g = problem.y[:images], torch.Generator().manual_seed(1)
    known, grid = problem.problem, fl.times(problem.problem.schedule, STEPS, stop=STOP)
    count = COUNTS.get(method, DRAWS)
    start = known.schedule.noise(len(y) * count, 64, t=grid[0], generator=g)
    each = start.reshape(len(y), count, 64)
    if method in SCORES:
        make = SCORES[method]
        kind = Scored(lambda task: make(task.prior, task.likelihood))
        found = Asking(known, kind, grid, fl.dpm_solver, g).draws(y, each).x
        return [(x / known.schedule.alpha(STOP), x.new_full((count,), 1 / count)) for x in found]
    made = []
    for one, first in zip(y, each, strict=True):
        likelihood = known.likelihood
        assert isinstance(likelihood, Likelihood)
        sampler = SAMPLERS[method](known.diffusion, replace(likelihood, y=one))
        drawn = sampler(first, grid, generator=g)
        logs = torch.zeros(count) if drawn.log_weights is None else drawn.log_weights
        made.append((drawn.x / known.schedule.alpha(drawn.time), logs.to(first).softmax(0)))
    return made


def measured(problem: Asked, found: list[Cloud]) -> Cell:
    """All of a cell, from the draws at each image."""
    rows = [_row(problem, k, *cloud) for k, cloud in enumerate(found)]
    columns = (torch.tensor(column) for column in zip(*rows, strict=True))
    return Cell(*(rounded(column) if column.isfinite().all() else [] for column in columns))


def _row(problem: Asked, k: int, x: Tensor, w: Tensor) -> tuple[float, ...]:
    known, truth = problem.at(k), problem.truth(k)
    assert isinstance(known.likelihood, Likelihood)
    alive = x.isfinite().all(-1) & (x.norm(dim=-1) < 1e6)
    shares = w @ problem.labels(x)
    kept, weights = x[alive], w[alive] / w[alive].sum()
    return (
        float((shares - truth.labels).abs().sum() / 2),
        floor(truth.labels, len(x)),
        float(shares[truth.labels < RARE].sum()),
        off_atoms(known.prior, kept, weights),
        spread(kept, weights),
        misfit(known.likelihood, kept, weights),
        float(w[~alive].sum()),
    )


def floor(labels: Float[Tensor, "10"], n: int) -> float:
    """The mean total variation between ``labels`` and the shares of n independent draws of them."""
    g = torch.Generator().manual_seed(2)
    drawn = labels.multinomial(FLOOR * n, replacement=True, generator=g).reshape(FLOOR, n)
    shares = torch.nn.functional.one_hot(drawn, len(labels)).double().mean(1)
    return float((shares - labels).abs().sum(-1).mean() / 2)


def off_atoms(prior: object, x: Tensor, w: Tensor) -> float:
    """The share of draws that are near no atom; NaN for a prior without atoms."""
    if not isinstance(prior, fl.Empirical):
        return math.nan
    return float(w @ (torch.cdist(x, prior.atoms).amin(-1) > OFF).to(w))


def cell(name: str, method: str, images: int | None = None) -> Cell:
    """One method on one problem, at its first images, or at all."""
    problem = asked(name)
    return measured(problem, clouds(problem, method, images))
