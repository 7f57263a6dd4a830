"""Images that are blurred: a kernel as a sum of products of a column and a row, and no matrix."""

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
REACH = 9  # standard deviations of a Gaussian kernel: what lies beyond is below 1e-17 of it


def blur(
    side: Side,
    width: float | tuple[float, float] | None = None,
    *,
    kernel: Float[Tensor, "h w"] | None = None,
    edges: Edges = "average",
    dtype: torch.dtype = torch.float64,
) -> Linear:
    """Convolve an image with a Gaussian of standard deviation ``width`` pixels; m = d.

    ``width`` is one number, or one along H and one along W; or a ``kernel`` of any size stands in
    place of the Gaussian. Tap k of h taps looks h // 2 - k pixels further, also where h is even.
    ``edges`` says what lies beyond the border. "average": nothing, and what is left of the kernel
    is scaled to sum to 1, so that each output pixel is an average; "zero": zeros; "periodic": the
    other end; "reflect": the image mirrored, its edge pixels once.
    """
    call = "blur(8, 1.0, edges='average')"
    shape = image_shape(side, call)
    if edges not in EDGES:
        raise ValueError(checks.complaint(f"`edges` must be one of {EDGES}", repr(edges), call))
    taps = _gaussian(shape, width, edges) if kernel is None else _factors(kernel, width)
    down, across = (_axis(one, n, edges) for one, n in zip(taps, shape[1:], strict=True))
    scale = torch.ones(shape[1:], dtype=torch.float64)
    if edges == "average":
        scale = _inverse_sum(down, across)
    known, d = (shape, down, across, scale), math.prod(shape)
    forth, back = partial(_blurred, *known), partial(_unblurred, *known)
    return Linear.of(forth, back, dim=d, out=d, dtype=dtype)


def _blurred(
    shape: tuple[int, ...], down: Tensor, across: Tensor, scale: Tensor, x: Tensor
) -> Tensor:
    """Along H, then along W, for each term of the kernel."""
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
    """The taps along H and along W, ``(1, k)`` each; their sum is 1."""
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
        pixel = torch.arange(-reach, reach + 1, dtype=torch.float64)
        taps.append(torch.softmax(-(pixel**2) / (2 * std**2), 0)[None])
    return taps


def _factors(kernel: Tensor, width: object) -> list[Tensor]:
    """``(r, h)`` and ``(r, w)``: the r products of a column and a row that add up to ``kernel``."""
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
    """What each of n pixels on a line takes from each other, for each of r kernels."""
    count = taps.shape[-1]
    pixel = torch.arange(n)[:, None] - torch.arange(count) + count // 2
    inside = (pixel >= 0) & (pixel < n)
    if edges == "periodic":
        pixel, inside = pixel % n, inside | True
    elif edges == "reflect":
        turn = max(2 * n - 2, 1)
        pixel, inside = torch.minimum(pixel % turn, turn - pixel % turn) % n, inside | True
    parts = taps[:, None] * inside
    rows = torch.zeros(len(taps), n, n, dtype=taps.dtype)
    return rows.scatter_add(-1, pixel.clamp(0, n - 1).expand_as(parts), parts)


def _inverse_sum(
    down: Float[Tensor, "r H H"], across: Float[Tensor, "r W W"]
) -> Float[Tensor, "H W"]:
    """One over what of the kernel lies within the image, at each pixel."""
    sums = down.sum(-1).mT @ across.sum(-1)
    size = down.abs().sum(-1).mT @ across.abs().sum(-1)
    if bool((sums.abs() <= 1e-12 * size).any()):
        what = "`kernel` sums to 0 at a pixel, and cannot be made an average there"
        call = "blur(8, kernel=torch.ones(2, 4), edges='zero')"
        raise ValueError(checks.complaint(what, "edges='average'", call))
    return 1 / sums
