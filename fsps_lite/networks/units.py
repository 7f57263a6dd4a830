"""A denoiser in other units than those that its network was trained in."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.priors import Denoiser
from fsps_lite.types import Scale, State

CALL = "rescaled(prior, 2 * data.mean / 255 - 1, 2 * data.scale / 255)"


@dataclass(frozen=True)
class Rescaled:
    """The ``fn`` of a Denoiser of x, from one of z = scale x + mean."""

    of: Denoiser
    mean: Float[Tensor, "*d"]
    scale: float

    def __call__(self, x: State, alpha: Scale, sigma: Scale) -> State:
        """z_t = scale x_t + alpha mean has the noise scale sigma."""
        mean = self.mean.to(x)
        z = self.scale * x + float(alpha) * mean
        return (self.of.fn(z, alpha, self.scale * float(sigma)) - mean) / self.scale


def rescaled(prior: Denoiser, mean: float | Float[Tensor, "d"], scale: float) -> Denoiser:
    """The denoiser of x, where ``prior`` is that of z = scale x + mean.

    A network of others knows pictures from -1 to 1, or from 0 to 1, and not centred and scaled as
    :class:`~fsps_lite.datasets.pictures.Pictures` are. For z = 2 brightness / 255 - 1, from -1 to
    1, ``mean`` is 2 data.mean / 255 - 1, ``(d,)``, and ``scale`` is 2 data.scale / 255, where data
    are the pictures, or the part of them that :meth:`split` lets see. ``mean`` may be one number.
    Raises TypeError unless ``prior`` is a Denoiser, ValueError unless ``scale`` is positive.
    """
    checks.kind("prior", prior, Denoiser, CALL)
    checks.number("scale", scale, CALL)
    checks.positive("scale", scale, CALL)
    like = torch.empty(0, dtype=prior.dtype, device="cpu")
    middle = mean if isinstance(mean, Tensor) else checks.as_tensor("mean", mean, like, CALL)
    checks.finite("mean", middle, CALL)
    if middle.ndim:
        checks.shape("mean", middle, (prior.dim,), CALL)
    return Denoiser(Rescaled(prior, middle.detach(), float(scale)), prior.dim, prior.dtype)
