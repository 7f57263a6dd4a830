"""Whether few weights have it all: the shape of the tail of importance weights."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks

TOO_HEAVY = 0.7  # the shape k above which averages with such weights are not reliable
FEWEST = 5  # values of a tail to which a shape is fitted
CALL = "tail_shape(posterior.log_weights)"


def tail_shape(log_weights: Float[Tensor, "N"]) -> float:
    """k, the shape of a generalised Pareto distribution fitted to the largest weights.

    The tail are the largest min(N / 5, 3 sqrt(N)) of ``log_weights``, ``(N,)``, in nats and up to a
    constant. Weights have 1 / k finite moments; averages with them are reliable for k up to 0.7
    (Vehtari et al., 2024). k is drawn towards 0.5 as by ten values more. It is infinite where the
    tail has fewer than five values, or one weight has all. Raises ValueError or TypeError on a
    wrong shape or kind.
    """
    checks.floating("log_weights", log_weights, CALL)
    checks.shape("log_weights", log_weights, ("N",), CALL)
    logs = (log_weights.double() - log_weights.double().max()).sort().values
    n = len(logs)
    tail = math.ceil(min(0.2 * n, 3 * math.sqrt(n)))
    if tail < FEWEST:
        return math.inf
    cut = float(logs[-tail - 1].exp())
    return pareto_shape(logs[-tail:].exp() - cut)


def pareto_shape(excess: Float[Tensor, "M"]) -> float:
    """The shape of a generalised Pareto distribution, by the fit of Zhang and Stephens (2009).

    ``excess`` rises, and is how much each value of the tail is above the cut. The shape is an
    average of profile maxima over a grid of rates b, weighted by their likelihoods.
    """
    excess = excess.double()
    m, largest = len(excess), float(excess[-1])
    quartile = float(excess[int(m / 4 + 0.5) - 1])
    if not largest > 0 or not quartile > 0:
        return math.inf
    grid = 30 + int(m**0.5)
    place = (torch.arange(grid, dtype=torch.float64, device=excess.device) + 0.5) / grid
    rate = 1 / largest + (1 - place.rsqrt()) / (3 * quartile)
    shape = torch.log1p(-rate[:, None] * excess).mean(-1)
    fit = m * ((-rate / shape).log() - shape - 1)
    b = float(fit.softmax(0) @ rate)
    k = float(torch.log1p(-b * excess).mean())
    return (m * k + 10 * 0.5) / (m + 10)
