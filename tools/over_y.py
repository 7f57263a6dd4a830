"""The two results that the chapter *Every measurement* has stored: maps, and powers of checks.

python -m tools.over_y     computes both, and writes them into the chapter (ten minutes)

The maps are by law, 200 steps each: a chapter has a minute, and one law takes a second. The powers
need thousands of measurements. A test computes a sample of each again.
"""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import fsps_lite as fl
from fsps_lite.diagnosis.batches import Asking, drawing, posteriors
from fsps_lite.diagnosis.method import ScoreMethod
from fsps_lite.likelihood import Likelihood
from fsps_lite.measures import rank_of, rank_test, tarp_ranks
from fsps_lite.problems import Problem
from tools.stored import results_of, store

CHAPTER = Path(__file__).resolve().parents[1] / "book" / "chapters" / "every-measurement.md"

DRAWS, NULLS = 20, 19  # of the method and of each exact cloud at a y; exact clouds
STEPS, STOP = 100, 1e-3
SIZES = (5, 10, 20, 50, 100, 200, 500, 1000)  # measurements
LEVEL, POWER = 0.95, 0.9
SETS = 200  # of each size, from which a power is estimated
MOST = 250  # measurements of images that are drawn at a time: they take a gigabyte
MAP_STEPS, MAP_STOP = 200, 0.01


def flat(prior: fl.Diffusion, likelihood: Likelihood) -> fl.PiGDM:
    """PiGDM for a flat prior."""
    return fl.PiGDM(prior, likelihood, data_var=math.inf)


def exact(prior: fl.Diffusion, likelihood: Likelihood) -> fl.Diffusion:
    """The score of the posterior: what it is found guilty of, the integrator does."""
    points = prior.prior
    assert isinstance(points, fl.GaussianMixture | fl.Empirical)
    each = points.condition if likelihood.y.ndim == 1 else points.condition_each
    return fl.Diffusion(each(likelihood), prior.schedule)


METHODS: Mapping[str, ScoreMethod] = {
    "exact score": exact,
    "DPS": fl.DPS,
    "PiGDM (data_var = 1)": fl.PiGDM,
    "PiGDM (flat)": flat,
    "TMPD": fl.TMPD,
}
# Even grids that hold 99.9 % of p(y), and the gallery's own y.
MAPS: Mapping[str, tuple[Callable[..., Problem], float, float, int]] = {
    "trimodal": (fl.problems.trimodal, -3.3, 3.75, 48),
    "two_atoms": (fl.problems.two_atoms, -2.7, 2.7, 37),
    "unequal": (fl.problems.unequal, -3.4, 3.4, 35),
}
CASES: Mapping[str, tuple[Callable[..., Problem], str, int]] = {
    "exact score on trimodal": (fl.problems.trimodal, "exact score", 2000),
    "TMPD on trimodal": (fl.problems.trimodal, "TMPD", 4000),
    "PiGDM (data_var = 1) on trimodal": (fl.problems.trimodal, "PiGDM (data_var = 1)", 4000),
    "DPS on trimodal": (fl.problems.trimodal, "DPS", 4000),
    "DPS on two_atoms": (fl.problems.two_atoms, "DPS", 4000),
    "TMPD on one_coordinate": (fl.problems.one_coordinate, "TMPD", 4000),
    "DPS on digits_masked": (fl.problems.digits_masked, "DPS", 1000),
}


def mapped(problem: str, method: str, y: Tensor | None = None) -> dict[str, list[float]]:
    """The total variation over the grid, by law, and p(y)."""
    make, low, high, count = MAPS[problem]
    places = torch.linspace(low, high, count, dtype=torch.float64) if y is None else y
    asked = None if method == "exact score" else METHODS[method]
    found = fl.failure_map(make(), asked, y=places, steps=MAP_STEPS, stop=MAP_STOP)
    return {"y": rounded(found.y), "p": rounded(found.density), "tv": rounded(found.tv)}


def rounded(values: Tensor) -> list[float]:
    """Four digits after the point."""
    return [round(float(value), 4) for value in values]


