"""Averages over weighted particles that depend on each other within a run, and their errors."""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fsps_lite.estimate import Estimate
from fsps_lite.measures.hallucinations import share_error
from fsps_lite.types import State


def grouped_mean(
    values: Float[Tensor, "n"], weights: Float[Tensor, "n"], runs: Int[Tensor, "n"]
) -> Estimate:
    """sum_i w_i f_i / sum_i w_i, with the jackknife error over independent runs (Efron and Stein,
    1981).

    ``weights`` need not sum to 1. The error^2 is (G - 1) / G times the sum of the squares of
    theta_g minus their mean, where theta_g leaves out the run g of G. It is infinite where a single
    run carries all of the weight.
    """
    label = torch.unique(runs, return_inverse=True)[1]
    groups = int(label.max()) + 1
    total, mass = (
        weights.new_zeros(groups).index_add(0, label, part) for part in (weights * values, weights)
    )
    mean = float(total.sum() / mass.sum())
    rest = mass.sum() - mass
    if groups < 2 or bool((rest <= torch.finfo(rest.dtype).eps * mass.sum()).any()):
        return Estimate(mean, math.inf)
    without = (total.sum() - total) / rest
    spread = (groups - 1) / groups * (without - without.mean()).square().sum()
    return Estimate(mean, math.sqrt(float(spread)))


def grouped_share(
    inside: Bool[Tensor, "n"], weights: Float[Tensor, "n"], runs: Int[Tensor, "n"]
) -> Estimate:
    """The weight of the particles ``inside``, with an error that is never 0.

    It is at least the binomial error of as many independent draws as the effective size says.
    """
    found = grouped_mean(inside.to(weights.dtype), weights, runs)
    least = share_error(found.value, effective_size(weights))
    return Estimate(found.value, max(found.error, least))


def effective_size(weights: Float[Tensor, "n"]) -> float:
    """(sum_i w_i)^2 / sum_i w_i^2, the number of equal weights that would do (Kong, 1992)."""
    return float(weights.sum() ** 2 / weights.square().sum())


def resampled(
    x: State, weights: Float[Tensor, "n"], n: int, *, generator: torch.Generator
) -> State:
    """``n`` of the points, each about n times its weight: systematic resampling (Kitagawa, 1996).

    Each is taken n w_i times, rounded up or down.
    """
    first = torch.rand(1, generator=generator, dtype=torch.float64, device=generator.device)
    places = (torch.arange(n, device=x.device) + first.to(x.device)) / n
    ends = weights.double().cumsum(0)
    picked = torch.searchsorted(ends / ends[-1], places, right=True)
    return x[picked.clamp(max=len(x) - 1)]  # of a last end that rounds to less than 1
