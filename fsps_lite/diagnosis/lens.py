"""The lens's own error: what other atoms would have said, where the prior is made of data."""

import math
from collections.abc import Sequence

import torch

from fsps_lite.diffusion import Diffusion
from fsps_lite.measures.tails import TOO_HEAVY, tail_shape
from fsps_lite.priors import Empirical
from fsps_lite.problems import Problem
from fsps_lite.types import Prior

HALVES = 40  # half-samples of the atoms
ENOUGH = 21  # atoms: fewer are a prior that is meant, and no sample of one


def is_data(prior: Prior) -> bool:
    """Whether a prior is a sample of something, whose number of atoms is a choice."""
    return isinstance(prior, Empirical) and len(prior.atoms) >= ENOUGH


def halves(problem: Problem, count: int, *, generator: torch.Generator) -> list[Diffusion]:
    """The posteriors of ``count`` random halves of the atoms, drawn without replacement.

    The variance of a mean over half of N atoms, given all of them, is that of the mean over N: (1 -
    1/2) / (N / 2) = 1 / N. So the scatter over halves is the error of the whole.
    """
    posterior = problem.posterior.prior
    assert isinstance(posterior, Empirical)
    made: list[Diffusion] = []
    while len(made) < count:
        order = torch.randperm(len(posterior.atoms), generator=generator, device=generator.device)
        kept = order[: len(order) // 2].to(posterior.atoms.device)
        if bool((posterior.log_weights[kept] > -math.inf).any()):
            half = Empirical(posterior.atoms[kept], posterior.log_weights[kept])
            made.append(Diffusion(half, problem.schedule))
    return made


def lens_error(of_halves: Sequence[float], of_draws: Sequence[float]) -> float:
    """The root mean square distance of the halves' values from the mean of exact draws.

    What exact draws scatter themselves is taken off.
    """
    both = of_halves, of_draws
    values, draws = (torch.tensor(v, dtype=torch.float64, device="cpu") for v in both)
    square = (values - draws.mean()).square().mean() - draws.var()
    return math.sqrt(max(0.0, float(square)))


def worn(problem: Problem) -> tuple[float, float]:
    """The shape k of the tail of the posterior's weights, and their effective size."""
    posterior, prior = problem.posterior.prior, problem.prior
    assert isinstance(posterior, Empirical)
    assert isinstance(prior, Empirical)
    return tail_shape(posterior.log_weights), posterior.effective_size


def is_worn(shape: float) -> bool:
    """Whether the tail is so heavy that averages over the atoms cannot be trusted."""
    return shape > TOO_HEAVY
