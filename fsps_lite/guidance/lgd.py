"""Loss-guided diffusion: an average of p(y | x_0) over draws around the denoised signal."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.guidance.guidance import Guidance
from fsps_lite.guidance.isotropic import isotropic_var
from fsps_lite.guidance.jacobian import pulled
from fsps_lite.guidance.matched import operator_vjp
from fsps_lite.types import LogDensity, State, Time

CALL = "LGD(prior, likelihood, draws=10, data_var=1.0, seed=0)"


@dataclass(frozen=True)
class LGD(Guidance):
    """p(y | x_t) ~ 1/K sum_k p(y | m + r_t e_k), with m = E[x_0 | x_t] (Song et al., 2023a).

    The e_k are K = ``draws`` standard normal draws, and r_t^2 = sigma^2 data_var / (sigma^2 +
    alpha^2 data_var) is that of :class:`PiGDM`. The gradient is J' sum_k w_k A'(x_k)' noise_cov^-1
    (y - A(x_k)), with x_k = m + r_t e_k and w the softmax of log p(y | x_k): the log of an average,
    and not the average of a log. It takes any operator. Published: data_var = 1; ``draws`` is left
    to the user. For many draws and a Linear operator it is PiGDM; for few, the log of the average
    is biased. With r_t = 0 it is DPS.

    Each time and row has draws of its own from ``seed``, the same at every call: two calls, and two
    methods, share their random numbers. ``jacobian=False`` puts 1 / alpha in place of J. Raises
    ValueError unless draws >= 1 and data_var > 0.
    """

    draws: int = 10
    data_var: int | float = 1.0
    seed: int = 0
    jacobian: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("draws", self.draws, CALL)
        checks.number("data_var", self.data_var, CALL, least=0.0, most=torch.inf)
        checks.seed(self.seed, CALL)

    def nodes(self, x: State, t: Time) -> tuple[Float[Tensor, "K *batch d"], Float[Tensor, "K"]]:
        """The e_k of each row, ``(K, *batch, d)``, and the logs of their weights, ``(K,)``.

        A quadrature in place of draws overrides this.
        """
        g = torch.Generator(x.device).manual_seed(self.seed + _bits(t))
        e = torch.randn(self.draws, *x.shape, generator=g, dtype=x.dtype, device=x.device)
        return e, e.new_full((self.draws,), -math.log(self.draws))

    def guide(self, at: DenoisingPosterior, t: Time) -> State:
        """J' sum_k w_k A'(x_k)' noise_cov^-1 (y - A(x_k)). ``(*batch, d)``."""
        near, log_parts = self._around(at.mean, at.x, t)
        pull = self.likelihood.noise.solve(self.likelihood.residual(near))
        each = operator_vjp(self.likelihood, near, pull)
        return pulled(at, (log_parts.softmax(0).unsqueeze(-1) * each).sum(0), self.jacobian)

    def log_likelihood(self, x: State, t: Time) -> LogDensity:
        """log 1/K sum_k p(y | m + r_t e_k), in nats. ``(*batch,)``."""
        return self._around(self.prior.denoise(x, t), x, t)[1].logsumexp(0)

    def _around(
        self, m: State, x: State, t: Time
    ) -> tuple[Float[Tensor, "K *batch d"], Float[Tensor, "K *batch"]]:
        """The x_k, and log(weight_k p(y | x_k))."""
        e, log_weights = self.nodes(x, t)
        near = m + isotropic_var(self.prior.schedule, t, self.data_var).sqrt() * e
        log_weights = log_weights.reshape(-1, *[1] * (near.ndim - 2))
        return near, log_weights + self.likelihood.noise.log_prob(self.likelihood.residual(near))


def _bits(t: Time) -> int:
    """A whole number that is another for each time.

    Ten digits of it count: the last bit of a time is another one on other processors.
    """
    return hash(float(f"{float(t):.9e}")) % 2**61
