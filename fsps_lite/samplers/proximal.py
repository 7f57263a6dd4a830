"""p(z) ~ N(z; h, var I) p(y | z): what is drawn where the prior has become one isotropic Gaussian.

Decoupled and splitting samplers draw from it or take its mean, in place of guidance.
"""

from dataclasses import dataclass

import torch

from fsps_lite import checks
from fsps_lite.guidance.conjugate import solved
from fsps_lite.guidance.matched import DIRECT, operator_vjp
from fsps_lite.guidance.transport import product, projected
from fsps_lite.likelihood import Likelihood
from fsps_lite.operators import Linear
from fsps_lite.samplers.kernels import draw
from fsps_lite.types import Measurement, Scale, State

CALL = "Langevin(steps=100, rate=1e-4, decay=0.01)"


def proximal_mean(likelihood: Likelihood, operator: Linear, h: State, var: Scale) -> State:
    """h + var A' (var A A' + noise_cov)^-1 (y - A h), the mean. ``(n, d)``.

    It is the most probable z, and minimises |y - A z|^2 / noise_std^2 + |z - h|^2 / var.
    """
    return h + _pull(likelihood, operator, likelihood.residual(h), var)


def proximal_gradient(likelihood: Likelihood, h: State, var: Scale) -> State:
    """h + var A'(h)' noise_cov^-1 (y - A(h)): one gradient step to the mean, for any operator.

    ``(n, d)``. It differs from the mean by the order of var^2.
    """
    pull = likelihood.noise.solve(likelihood.residual(h))
    return h + (var * operator_vjp(likelihood, h, pull)).to(h.dtype)


def proximal_draw(
    likelihood: Likelihood,
    operator: Linear,
    h: State,
    var: Scale,
    generator: torch.Generator,
) -> State:
    """A draw: z and y are drawn from N(h, var I) and p(y | z), then z moves to the y that was seen.

    ``(n, d)``.
    """
    z = h + var**0.5 * draw(h, generator)
    simulated = likelihood.simulate(z, generator=generator)
    return z + _pull(likelihood, operator, likelihood.y - simulated, var)


def _pull(likelihood: Likelihood, operator: Linear, r: Measurement, var: Scale) -> State:
    """var A' (var A A' + noise_cov)^-1 r, by a factor or, for many measurements, by products."""
    noise = likelihood.noise
    known = operator, torch.as_tensor(var, dtype=r.dtype, device=r.device)
    if likelihood.noise.size <= DIRECT:
        return var * operator.adjoint(noise.solve(r, projected(*known)))
    u = solved(lambda u: product(*known, u) + noise.cov_product(u), noise.solve, r)
    return var * operator.adjoint(u)


@dataclass(frozen=True)
class Langevin:
    """Draws z by ``steps`` Langevin steps from h: z <- z + rate grad + sqrt(2 rate) xi.

    It takes any operator. The rate falls along the run of a sampler, from ``rate`` to ``decay``
    times it. A rate that is large against the curvature makes z diverge, and a small one leaves it
    at h. Raises ValueError unless steps >= 1, rate > 0 and 0 < decay <= 1.
    """

    steps: int = 100
    rate: int | float = 1e-4
    decay: int | float = 1e-2

    def __post_init__(self) -> None:
        checks.count("steps", self.steps, CALL)
        checks.positive("rate", self.rate, CALL)
        checks.positive("decay", self.decay, CALL)
        checks.number("decay", self.decay, CALL, most=1.0)

    def at(self, gone: float) -> "Langevin":
        """With the rate after the share ``gone`` of a run, from 0 to 1."""
        now = self.rate * (1 - (1 - self.decay) * gone)
        return Langevin(self.steps, now, self.decay)

    def slowed(self, share: float) -> "Langevin":
        """With ``share`` times the rate."""
        return Langevin(self.steps, self.rate * share, self.decay)

    def draw(
        self, likelihood: Likelihood, h: State, var: Scale, generator: torch.Generator
    ) -> State:
        """z after all steps. ``(n, d)``."""
        z = h
        for _ in range(self.steps):
            pull = likelihood.noise.solve(likelihood.residual(z))
            slope = operator_vjp(likelihood, z, pull) - (z - h) / var
            z = z + self.rate * slope + (2 * self.rate) ** 0.5 * draw(z, generator)
        return z
