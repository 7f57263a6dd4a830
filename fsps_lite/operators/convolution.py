"""Blurring of images, without a matrix: a kernel is a sum of columns times rows."""

import math
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.operators.images import Side, image_shape
from fsps_lite.operators.linear import Linear

Edges = Literal["average", "zero", "periodic", "reflect"]
EDGES = ("average", "zero", "periodic", "reflect")
REACH = 9  # standard deviations after which a Gaussian kernel ends: less than 1e-17 lies beyond


def blur(
    side: Side,
    width: float | tuple[float, float] | None = None,
    *,
    kernel: Float[Tensor, "h w"] | None = None,
    edges: Edges = "average",
    dtype: torch.dtype = torch.float64,
) -> Linear:
    """Convolve an image with a Gaussian of standard deviation ``width`` pixels; m = d.

    ``side`` is the size of the image: one number if it is square, else ``(H, W)`` or ``(C, H, W)``.
    ``width`` is one number, or one along H and one along W. A ``kernel`` ``(h, w)`` of any size
    replaces the Gaussian: the output at pixel i takes entry k of its h entries from pixel i + h //
    2 - k, also where h is even. y is in units of x. ``edges`` says what lies beyond the border:

    - "average": nothing. The part of the kernel inside the image is scaled to sum to 1, so that
      each output pixel is an average.
    - "zero": zeros.
    - "periodic": the opposite side of the image.
    - "reflect": the mirrored image, without repeating its edge pixels.

    Raises ValueError unless exactly one of ``width`` and ``kernel`` is given, for other ``edges``,
    and where "average" would divide by a sum of 0.
    """
    call = "blur(8, 1.0, edges='average')"
    shape = image_shape(side, call)
    if edges not in EDGES:
        raise ValueError(checks.complaint(f"`edges` must be one of {EDGES}", repr(edges), call))
    taps = _gaussian(shape, width, edges) if kernel is None else _factors(kernel, width)
    down, across = (_axis(one, n, edges) for one, n in zip(taps, shape[1:], strict=True))
    scale = torch.ones(shape[1:], dtype=torch.float64, device="cpu")
    if edges == "average":
        scale = _inverse_sum(down, across)
    known, d = (shape, down, across, scale), math.prod(shape)
    forth, back = partial(_blurred, *known), partial(_unblurred, *known)
    return Linear.of(forth, back, dim=d, out=d, dtype=dtype)


def _blurred(
    shape: tuple[int, ...], down: Tensor, across: Tensor, scale: Tensor, x: Tensor
) -> Tensor:
    """The image times each column and each row of the kernel: along H, then along W."""
    image = x.unflatten(-1, shape)
    terms = (a.to(x) @ image @ b.to(x).mT for a, b in zip(down, across, strict=True))
    return (sum(terms, x.new_zeros(())) * scale.to(x)).flatten(-3)


def _unblurred(
    shape: tuple[int, ...], down: Tensor, across: Tensor, scale: Tensor, y: Tensor
) -> Tensor:
    image = y.unflatten(-1, shape) * scale.to(y)
    terms = (a.to(y).mT @ image @ b.to(y) for a, b in zip(down, across, strict=True))
    return sum(terms, y.new_zeros(())).flatten(-3)


def _gaussian(
    shape: tuple[int, ...], width: float | tuple[float, float] | None, edges: str
) -> list[Tensor]:
    """The Gaussian kernel along H and along W, ``(1, k)`` each; each sums to 1."""
    call = "blur(8, 1.0)"
    if width is None:
        raise ValueError(checks.complaint("blur needs a `width`, or a `kernel`", "none", call))
    taps = []
    widths = width if isinstance(width, tuple) else (width, width)
    for n, std in zip(shape[1:], widths, strict=True):
        checks.positive("width", std, call)
        if edges != "average" and std > n:
            what = f"`width` must be at most the side, {n}, where `edges` is {edges!r}"
            raise ValueError(checks.complaint(what, std, call))
        reach = n - 1 if edges == "average" else max(n - 1, math.ceil(REACH * std))
        pixel = torch.arange(-reach, reach + 1, dtype=torch.float64, device="cpu")
        taps.append(torch.softmax(-(pixel**2) / (2 * std**2), 0)[None])
    return taps


def _factors(kernel: Tensor, width: object) -> list[Tensor]:
    """``(r, h)`` and ``(r, w)``: r columns and r rows whose products add up to ``kernel``."""
    call = "blur(8, kernel=torch.ones(2, 4) / 8)"
    if width is not None:
        what = "`width` belongs to a Gaussian, and must be left out beside a `kernel`"
        raise ValueError(checks.complaint(what, width, call))
    checks.floating("kernel", kernel, call)
    checks.shape("kernel", kernel, ("h", "w"), call)
    checks.finite("kernel", kernel, call)
    left, sizes, right = torch.linalg.svd(kernel.detach().double().cpu(), full_matrices=False)
    needed = max(1, int((sizes > 1e-16 * sizes[0]).sum()))
    return [(left * sizes).mT[:needed], right[:needed]]


def _axis(taps: Float[Tensor, "r k"], n: int, edges: str) -> Float[Tensor, "r n n"]:
    """For each of r kernels the matrix of a line of n pixels: row i says what pixel i takes."""
    count = taps.shape[-1]
    place, tap = (torch.arange(size, device="cpu") for size in (n, count))
    pixel = place[:, None] - tap + count // 2
    inside = (pixel >= 0) & (pixel < n)
    if edges == "periodic":
        pixel, inside = pixel % n, inside | True
    elif edges == "reflect":
        turn = max(2 * n - 2, 1)
        pixel, inside = torch.minimum(pixel % turn, turn - pixel % turn) % n, inside | True
    parts = taps[:, None] * inside
    rows = torch.zeros(len(taps), n, n, dtype=taps.dtype, device="cpu")
    return rows.scatter_add(-1, pixel.clamp(0, n - 1).expand_as(parts), parts)


def _inverse_sum(
    down: Float[Tensor, "r H H"], across: Float[Tensor, "r W W"]
) -> Float[Tensor, "H W"]:
    """For each pixel, 1 over the sum of that part of the kernel that lies in the image."""
    sums = down.sum(-1).mT @ across.sum(-1)
    size = down.abs().sum(-1).mT @ across.abs().sum(-1)
    if bool((sums.abs() <= 1e-12 * size).any()):
        what = "`kernel` sums to 0 at a pixel, and cannot be made an average there"
        call = "blur(8, kernel=torch.ones(2, 4), edges='zero')"
        raise ValueError(checks.complaint(what, "edges='average'", call))
    return 1 / sums
