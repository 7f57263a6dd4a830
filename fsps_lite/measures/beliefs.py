"""What a score believes, before any particle has moved.

In one dimension every score is the score of some density, whether or not its author knows one: its
integral. In any dimension a score can be compared with the exact one where the truth would be.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.estimate import Estimate
from fsps_lite.guidance import MatchedGaussian
from fsps_lite.operators import Linear
from fsps_lite.types import PosteriorScore, Time


def implied_density(score: PosteriorScore, x: Float[Tensor, "G"], t: Time) -> Float[Tensor, "G"]:
    """The density whose score this is: exp of the integral of ``score``, normalised on ``x``.

    ``x`` is an even grid on the line, wide enough to hold the density. The integral is the
    trapezoid rule with its end correction, of fourth order in the spacing.
    """
    call = "implied_density(score, torch.linspace(-5, 5, 2001, dtype=torch.float64), 0.3)"
    checks.floating("x", x, call)
    checks.shape("x", x, ("G",), call)
    checks.even("x", x, call)
    cell = x[1] - x[0]
    s = score(x.unsqueeze(-1), t).squeeze(-1)
    slope = torch.gradient(s, spacing=float(cell), edge_order=2)[0]
    steps = (s[1:] + s[:-1]) / 2 - cell * (slope[1:] - slope[:-1]) / 12
    log_p = torch.cat([s.new_zeros(1), (steps * cell).cumsum(0)])
    return log_p.softmax(0) / cell


def implied_spread(score: PosteriorScore, x: Float[Tensor, "G"], t: Time) -> float:
    """The standard deviation of the density that the score belongs to, in units of x."""
    mass = implied_density(score, x, t) * (x[1] - x[0])
    mean = (mass * x).sum()
    return float((mass * (x - mean) ** 2).sum().sqrt())


@dataclass(frozen=True)
class ScoreError:
    """e(t) = E |score - exact score|^2 under the true p(x_t | y), along a grid of times.

    ``t``, ``error`` and ``relative`` (over E |exact score|^2) are ``(T,)``. ``path_kl`` is
    1/2 the integral of diffusion(t) e(t) dt, in nats: the Kullback-Leibler divergence from the
    exact reverse process to the approximate one (Girsanov), which bounds that of their results.
    ``path_kl_density`` says when it is spent: it integrates to ``path_kl`` over t.
    """

    t: Float[Tensor, "T"]
    error: Float[Tensor, "T"]
    relative: Float[Tensor, "T"]
    path_kl_density: Float[Tensor, "T"]
    path_kl: Estimate


def score_error(
    score: PosteriorScore,
    posterior: Diffusion,
    t: Float[Tensor, "T"],
    *,
    n: int = 1000,
    generator: torch.Generator,
) -> ScoreError:
    """Compare a score with the exact one where the truth would be, at each time of ``t``.

    The same ``n`` draws of x_0 and of noise serve every time, so that the curve is smooth; the
    error of ``path_kl`` is that of ``n`` independent paths.
    """
    checks.count("n", n, "score_error(score, problem.posterior, t, n=1000, generator=g)")
    schedule = posterior.schedule
    x0 = posterior.sample(n, 0.0, generator=generator)
    eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype, device=x0.device)
    misses, sizes = [], []
    for time in t:
        x = schedule.alpha(time) * x0 + schedule.sigma(time) * eps
        truth = posterior.score(x, time)
        misses.append((score(x, time) - truth).square().sum(-1))
        sizes.append(truth.square().sum(-1).mean())
    squares = torch.stack(misses)  # (T, n)
    weighted = 0.5 * schedule.diffusion(t).unsqueeze(-1) * squares
    paths = torch.trapezoid(weighted, t, dim=0).abs()  # t may run either way
    error = squares.mean(1)
    return ScoreError(t, error, error / torch.stack(sizes), weighted.mean(1), Estimate.of(paths))


def covariance_ratio(
    method: MatchedGaussian,
    posterior: Diffusion,
    t: Time,
    *,
    n: int = 1000,
    generator: torch.Generator,
) -> float:
    """E tr(A V A') over E tr(A C A') under the true p(x_t | y): 0 for DPS, 1 for TMPD.

    V is the covariance that the method assumes p(x_0 | x_t) to have and C the true one; above 1
    the method believes the measurement less than it should at this time.
    """
    call = "covariance_ratio(PiGDM(prior, likelihood), problem.posterior, 0.3, generator=g)"
    checks.count("n", n, call)
    operator = method.likelihood.operator
    if not isinstance(operator, Linear):
        what = "a covariance is seen through the matrix of a Linear operator"
        raise ValueError(checks.complaint(what, operator, call))
    x, matrix = posterior.sample(n, t, generator=generator), operator.matrix
    at = method.prior.at(x, t)
    covs = method.predicted_cov(at, t), at.projected_cov(matrix)
    seen = [cov.diagonal(dim1=-2, dim2=-1).sum(-1).mean() for cov in covs]
    return float(seen[0] / seen[1])
