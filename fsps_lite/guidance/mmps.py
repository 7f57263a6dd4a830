"""Moment matching posterior sampling: TMPD whose linear system is left unfinished."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.guidance.guidance import require_linear
from fsps_lite.guidance.jacobian import pulled
from fsps_lite.guidance.matched import MatchedGaussian, Spread
from fsps_lite.guidance.transport import product
from fsps_lite.types import Measurement, State, Time

CALL = "MMPS(prior, likelihood, iterations=1)"


@dataclass(frozen=True)
class MMPS(MatchedGaussian):
    """p(y | x_t) ~ N(y; A m, A C A' + noise_cov), solved by few conjugate gradients (Rozet et al.,
    2024).

    C = Cov[x_0 | x_t]. The gradient is J' A' u, where u is what ``iterations`` steps of conjugate
    gradients from 0 make of (A C A' + noise_cov) u = y - A m. Each step costs one product with C,
    and no matrix is formed. Published: one to three iterations, one in the authors' package. After
    m iterations it is TMPD. One iteration multiplies the residual by one number per particle, and
    is no covariance. Needs a Linear operator. ``jacobian=False`` puts 1 / alpha in place of J in
    front of A' u; C stays. Raises ValueError for another operator, and unless iterations >= 1.
    """

    iterations: int = 1
    jacobian: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_linear("MMPS", self.likelihood)
        checks.count("iterations", self.iterations, CALL)

    def assumed_cov(self, at: DenoisingPosterior, t: Time) -> Spread:
        """C, as ``at``, to which the iterations lead."""
        return at

    def guide(self, at: DenoisingPosterior, t: Time) -> State:
        """J' A' u, with the unfinished u. ``(*batch, d)``."""
        operator, noise = require_linear("MMPS", self.likelihood), self.likelihood.noise

        def total(u: Measurement) -> Measurement:
            return product(operator, at, u) + noise.cov_product(u)

        u = unfinished(total, self.likelihood.residual(at.mean), self.iterations)
        return pulled(at, operator.adjoint(u), self.jacobian)


def unfinished(product: Callable[[Tensor], Tensor], r: Measurement, iterations: int) -> Measurement:
    """What ``iterations`` conjugate gradients from 0 make of ``product(u)`` = r, row by row.

    A row whose residual is 0, or has fallen to the rounding of ``r``, is left as it is. A direction
    along which the matrix is not positive gives NaN: such a row has diverged.
    """
    u, rest, along = torch.zeros_like(r), r, r
    size = rest.square().sum(-1, keepdim=True)
    solved = torch.finfo(r.dtype).eps ** 2 * size
    for _ in range(iterations):
        image = product(along)
        bend = (along * image).sum(-1, keepdim=True)
        step = torch.where(size <= solved, 0.0, torch.where(bend > 0, size / bend, torch.nan))
        u, rest = u + step * along, rest - step * image
        before, size = size, rest.square().sum(-1, keepdim=True)
        along = rest + torch.where(before == 0, 0.0, size / before) * along
    return u