@dataclass(frozen=True)
class Drawn:
    """Pairs of x* and y, the method's draws at each y, and 20 exact clouds."""

    problem: Problem
    posteriors: fl.Diffusion
    y: Tensor  # (Y, m)
    truth: Tensor  # (Y, d)
    mine: Tensor  # (Y, L, d)
    exact: Tensor  # (Y, 20, L, d)

    @classmethod
    def of(cls, problem: Problem, method: ScoreMethod, count: int, seed: int = 0) -> "Drawn":
        """Draw them; x* and all draws are of the time at which the method stops."""
        g = torch.Generator().manual_seed(seed)
        known, grid = problem.likelihood, fl.times(problem.schedule, STEPS, stop=STOP)
        assert isinstance(known, Likelihood)
        clean = problem.prior.sample(count, generator=g)
        y = known.simulate(clean, generator=g)
        eps = torch.randn(clean.shape, generator=g, dtype=clean.dtype)
        truth = problem.schedule.alpha(grid[-1]) * clean + problem.schedule.sigma(grid[-1]) * eps
        many = posteriors(problem, y)
        clouds = many.sample((NULLS + 1) * DRAWS, grid[-1], generator=g).transpose(0, 1)
        start = problem.schedule.noise(count * DRAWS, clean.shape[1], t=grid[0], generator=g)
        kind = drawing(problem, method, "over_y.Drawn.of(problem, method, 100)")
        asking = Asking(problem, kind, grid, fl.dpm_solver, g)
        mine = asking.draws(y, start.reshape(count, DRAWS, -1)).x
        sets = clouds.reshape(count, NULLS + 1, DRAWS, -1)
        return cls(problem, many, y, truth, mine, sets)

    def ranks(self, seed: int = 1) -> dict[str, tuple[Tensor, int]]:
        """Of each check the ranks at each y, ``(Y,)``, and among how many."""
        g = torch.Generator().manual_seed(seed)
        both = torch.cat([self.truth[:, None], self.mine], 1)
        found = {
            name: (rank_of(v[:, 0], v[:, 1:], generator=g), DRAWS)
            for name, v in self.numbers(both).items()
        }
        other = self.problem.diffusion.sample(len(both), STOP, generator=g)
        found["TARP"] = tarp_ranks(self.truth, self.mine, other, generator=g), DRAWS
        for name, values in self.at_each_y(g).items():
            found[name] = rank_of(values[:, 0], values[:, 1:], generator=g), NULLS
        return found

    def numbers(self, x: Tensor) -> dict[str, Tensor]:
        """What is ranked of each point, ``(Y, K)``."""
        known, alpha = self.problem.likelihood, self.problem.schedule.alpha(STOP)
        assert isinstance(known, Likelihood)
        residual = self.y[:, None] - known.operator(x / alpha)
        prior = self.problem.diffusion.log_prob(x.flatten(0, 1), STOP)
        return {
            "x[0]": x[..., 0],
            "log p(x)": prior.reshape(x.shape[:2]),
            "log p(y | x)": known.noise.log_prob(residual),
            "log p(x | y)": self.posteriors.log_prob(x.transpose(0, 1), STOP).mT,
        }

    def at_each_y(self, g: torch.Generator) -> dict[str, Tensor]:
        """Distances from one exact cloud: of the method's, and of 19 exact ones. ``(Y, 20)``."""
        clouds = torch.cat([self.mine[:, None], self.exact[:, 1:]], 1)
        u = torch.randn(clouds.shape[-1], 50, generator=g, dtype=clouds.dtype)
        u = u / u.norm(dim=0) if len(u) > 1 else torch.ones_like(u[:, :1])
        first, others = ((c @ u).sort(-2).values for c in (self.exact[:, :1], clouds))
        shares = self.shares(clouds) - self.shares(self.exact[:, :1])
        return {
            "W1": (first - others).abs().mean((-2, -1)),
            "weights": shares.abs().sum(-1) / 2,
        }

    def shares(self, clouds: Tensor) -> Tensor:
        """The share of each part, ``(Y, clouds, parts)``."""
        parts = self.problem.parts
        assert parts is not None
        clean = clouds / self.problem.schedule.alpha(STOP)
        where = parts.of(clean.flatten(0, -2)).reshape(clean.shape[:-1])
        return torch.nn.functional.one_hot(where, len(parts.names)).double().mean(-2)


def powers(ranks: Tensor, among: int, seed: int = 2) -> dict[int, float]:
    """{measurements: the share of sets of so many whose ranks are found not to be uniform}."""
    g = torch.Generator().manual_seed(seed)
    found = {}
    for size in (size for size in SIZES if size <= len(ranks) / 2):
        chosen = torch.stack([torch.randperm(len(ranks), generator=g)[:size] for _ in range(SETS)])
        told = rank_test(ranks[chosen], among, generator=g, level=LEVEL)
        found[size] = round(float(told.rejected.double().mean()), 3)
    return found


def power_of(case: str, count: int | None = None) -> dict[str, dict[int, float]]:
    """The powers of every check in one case."""
    make, method, pairs = CASES[case]
    problem, wanted = make(), count or pairs
    size = wanted if problem.prior.dim <= 2 else min(wanted, MOST)
    found = [
        Drawn.of(problem, METHODS[method], size, seed=seed).ranks(seed=seed + 1)
        for seed in range(wanted // size)
    ]
    among = {check: count for check, (_, count) in found[0].items()}
    ranks = {check: torch.cat([part[check][0] for part in found]) for check in among}
    return {check: powers(ranks[check], among[check]) for check in among}


def stored(text: str | None = None) -> dict[str, Any]:
    """What the chapter has stored."""
    return results_of(CHAPTER, text)


def main(tell: Callable[[str], object] = print) -> int:
    """Compute all, and write it into the chapter."""
    torch.set_num_threads(1)
    maps: dict[str, dict[str, Any]] = {}
    for problem in MAPS:
        for method in METHODS:
            found = mapped(problem, method)
            maps.setdefault(problem, {"y": found["y"], "p": found["p"]})[method] = found["tv"]
            tell(f"map of {method} on {problem}")
    power = {}
    for case in CASES:
        power[case] = power_of(case)
        tell(f"powers of {case}: {power[case]}")
    store(CHAPTER, {"maps": maps, "power": power})
    return 0


if __name__ == "__main__":
    sys.exit(main())
