"""Pseudo-inverse guided diffusion: an isotropic Gaussian whose width depends on t alone."""

import math
from dataclasses import dataclass

from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.guidance.guidance import require_linear
from fsps_lite.guidance.matched import MatchedGaussian
from fsps_lite.types import Time


@dataclass(frozen=True)
class PiGDM(MatchedGaussian):
    """p(y | x_t) ~ N(y; A m, r_t^2 A A' + noise_cov), with m = E[x_0 | x_t] (Song et al., 2023).

    r_t^2 = sigma^2 data_var / (sigma^2 + alpha^2 data_var), in units of x^2. It is the variance of
    x_0 given x_t for a Gaussian x_0 with the variance ``data_var`` in every direction. Three
    choices are in use:

    - 1, where alpha^2 + sigma^2 = 1, is 1 - alpha_bar, as in (Song et al., 2023).
    - ``math.inf`` is sigma^2 / alpha^2, for a flat prior, as in (Burns and Fridovich-Keil, 2026).
    - The prior's own variance is exact for an isotropic Gaussian prior.

    Needs a Linear operator; above 512 measurements it is solved by conjugate gradients. Raises
    ValueError for another operator, and unless data_var > 0.
    """

    data_var: int | float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        call = "PiGDM(prior, likelihood, data_var=1.0)"
        checks.number("data_var", self.data_var, call, most=math.inf)
        if not self.data_var > 0:
            raise ValueError(checks.complaint("`data_var` must be above 0", self.data_var, call))
        require_linear("PiGDM", self.likelihood)

    def assumed_cov(self, at: DenoisingPosterior, t: Time) -> Tensor:
        """r_t^2, one number for all x. Units of x^2."""
        return 1 / (1 / self.data_var + self.prior.schedule.log_snr(t).exp())
