"""How far a score is from the exact one, on average over the true p(x_t | y)."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.estimate import Estimate
from fsps_lite.samplers.kernels import evaluate, examine
from fsps_lite.types import PosteriorScore

FAR = 4.0  # standard errors of a count that are far
ROUNDED = 1e-10  # the square of the relative error that an exact score may have


@dataclass(frozen=True)
class ScoreError:
    """e(t) = E |score - exact score|^2 under the true p(x_t | y), along a grid of times.

    ``t``, ``error`` and ``relative``, which is e(t) / E |exact score|^2, are ``(T,)``; ``error`` is
    in 1 / units of x^2. ``path_kl`` is 1/2 the integral of diffusion(t) e(t) dt, in nats. It is the
    Kullback-Leibler divergence from the exact reverse process to the approximate one (Girsanov),
    and bounds the divergence between their results. ``path_kl_density``, ``(T,)``, says at which
    times it arises: its integral over t is ``path_kl``. That is the mean of ``paths``, ``(n,)``, of
    which few may have nearly all. ``rounding``, in nats, is what an exact score may have, because
    it is rounded: it is wrong by 1e-5 of its size, or by the root of a float's eps.
    """

    t: Float[Tensor, "T"]
    error: Float[Tensor, "T"]
    relative: Float[Tensor, "T"]
    path_kl_density: Float[Tensor, "T"]
    path_kl: Estimate
    paths: Float[Tensor, "n"]
    rounding: float

    @property
    def median(self) -> Estimate:
        """The median over paths, in nats.

        Its error is half the distance between the values that have, of all paths, half plus and
        minus a binomial standard error below them.
        """
        error = 0.5 / len(self.paths) ** 0.5
        shares = self.paths.new_tensor([max(0.0, 0.5 - error), 0.5, min(1.0, 0.5 + error)])
        low, middle, high = self.paths.quantile(shares).tolist()
        return Estimate(middle, (high - low) / 2)

    @property
    def above_rounding(self) -> bool:
        """A sign test: more paths are above the rounding than chance puts on one side of a median.

        Chance stays within half of the paths plus four standard errors.
        """
        n = len(self.paths)
        above = int((~(self.paths <= self.rounding)).sum())
        return above > n / 2 + FAR * math.sqrt(n) / 2


def score_error(
    score: PosteriorScore,
    posterior: Diffusion,
    t: Float[Tensor, "T"],
    *,
    n: int = 1000,
    generator: torch.Generator,
) -> ScoreError:
    """Compare a score with the exact one under the true p(x_t | y), at each time of ``t``.

    ``t`` is ``(T,)``. The same ``n`` draws of x_0 and of noise serve every time, so that the curve
    is smooth. The error of ``path_kl`` is that of ``n`` independent paths. Raises ValueError or
    TypeError unless ``t`` rises or falls and ``posterior`` is a Diffusion.
    """
    falling = _falling(posterior, t, n)
    schedule = posterior.schedule
    x0 = posterior.sample(n, 0.0, generator=generator)
    t = t.to(x0.device)  # a grid is made on the CPU
    eps = torch.randn(x0.shape, generator=generator, dtype=x0.dtype, device=x0.device)
    examine(score, schedule, x0 + eps, falling)
    misses, sizes = [], []
    for time in t:
        x = schedule.alpha(time) * x0 + schedule.sigma(time) * eps
        truth = posterior.score(x, time)
        misses.append((evaluate(score, x, time) - truth).square().sum(-1))
        sizes.append(truth.square().sum(-1).mean())
    squares = torch.stack(misses)  # (T, n)
    weighted = 0.5 * schedule.diffusion(t).unsqueeze(-1) * squares
    paths = torch.trapezoid(weighted, t, dim=0).abs()  # t may run either way
    error, size = squares.mean(1), torch.stack(sizes)
    whole = float(torch.trapezoid(0.5 * schedule.diffusion(t) * size, t).abs())
    rounding = max(ROUNDED, torch.finfo(x0.dtype).eps) * whole
    found = error, error / size, weighted.mean(1)
    return ScoreError(t, *found, Estimate.of(paths), paths, rounding)


def _falling(posterior: object, t: Tensor, n: int) -> Float[Tensor, "T"]:
    """The grid ``t`` from noise to data; it is reversed if it runs from data to noise."""
    call = "score_error(score, problem.posterior, t, n=1000, generator=g)"
    checks.count("n", n, call)
    checks.kind("posterior", posterior, Diffusion, call)
    checks.floating("t", t, call)
    falling = t.flip(0) if t.ndim == 1 and len(t) and t[0] < t[-1] else t
    checks.falls("t", falling, call)
    return falling
