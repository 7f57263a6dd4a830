"""Score-based data assimilation: DPS with more noise in the measurement where t is large."""

from dataclasses import dataclass

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.guidance.guidance import Guidance
from fsps_lite.guidance.jacobian import pulled
from fsps_lite.guidance.matched import operator_vjp
from fsps_lite.types import LogDensity, State, Time

CALL = "SDA(prior, likelihood, gamma=0.01)"


@dataclass(frozen=True)
class SDA(Guidance):
    """p(y | x_t) ~ N(y; A(m), noise_cov + gamma s^2 I), with s = sigma / alpha (Rozet and Louppe,
    2023).

    m = E[x_0 | x_t]. ``gamma``, in units of y^2 over units of x^2, stands for A A' times a
    constant, so that A need not be linear: it takes any operator. Published: gamma = 0.01, and J,
    the Jacobian of m. ``jacobian=False`` puts 1 / alpha in its place, as ``detach`` in the authors'
    code does. gamma = 0 is DPS. Raises ValueError unless gamma >= 0.
    """

    gamma: int | float = 1e-2
    jacobian: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("gamma", self.gamma, CALL, least=0.0)

    def guide(self, at: DenoisingPosterior, t: Time) -> State:
        """J' A' (noise_cov + gamma s^2 I)^-1 (y - A(m)). ``(*batch, d)``."""
        pull = self.likelihood.noise.solve(self.likelihood.residual(at.mean), self._spread(t))
        return pulled(at, operator_vjp(self.likelihood, at.mean, pull), self.jacobian)

    def log_likelihood(self, x: State, t: Time) -> LogDensity:
        """log N(y; A(m), noise_cov + gamma s^2 I), in nats. ``(*batch,)``."""
        residual = self.likelihood.residual(self.prior.denoise(x, t))
        return self.likelihood.noise.log_prob(residual, self._spread(t))

    def _spread(self, t: Time) -> Tensor:
        """gamma s^2 I. ``(m, m)``."""
        y = self.likelihood.y
        eye = torch.eye(self.likelihood.noise.size, dtype=y.dtype, device=y.device)
        return self.gamma * (-self.prior.schedule.log_snr(t)).exp() * eye
