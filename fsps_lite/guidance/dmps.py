"""Diffusion model based posterior sampling: the prior counts as flat, and no Jacobian is needed."""

from dataclasses import dataclass

from torch import Tensor

from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.guidance.guidance import require_linear
from fsps_lite.guidance.matched import MatchedGaussian
from fsps_lite.types import LogDensity, State, Time


@dataclass(frozen=True)
class DMPS(MatchedGaussian):
    """p(y | x_t) ~ N(y; A x_t / alpha, s^2 A A' + noise_cov), with s = sigma / alpha (Meng and
    Kabashima, 2022).

    That is p(y | x_t) under a flat prior, where x_0 given x_t is N(x_t / alpha, s^2 I). The
    gradient is 1 / alpha A' (s^2 A A' + noise_cov)^-1 (y - A x_t / alpha). The denoiser does not
    appear in it, and neither does its Jacobian: it is its own Jacobian-free version. It has no
    parameter. Needs a Linear operator, and raises ValueError for another.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        require_linear("DMPS", self.likelihood)

    def assumed_cov(self, at: DenoisingPosterior, t: Time) -> Tensor:
        """s^2, one number for all x. Units of x^2."""
        return (-self.prior.schedule.log_snr(t)).exp()

    def guide(self, at: DenoisingPosterior, t: Time) -> State:
        """1 / alpha A' (s^2 A A' + noise_cov)^-1 (y - A x_t / alpha). ``(*batch, d)``."""
        x0 = (at.x / at.alpha).to(at.x.dtype)
        pull = self.weighed(at, self.assumed_cov(at, t), self.likelihood.residual(x0))
        return require_linear("DMPS", self.likelihood).adjoint(pull) / at.alpha

    def log_likelihood(self, x: State, t: Time) -> LogDensity:
        """log N(y; A x_t / alpha, s^2 A A' + noise_cov), in nats. ``(*batch,)``."""
        at = self.prior.at(x, t)
        x0 = (at.x / at.alpha).to(at.x.dtype)
        return self.likelihood.noise.log_prob(
            self.likelihood.residual(x0), self.predicted_cov(at, t)
        )
