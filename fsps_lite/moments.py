"""The moments of p(x_0 | x_t = x), each computed once.

Not part of the public interface. Guided samplers ask for the mean twice and for the covariance
twice more at the same place and time; here they share what was found.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import attention
from fsps_lite.types import LogDensity, Prior, Scale, State


@dataclass(frozen=True)
class Moments:
    """What a prior knows of x_0 given one noisy cloud ``x``, in float64."""

    prior: Prior
    x: State
    alpha: Scale
    sigma: Scale

    @cached_property
    def mean(self) -> State:
        """E[x_0 | x_t = x]."""
        return self.prior.denoise(self.x, self.alpha, self.sigma)

    @cached_property
    def log_prob(self) -> LogDensity:
        """log p(x_t = x), in nats."""
        return self.prior.log_prob(self.x, self.alpha, self.sigma)

    def cov_product(self, v: State) -> State:
        """Cov[x_0 | x_t = x] v, row by row."""
        return self.prior.denoise_cov_product(self.x, self.alpha, self.sigma, v)

    def projected_cov(self, matrix: Float[Tensor, "m d"]) -> Float[Tensor, "*batch m m"]:
        """A Cov[x_0 | x_t = x] A', by min(m, d) products."""
        m, d = matrix.shape
        directions = matrix if m < d else torch.eye(d, device=matrix.device).to(matrix)
        columns = [self.cov_product(v.expand_as(self.x)) for v in directions]
        products = matrix @ torch.stack(columns, dim=-1)
        return products if m < d else products @ matrix.mT


class Latest:
    """The moments that were asked for last: a score and its guidance then share one pass."""

    def __init__(self) -> None:
        self._moments: Moments | None = None

    def at(self, x: Tensor, alpha: Scale, sigma: Scale) -> Moments | None:
        """They, if they are those of this very cloud, number by number."""
        last = self._moments
        if last is None or x.requires_grad or attention.transformed(x):
            return None
        same = (last.alpha, last.sigma) == (alpha, sigma) and last.x.dtype == x.dtype
        return last if same and torch.equal(last.x, x) else None

    def keep(self, moments: Moments) -> Moments:
        if not moments.x.requires_grad and not attention.transformed(moments.x):
            self._moments = moments
        return moments

    def __reduce__(self) -> tuple[type["Latest"], tuple[()]]:
        return Latest, ()  # a copy in another process has been asked for nothing
