"""FPS, which is not built: its filter takes one noise of y for a new one at each time.

The noisy measurements y_s = alpha_s y + sigma_s e_s come from y by the DDIM recursion. With the
noise of x_s in e_s, y_s is a measurement of x_s whose noise is alpha_s times that of y: the same at
all times. The filter weighs each step by N(y_s; A x_s, alpha_s^2 noise_cov), as if it were drawn
anew.
"""

import math

import torch

import fsps_lite as fl
from fsps_lite import problems
from fsps_lite.samplers.kernels import bridge_kernel
from tools.pages.facts import known, measured

KEPT = 0.95  # of the variance of the old noise of y, in each step, as published


def weight(
    particles: int, steps: int, *, problem: fl.Problem | None = None, seed: int = 0
) -> float:
    """The weight that the filter gives to the atom at -1, on a line with A = 1."""
    problem = problems.two_atoms() if problem is None else problem
    (y, noise), schedule = measured(problem), problem.schedule
    assert known(problem).noise.size == 1
    g, t = torch.Generator().manual_seed(seed), fl.times(problem.schedule, steps)
    x, e = schedule.noise(particles, 1, t=t[0], generator=g), _normal(1, g)
    for now, after in zip(t[:-1], t[1:], strict=True):
        e = math.sqrt(KEPT) * e + math.sqrt(1 - KEPT) * _normal(1, g)
        seen = schedule.alpha(after) * y + schedule.sigma(after) * e
        m = problem.diffusion.denoise(x, now)
        mean, std = bridge_kernel(schedule, m, x, now, after)
        var = (schedule.alpha(after) * noise) ** 2
        shares = (-0.5 * (seen - mean) ** 2 / (var + std**2))[:, 0].softmax(0)
        mean = mean[torch.multinomial(shares, particles, replacement=True, generator=g)]
        both = 1 / (1 / std**2 + 1 / var)
        x = both * (mean / std**2 + seen / var) + both.sqrt() * _normal(particles, g)
    return float((x < 0).double().mean())


def _normal(n: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(n, 1, generator=generator, dtype=torch.float64)
