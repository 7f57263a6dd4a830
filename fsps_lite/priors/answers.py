"""The questions that one asks of a prior, each read off the one that it answers itself."""

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.types import LogDensity, Prior, Scale, State


class Answers:
    """What every prior can tell of x_t = alpha x_0 + sigma eps, once it has a ``given``."""

    def log_prob(self: Prior, x: State, alpha: Scale = 1.0, sigma: Scale = 0.0) -> LogDensity:
        """log p(x_t = x), in nats."""
        return _known(self, x, alpha, sigma).log_evidence

    def denoise(self: Prior, x: State, alpha: Scale, sigma: Scale) -> State:
        """E[x_0 | x_t = x]."""
        return _known(self, x, alpha, sigma).mean

    def denoise_cov_product(self: Prior, x: State, alpha: Scale, sigma: Scale, v: State) -> State:
        """Cov[x_0 | x_t = x] v, row by row."""
        return _known(self, x, alpha, sigma).cov_product(v)

    def sample_denoised(
        self: Prior, x: State, alpha: Scale, sigma: Scale, *, generator: torch.Generator
    ) -> State:
        """Draw x_0 from p(x_0 | x_t = x), one for each row of the ``(n, d)`` cloud."""
        return _known(self, x, alpha, sigma).sample(generator=generator)


def _known(prior: Prior, x: State, alpha: Scale, sigma: Scale) -> DenoisingPosterior:
    check(prior, x)
    return prior.given(x, alpha, sigma)


def check(prior: Prior, x: State) -> None:
    """``x`` must be a cloud of the prior's dimension and dtype."""
    zeros = f"torch.zeros(5, {prior.dim}, dtype={prior.dtype})"
    checks.state("x", x, prior.dim, prior.dtype, f"prior.denoise({zeros}, alpha=0.8, sigma=0.6)")


class Lifted(DenoisingPosterior):
    """The answers of a prior that has no ``given``, but ``denoise`` and the like, in float64."""

    @property
    def _mean(self) -> State:
        return self._asked("denoise")

    @property
    def _log_evidence(self) -> LogDensity:
        return self._asked("log_prob")

    def _cov_product(self, v: State) -> State:
        return self._asked("denoise_cov_product", v)

    def _draw(self, generator: torch.Generator) -> State:
        return self._asked("sample_denoised", generator=generator)

    def _asked(self, name: str, *args: Tensor, **options: torch.Generator) -> Tensor:
        method = getattr(self.prior, name, None)
        if method is None:
            what = f"a prior must have `{name}`, or better `given`, which answers all"
            call = "given(self, x, alpha, sigma) -> DenoisingPosterior"
            raise TypeError(checks.complaint(what, type(self.prior).__name__, call))
        answer: Tensor = method(self._x, self.alpha, self.sigma, *args, **options)
        return answer
