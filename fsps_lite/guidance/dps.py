"""Diffusion posterior sampling: the denoised signal takes the place of the true one."""

from dataclasses import dataclass

from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.guidance.matched import MatchedGaussian
from fsps_lite.types import Time


@dataclass(frozen=True)
class DPS(MatchedGaussian):
    """p(y | x_t) ~ N(y; A(m), noise_cov), with m = E[x_0 | x_t]: no spread (Chung et al., 2023).

    It takes any operator and has no parameter. It uses the true noise level; :class:`ZetaDPS` has a
    step size in its place.
    """

    def assumed_cov(self, at: DenoisingPosterior, t: Time) -> float:
        """0: the covariance of p(x_0 | x_t) is left out."""
        return 0.0
