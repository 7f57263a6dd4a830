"""The questions that one asks of a prior, each read off the one that it answers itself."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.moved import Moved
from fsps_lite.types import LogDensity, Prior, Scale, State


class Answers(ABC):
    """What every prior can tell of x_t = alpha x_0 + sigma eps, once it has a ``_given``.

    A prior is a value: what its tensors hold may not change once it was asked.
    """

    moments = Moved("prior.moments")

    if TYPE_CHECKING:  # which a dataclass may have as a field, and then it must not inherit them

        @property
        def dim(self) -> int: ...

        @property
        def dtype(self) -> torch.dtype: ...

    @abstractmethod
    def _given(self, x: State, alpha: Scale, sigma: Scale) -> DenoisingPosterior: ...

    def given(self, x: State, alpha: Scale, sigma: Scale) -> DenoisingPosterior:
        """p(x_0 | x_t = x): all that is known of x_0 then, each part when it is asked for."""
        zeros = f"torch.zeros(5, {self.dim}, dtype={self.dtype})"
        call = f"prior.denoise({zeros}, alpha=0.8, sigma=0.6)"
        checks.state("x", x, self.dim, self.dtype, call)
        if any(checks.written(x) != before for x, before in self._at_first):
            what = "a prior that was asked must stay as it is: some of what it keeps is computed"
            call = f"{type(self).__name__}(...), a new one of the new tensors"
            raise RuntimeError(checks.complaint(what, "tensors that were written into", call))
        return self._given(x, alpha, sigma)

    def log_prob(self, x: State, alpha: Scale = 1.0, sigma: Scale = 0.0) -> LogDensity:
        """log p(x_t = x), in nats."""
        return self.given(x, alpha, sigma).log_evidence

    def denoise(self, x: State, alpha: Scale, sigma: Scale) -> State:
        """E[x_0 | x_t = x]."""
        return self.given(x, alpha, sigma).mean

    def denoise_cov_product(self, x: State, alpha: Scale, sigma: Scale, v: State) -> State:
        """Cov[x_0 | x_t = x] v, row by row."""
        return self.given(x, alpha, sigma).cov_product(v)

    def sample_denoised(
        self, x: State, alpha: Scale, sigma: Scale, *, generator: torch.Generator
    ) -> State:
        """Draw x_0 from p(x_0 | x_t = x), one for each row of the ``(n, d)`` cloud."""
        return self.given(x, alpha, sigma).sample(generator=generator)

    def __getstate__(self) -> dict[str, object]:
        """Without what was counted: a copy in another process has been asked for nothing."""
        return {name: kept for name, kept in vars(self).items() if name != "_at_first"}

    @cached_property
    def _at_first(self) -> list[tuple[Tensor, int]]:
        """Each tensor, and how often torch had written into it."""
        return [(x, checks.written(x)) for x in checks.tensors(self)]


@dataclass(frozen=True, eq=False)
class Lifted(DenoisingPosterior):
    """The answers of a prior that has no ``given``, but ``denoise`` and the like, in float64."""

    prior: Prior
    learned: ClassVar[bool] = True

    @cached_property
    def _mean(self) -> State:
        return self._asked("denoise")

    @cached_property
    def _log_evidence(self) -> LogDensity:
        return self._asked("log_prob")

    def _cov_product(self, v: State) -> State:
        return self._asked("denoise_cov_product", v)

    def _draw(self, generator: torch.Generator) -> State:
        return self._asked("sample_denoised", generator=generator)

    @cached_property
    def _exact(self) -> Prior:
        return self.prior.to(torch.float64)

    def _asked(self, name: str, *args: Tensor, **options: torch.Generator) -> Tensor:
        method = getattr(self._exact, name, None)
        if method is None:
            what = f"a prior must have `{name}`, or better `given`, which answers all"
            call = "given(self, x, alpha, sigma) -> DenoisingPosterior"
            raise TypeError(checks.complaint(what, type(self.prior).__name__, call))
        answer: Tensor = method(self._x, self.alpha, self.sigma, *args, **options)
        call = "diffusion.denoise(x, 0.5)"
        checks.like(name, answer, self._x, call, density=name == "log_prob")
        return answer
