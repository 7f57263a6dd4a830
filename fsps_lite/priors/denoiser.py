"""A prior that is known by its denoiser alone, as a trained network knows it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.types import LogDensity, Scale, State, Where


@dataclass(frozen=True)
class Denoiser:
    """E[x_0 | x_t] as a function ``fn(x, alpha, sigma)``: a network, or a function of your own.

    ``fn`` maps a cloud ``(*batch, d)`` and the two scales to a cloud. Products with the covariance
    cost one backward pass through it: Cov[x_0 | x_t] = sigma^2 / alpha J' (Tweedie; Efron, 2011).
    A denoiser knows no density and cannot draw x_0: those calls raise.
    """

    fn: Callable[[Tensor, Scale, Scale], Tensor]
    dim: int
    dtype: torch.dtype = torch.float64

    def to(self, where: Where) -> "Denoiser":
        """The same function: networks are not recast, and are moved by whoever made them."""
        return self

    def denoise(self, x: State, alpha: Scale, sigma: Scale) -> State:
        """fn(x, alpha, sigma), in the dtype of ``x``."""
        answer = self.fn(x.to(self.dtype), alpha, sigma).to(x.dtype)
        return answer if x.requires_grad else answer.detach()  # of a network's own weights

    def denoise_cov_product(self, x: State, alpha: Scale, sigma: Scale, v: State) -> State:
        """sigma^2 / alpha J' v, by one backward pass."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (pulled,) = torch.autograd.grad(self.denoise(x, alpha, sigma), x, v)
        return sigma**2 / alpha * pulled

    def log_prob(self, x: State, alpha: Scale, sigma: Scale) -> LogDensity:
        raise NotImplementedError(_unknown("the density of x_t"))

    def sample(self, n: int, *, generator: torch.Generator) -> State:
        raise NotImplementedError(_unknown("samples of x_0"))

    def sample_denoised(
        self, x: State, alpha: Scale, sigma: Scale, *, generator: torch.Generator
    ) -> State:
        raise NotImplementedError(_unknown("samples of x_0 given x_t"))


def _unknown(what: str) -> str:
    call = "Empirical.from_samples(x), with samples of the prior"
    return checks.complaint(f"a Denoiser does not know {what}", "its mean only", call)
