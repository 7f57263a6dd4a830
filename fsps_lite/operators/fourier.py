"""The Fourier transform of an image: some of its coefficients, or their magnitudes."""

from functools import partial

import torch
from torch import Tensor

from fsps_lite import checks
from fsps_lite.operators.images import Observed, booleans, places, put_back, taken
from fsps_lite.operators.linear import Linear
from fsps_lite.operators.nonlinear import Nonlinear


def fourier_samples(sampled: Observed, *, dtype: torch.dtype = torch.float64) -> Linear:
    """The Fourier coefficients of an image where ``sampled`` is True, as real numbers: A A' = I.

    ``sampled`` holds booleans and has the shape of the image, ``(H, W)`` or ``(C, H, W)``, in the
    order of ``torch.fft.fft2``. The image is real, so its coefficients at k and at -k are
    conjugates: it is enough to mark one of the two. y holds sqrt(2) times the real parts, then
    sqrt(2) times the imaginary parts, in units of x. A k that equals its own -k has a real part
    only, without the factor. With all k sampled, m = d and A is orthogonal. Raises TypeError unless
    ``sampled`` holds booleans, ValueError where it has another number of dimensions or no True.
    """
    wanted = booleans("sampled", sampled, "fourier_samples")
    if wanted.ndim not in (2, 3):
        what = "`sampled` must have shape (H, W) or (C, H, W)"
        call = "fourier_samples(torch.ones(8, 8, dtype=torch.bool))"
        raise ValueError(checks.complaint(what, tuple(wanted.shape), call))
    order = torch.arange(wanted.numel(), device=wanted.device).reshape(wanted.shape)
    wanted, paired = wanted | _opposite(wanted), order < _opposite(order)
    own = order == _opposite(order)
    real, imaginary = (places((wanted & kind).flatten()) for kind in (paired | own, paired))
    scale = torch.where(paired, 2.0, 1.0).double().sqrt().flatten()
    forth = partial(_sampled, wanted.shape, real[0], imaginary[0], scale)
    back = partial(_unsampled, wanted.shape, real[1], imaginary[1], scale, len(real[0]))
    out = len(real[0]) + len(imaginary[0])
    made = Linear.of(forth, back, dim=wanted.numel(), out=out, dtype=dtype)
    return made.to(wanted.device)


def fourier_magnitude(side: int) -> Nonlinear:
    """|FFT| of a ``side x side`` image, orthonormal, without its redundant half: phase is lost.

    m = side (side // 2 + 1), in units of x.
    """
    checks.count("side", side, "fourier_magnitude(8)")

    def magnitude(x: Tensor) -> Tensor:
        spectrum: Tensor = torch.fft.rfft2(x.unflatten(-1, (side, side)), norm="ortho")
        return spectrum.abs().flatten(-2)

    return Nonlinear(magnitude, f"fourier_magnitude({side})")


def _opposite(grid: Tensor) -> Tensor:
    """The same grid, with at each k what stood at -k."""
    return grid.flip((-2, -1)).roll((1, 1), (-2, -1))


def _sampled(
    shape: tuple[int, ...], real: Tensor, imaginary: Tensor, scale: Tensor, x: Tensor
) -> Tensor:
    spectrum = torch.fft.fft2(x.unflatten(-1, shape), norm="ortho").flatten(1) * scale.to(x)
    return torch.cat([taken(real, spectrum.real), taken(imaginary, spectrum.imag)], -1)


def _unsampled(
    shape: tuple[int, ...], real: Tensor, imaginary: Tensor, scale: Tensor, count: int, y: Tensor
) -> Tensor:
    parts = put_back(real, y[:, :count]), put_back(imaginary, y[:, count:])
    spectrum = torch.complex(*(part * scale.to(y) for part in parts)).unflatten(-1, shape)
    image: Tensor = torch.fft.ifft2(spectrum, norm="ortho").real
    return image.flatten(1)
