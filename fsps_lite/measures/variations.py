"""Total variation between the parts of a cloud and those of the posterior, and its floor."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite.estimate import Estimate
from fsps_lite.measures.hallucinations import excess, share_error


def total_variation_of_parts(
    shares: Float[Tensor, "K"],
    weights: Float[Tensor, "K"],
    n: int | float,
    drawn: int | None = None,
) -> Estimate:
    """1/2 sum_k |share_k - weight_k|, with the rest of both as one part more.

    ``shares`` are those of ``n`` draws. ``weights`` are known, or are shares of ``drawn`` draws.
    The sum is the share in all parts that hold too much, minus the weight of these parts; so its
    error is that of one share.
    """
    more = with_rest(shares) > with_rest(weights)
    share, weight = (float(with_rest(p)[more].sum()) for p in (shares, weights))
    if drawn is not None:
        return excess(share, weight, n, drawn)
    return Estimate(share - weight, share_error(share, n))


def multinomial_floor(weights: Float[Tensor, "K"], n: int, *, against_draws: bool = False) -> float:
    """The same, on average over clouds of ``n`` exact draws: never 0.

    It is 1/2 sum_k E|X_k / n - w_k| with X_k binomial, summed over the n + 1 values of X_k. With
    ``against_draws`` a second cloud of ``n`` exact draws takes the place of the weights. Then
    E|X - X'| = 2 sum_j F(j) (1 - F(j)), where F is the distribution function of X.
    """
    j = torch.arange(n + 1, dtype=torch.float64, device="cpu")
    total = 0.0
    for w in with_rest(weights).cpu().tolist():
        p = _binomial(j, n, w)
        below = p.cumsum(0).clamp(max=1.0)  # of probabilities that round to more than 1
        apart = 2 * (below * (1 - below)).sum() if against_draws else (p * (j - n * w).abs()).sum()
        total += float(apart) / (2 * n)
    return total


def with_rest(shares: Float[Tensor, "K"]) -> Float[Tensor, "_"]:
    """The shares of all parts, and of what lies in none."""
    shares = shares.double()
    rest = 1 - shares.sum()
    return torch.cat([shares, rest.clamp(min=0.0).reshape(1)])  # of shares that round to 1 + 1e-16


def _binomial(j: Float[Tensor, "_"], n: int, w: float) -> Float[Tensor, "_"]:
    """The probability of ``j`` successes among ``n``, each of probability ``w``."""
    if not 0 < w < 1:
        return (j == (n if w >= 1 else 0)).double()
    choose = math.lgamma(n + 1) - torch.lgamma(j + 1) - torch.lgamma(n - j + 1)
    return (choose + j * math.log(w) + (n - j) * math.log1p(-w)).exp()
