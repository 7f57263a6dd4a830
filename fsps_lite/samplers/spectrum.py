"""A linear measurement in coordinates in which it sees each one alone: U S V' = L^-1 A."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite.likelihood import Likelihood
from fsps_lite.operators import Linear
from fsps_lite.samplers.sampler import one_y
from fsps_lite.types import State


@dataclass(frozen=True)
class Spectrum:
    """y = A x_0 + noise as ``y``_i = (V' x_0)_i + ``noise``_i eps_i, for each coordinate i.

    L is the factor of the noise's covariance, so that any noise is taken; with noise of one
    standard deviation, ``noise`` is noise_std / s_i. Where A sees nothing, ``noise`` is infinite
    and ``y`` is 0. ``basis`` is V, ``(d, d)``; ``y`` and ``noise`` are ``(d,)``, in units of x.
    """

    basis: Float[Tensor, "d d"]
    y: Float[Tensor, "d"]
    noise: Float[Tensor, "d"]

    @classmethod
    def of(cls, likelihood: Likelihood, operator: Linear) -> "Spectrum":
        """Of a likelihood with this operator, by a singular value decomposition in float64.

        Raises ValueError for a batch of y.
        """
        one_y("a sampler that works in singular directions", likelihood)
        matrix, noise = operator.matrix, likelihood.noise
        seen = likelihood.y if operator.offset is None else likelihood.y - operator.offset
        white = noise.whiten(matrix.mT).mT.double()
        U, S, Vh = torch.linalg.svd(white, full_matrices=True)
        floor = S.max() * max(matrix.shape) * torch.finfo(matrix.dtype).eps
        rank = int((floor < S).sum())
        y = torch.zeros(len(Vh), dtype=torch.float64, device=S.device)
        std = torch.full_like(y, torch.inf)
        y[:rank] = (noise.whiten(seen).double() @ U)[:rank] / S[:rank]
        std[:rank] = 1 / S[:rank]
        return cls(*(part.to(matrix.dtype) for part in (Vh.mT, y, std)))

    @property
    def seen(self) -> Tensor:
        """Which coordinates A sees. ``(d,)``."""
        return self.noise.isfinite()

    def into(self, x: State) -> State:
        """V' x, row by row. ``(*batch, d)``."""
        return x @ self.basis

    def back(self, z: State) -> State:
        """V z, row by row. ``(*batch, d)``."""
        return z @ self.basis.mT
