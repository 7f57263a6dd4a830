"""A prior that counts how often it is asked: what a method costs."""

from dataclasses import dataclass

import torch

from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.types import Prior, Scale, State, Where


@dataclass(frozen=True, eq=False)
class Counted:
    """The prior ``known``, which notes in ``asked`` how many rows each question has.

    A question is one p(x_0 | x_t = x), for the denoiser, the score or a product with the
    covariance.
    """

    known: Prior
    asked: list[int]

    @property
    def dim(self) -> int:
        return self.known.dim

    @property
    def dtype(self) -> torch.dtype:
        return self.known.dtype

    def to(self, where: Where) -> "Counted":
        return Counted(self.known.to(where), self.asked)

    def sample(self, n: int, *, generator: torch.Generator) -> State:
        return self.known.sample(n, generator=generator)

    def given(self, x: State, alpha: Scale, sigma: Scale) -> DenoisingPosterior:
        self.asked.append(x[..., 0].numel())
        return self.known.given(x, alpha, sigma)
