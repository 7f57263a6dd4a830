"""How far a score is from the exact one, on average over the true p(x_t | y)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.estimate import Estimate
from fsps_lite.samplers.kernels import evaluate, examine
from fsps_lite.types import PosteriorScore


@dataclass(frozen=True)
class ScoreError:
    """e(t) = E |score - exact score|^2 under the true p(x_t | y), along a grid of times.

    ``t``, ``error`` and ``relative``, which is e(t) / E |exact score|^2, are ``(T,)``; ``error`` is
    in 1 / units of x^2. ``path_kl`` is 1/2 the integral of diffusion(t) e(t) dt, in nats. It is the
    Kullback-Leibler divergence from the exact reverse process to the approximate one (Girsanov),
    and bounds the divergence between their results. ``path_kl_density``, ``(T,)``, says at which
    times it arises: its integral over t is ``path_kl``.
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
    error = squares.mean(1)
    return ScoreError(t, error, error / torch.stack(sizes), weighted.mean(1), Estimate.of(paths))


def _falling(posterior: object, t: Tensor, n: int) -> Float[Tensor, "T"]:
    """The grid ``t`` from noise to data; it is reversed if it runs from data to noise."""
    call = "score_error(score, problem.posterior, t, n=1000, generator=g)"
    checks.count("n", n, call)
    checks.kind("posterior", posterior, Diffusion, call)
    checks.floating("t", t, call)
    falling = t.flip(0) if t.ndim == 1 and len(t) and t[0] < t[-1] else t
    checks.falls("t", falling, call)
    return falling
