"""Diffusion posterior sampling: the denoised signal is taken for the true one."""

from dataclasses import dataclass

from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.guidance.matched import MatchedGaussian
from fsps_lite.types import Time


@dataclass(frozen=True)
class DPS(MatchedGaussian):
    """p(y | x_t) ~ N(y; A(m), noise_cov), with m = E[x_0 | x_t]: no spread (Chung et al., 2023).

    Takes any operator; has no parameter. This is the form with the true noise level; the one with a
    step size in its place is :class:`ZetaDPS`.
    """

    def assumed_cov(self, at: DenoisingPosterior, t: Time) -> float:
        return 0.0
