"""What a score believes, before any particle has moved.

In one dimension every score is the score of some density: the integral of the score is its log,
also where the author of the score knows no density.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.guidance import MatchedGaussian
from fsps_lite.guidance.transport import projected
from fsps_lite.operators import Linear
from fsps_lite.samplers.kernels import evaluate
from fsps_lite.types import PosteriorScore, Time

HIGH = 0.2  # of its maximum: a density that is higher at an end of the grid is cut off


def implied_density(score: PosteriorScore, x: Float[Tensor, "G"], t: Time) -> Float[Tensor, "G"]:
    """The density whose score this is: exp of the integral of ``score``, normalised on ``x``.

    ``x``, ``(G,)``, is an even grid on the line, wide enough to hold the density. The answer is
    ``(G,)``, in 1 / units of x. The integral is the trapezoid rule with its end correction, of
    fourth order in the spacing. Raises ValueError unless the grid is even and the density is small
    at both of its ends.
    """
    call = "implied_density(score, torch.linspace(-5, 5, 2001, dtype=torch.float64), 0.3)"
    checks.floating("x", x, call)
    checks.shape("x", x, ("G",), call)
    checks.even("x", x, call)
    cell = x[1] - x[0]
    checks.function("score", score, call)
    s = evaluate(score, x.unsqueeze(-1), t).squeeze(-1)
    slope = torch.gradient(s, spacing=float(cell), edge_order=2)[0]
    steps = (s[1:] + s[:-1]) / 2 - cell * (slope[1:] - slope[:-1]) / 12
    log_p = torch.cat([s.new_zeros(1), (steps * cell).cumsum(0)])
    _check_ends(log_p, call)
    return log_p.softmax(0) / cell


def _check_ends(log_p: Float[Tensor, "G"], call: str) -> None:
    """Raise ValueError where an end of the grid cuts off a density that is not yet small."""
    end, top = torch.maximum(log_p[0], log_p[-1]), log_p.max()
    if bool(end > top + math.log(HIGH)):
        what = "the density must die away at both ends of `x`"
        got = f"{float((end - top).exp()):.2g} of its maximum at an end"
        raise ValueError(checks.complaint(what, got, call))


def implied_spread(score: PosteriorScore, x: Float[Tensor, "G"], t: Time) -> float:
    """The standard deviation of the density that the score belongs to, in units of x.

    ``x`` is a grid as for :func:`implied_density`, and raises as there.
    """
    mass = implied_density(score, x, t) * (x[1] - x[0])
    mean = (mass * x).sum()
    return float((mass * (x - mean) ** 2).sum().sqrt())


def covariance_ratio(
    method: MatchedGaussian,
    posterior: Diffusion,
    t: Time,
    *,
    n: int = 1000,
    generator: torch.Generator,
) -> float:
    """E tr(A V A') over E tr(A C A') under the true p(x_t | y): 0 for DPS, 1 for TMPD.

    V is the covariance that the method assumes p(x_0 | x_t) to have, and C is the true one. Above
    1, the method trusts the measurement less than it should at this time. The averages are over
    ``n`` draws of p(x_t | y). Raises ValueError unless the operator is Linear.
    """
    call = "covariance_ratio(PiGDM(prior, likelihood), problem.posterior, 0.3, generator=g)"
    checks.count("n", n, call)
    checks.kind("method", method, MatchedGaussian, call)
    checks.kind("posterior", posterior, Diffusion, call)
    operator = method.likelihood.operator
    if not isinstance(operator, Linear):
        what = "a covariance is seen through the matrix of a Linear operator"
        raise ValueError(checks.complaint(what, operator, call))
    at = method.prior.at(posterior.sample(n, t, generator=generator), t)
    covs = method.predicted_cov(at, t), projected(operator, at)
    seen = [cov.diagonal(dim1=-2, dim2=-1).sum(-1).mean() for cov in covs]
    return float(seen[0] / seen[1])
