"""Forward operators A: what a measurement does to a signal before noise is added.

An operator is called on a cloud ``(*batch, d)`` and answers ``(*batch, m)``. The named ones act on
square images that are stored as rows of ``side * side`` pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.types import Measurement, State, Where


@dataclass(frozen=True)
class Linear:
    """A(x) = matrix x + offset.

    ``matrix`` is ``(m, d)`` in units of y over units of x; ``offset`` is ``(m,)`` in units of y.
    Raises when the two disagree in shape or dtype, or hold NaN.
    """

    matrix: Float[Tensor, "m d"]
    offset: Float[Tensor, "m"] | None = None

    def __post_init__(self) -> None:
        call = "Linear(torch.eye(2), offset=torch.zeros(2))"
        checks.floating("matrix", self.matrix, call)
        checks.shape("matrix", self.matrix, ("m", "d"), call)
        checks.finite("matrix", self.matrix, call)
        if self.offset is not None:
            checks.floating("offset", self.offset, call)
            checks.shape("offset", self.offset, (len(self.matrix),), call)
            checks.same_dtype("offset", self.offset, "the matrix", self.matrix.dtype, call)
            checks.finite("offset", self.offset, call)

    def __call__(self, x: State) -> Measurement:
        d, dtype = self.matrix.shape[1], self.matrix.dtype
        call = f"operator(torch.zeros(5, {d}, dtype={dtype}))"
        checks.floating("x", x, call)
        checks.shape("x", x, (*x.shape[:-1], d), call)
        checks.same_dtype("x", x, "the matrix", dtype, call)
        y = x @ self.matrix.mT
        return y if self.offset is None else y + self.offset

    def to(self, where: Where) -> "Linear":
        """The same operator in another dtype, or on another device."""
        checks.place(where)
        offset = None if self.offset is None else self.offset.to(where)
        return Linear(self.matrix.to(where), offset)


@dataclass(frozen=True)
class Nonlinear:
    """A(x) = fn(x) for any function that maps ``(*batch, d)`` to ``(*batch, m)`` row by row.

    ``name`` stands in reports and error messages.
    """

    fn: Callable[[Tensor], Tensor]
    name: str

    def __post_init__(self) -> None:
        call = "Nonlinear(lambda x: x[..., :1] ** 2, 'square')"
        checks.function("fn", self.fn, call)
        checks.kind("name", self.name, str, call)

    def __call__(self, x: State) -> Measurement:
        checks.floating("x", x, "operator(torch.zeros(5, 1))")
        if x.ndim > 1 and len(x) and "_examined" not in vars(self):
            object.__setattr__(self, "_examined", True)
            call = "Nonlinear(lambda x: x[..., :1] ** 2, 'square')"
            with torch.no_grad():
                checks.rowwise(f"fn` of Nonlinear `{self.name}", self._answer, x, call)
        return self._answer(x)

    def _answer(self, x: State) -> Measurement:
        """One row for each row, in the dtype of ``x``, or a sentence."""
        y = self.fn(x)
        if not isinstance(y, Tensor) or y.shape[:-1] != x.shape[:-1] or y.ndim != x.ndim:
            out = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            got = f"{tuple(x.shape)} -> {out}"
            what = f"`fn` of Nonlinear {self.name!r} must map (*batch, d) to (*batch, m)"
            call = "Nonlinear(lambda x: x[..., :1] ** 2, 'square')"
            raise ValueError(checks.complaint(what, got, call))
        call = "Nonlinear(lambda x: x.abs(), 'absolute')"
        checks.same_dtype(f"fn` of Nonlinear `{self.name}", y, "x", x.dtype, call)
        return y


def mask(observed: Bool[Tensor, "d"], *, dtype: torch.dtype = torch.float64) -> Linear:
    """Keep the coordinates where ``observed`` is True: rows of the identity. m = their number."""
    call = "mask(torch.tensor([True, False]))"
    got = observed.dtype if isinstance(observed, Tensor) else type(observed).__name__
    if got != torch.bool:
        raise TypeError(checks.complaint("`observed` must be a boolean torch.Tensor", got, call))
    if not observed.any():
        raise ValueError(checks.complaint("`observed` must hold a True", "none", call))
    return Linear(torch.eye(len(observed), dtype=dtype, device=observed.device)[observed])


def downsample(side: int, factor: int, *, dtype: torch.dtype = torch.float64) -> Linear:
    """Average blocks of ``factor`` by ``factor`` pixels of a square image; m = (side/factor)^2."""
    call = "downsample(8, 2)"
    checks.count("side", side, call)
    checks.count("factor", factor, call)
    if side % factor:
        what = f"`factor` must divide side = {side}"
        raise ValueError(checks.complaint(what, factor, call))
    average = torch.eye(side // factor, dtype=dtype).repeat_interleave(factor, dim=1) / factor
    return Linear(torch.kron(average, average))


def blur(side: int, width: float, *, dtype: torch.dtype = torch.float64) -> Linear:
    """Convolve a ``side x side`` image with a Gaussian of standard deviation ``width`` pixels.

    Each output pixel is an average: the rows of the matrix sum to 1, also at the border.
    """
    call = "blur(8, 1.0)"
    checks.count("side", side, call)
    checks.number("width", width, call, least=0.0, most=1e100)  # its square is finite
    checks.positive("width", width, call)
    pixel = torch.arange(side, dtype=dtype)
    kernel = torch.softmax(-((pixel[:, None] - pixel) ** 2) / (2 * width**2), dim=1)
    return Linear(torch.kron(kernel, kernel))


def fourier_magnitude(side: int) -> Nonlinear:
    """|FFT| of a ``side x side`` image, orthonormal, without its redundant half: phase is lost."""
    checks.count("side", side, "fourier_magnitude(8)")

    def magnitude(x: Tensor) -> Tensor:
        spectrum: Tensor = torch.fft.rfft2(x.unflatten(-1, (side, side)), norm="ortho")
        return spectrum.abs().flatten(-2)

    return Nonlinear(magnitude, f"fourier_magnitude({side})")
