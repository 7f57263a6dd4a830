"""Pseudo-inverse guided diffusion: a round Gaussian of a width that depends on t alone."""

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

    r_t^2 = sigma^2 data_var / (sigma^2 + alpha^2 data_var), the variance of x_0 given x_t if x_0
    had the variance ``data_var`` in every direction, in units of x squared. Three choices are in
    use: 1 gives Song's 1 - alpha_bar; ``math.inf`` gives the flat-prior sigma^2 / alpha^2 that
    (Burns and Fridovich-Keil, 2026) run; the prior's own variance is exact for a round Gaussian.
    Needs a Linear operator; above 512 measurements it is solved by conjugate gradients.
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
        """r_t^2, the same for all x. Units of x squared."""
        return 1 / (1 / self.data_var + self.prior.schedule.log_snr(t).exp())
