"""Images that are masked, or averaged over blocks: without a matrix.

``side`` is the size of the image: one number if it is square, else ``(H, W)``, or ``(C, H, W)`` for
C channels, which are all treated alike. In the row of pixels, W runs fastest, then H, then C.
"""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from fsps_lite import checks
from fsps_lite.operators.linear import Linear

Side = int | tuple[int, int] | tuple[int, int, int]
Observed = Bool[Tensor, "*shape"] | Bool[np.ndarray, "*shape"] | Sequence[object]


def mask(observed: Observed, *, dtype: torch.dtype = torch.float64) -> Linear:
    """Keep the coordinates where ``observed`` is True; m = their number, in the order of the row.

    ``observed`` holds booleans: a tensor, an array or nested lists, of the shape of the signal:
    ``(d,)``, ``(H, W)`` or ``(C, H, W)``. It is flattened as the signal is. Raises TypeError unless
    it holds booleans, ValueError where no coordinate is kept.
    """
    keep = booleans("observed", observed, "mask").flatten()
    chosen, place = places(keep)
    forth, back = partial(taken, chosen), partial(put_back, place)
    return Linear.of(forth, back, dim=len(keep), out=len(chosen), dtype=dtype).to(keep.device)


def downsample(side: Side, factor: int, *, dtype: torch.dtype = torch.float64) -> Linear:
    """Average blocks of ``factor`` by ``factor`` pixels; m = d / factor^2.

    ``side`` is the size of the image: one number if it is square, else ``(H, W)`` or ``(C, H, W)``.
    y is in units of x. Raises ValueError where ``factor`` does not divide H and W.
    """
    call = "downsample(8, 2)"
    shape = image_shape(side, call)
    checks.count("factor", factor, call)
    if shape[1] % factor or shape[2] % factor:
        what = f"`factor` must divide side = {side}"
        raise ValueError(checks.complaint(what, factor, call))
    blocks = shape[0], shape[1] // factor, factor, shape[2] // factor, factor
    d = math.prod(shape)
    forth, back = partial(_averaged, blocks), partial(_spread, blocks)
    return Linear.of(forth, back, dim=d, out=d // factor**2, dtype=dtype)


def image_shape(side: Side, call: str) -> tuple[int, int, int]:
    """``side`` as (C, H, W)."""
    parts = (side, side) if isinstance(side, int) else side
    if not isinstance(parts, Sequence) or len(parts) not in (2, 3):
        what = "`side` must be a number of pixels, or (H, W), or (C, H, W)"
        raise ValueError(checks.complaint(what, side, call))
    for part in parts:
        checks.count("side", part, call)
    channels, height, width = (1, *parts)[-3:]
    return channels, height, width


def booleans(name: str, value: Observed, asked: str) -> Bool[Tensor, "*shape"]:
    """``value`` as a tensor of booleans; raises unless it is one, with at least one True."""
    call = f"{asked}(torch.as_tensor([[0, 1], [1, 1]], dtype=torch.bool))"
    what = f"`{name}` must hold booleans, one a coordinate"
    try:
        chosen = value if isinstance(value, Tensor) else torch.as_tensor(value, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(checks.complaint(what, f"{type(value).__name__}: {error}", call)) from error
    if chosen.dtype != torch.bool or not chosen.ndim:
        got = f"{type(value).__name__} of {chosen.dtype} and shape {tuple(chosen.shape)}"
        raise TypeError(checks.complaint(what, got, call))
    if not chosen.any():
        raise ValueError(checks.complaint(f"`{name}` must hold a True", "none", call))
    return chosen


def places(keep: Bool[Tensor, "d"]) -> tuple[Tensor, Tensor]:
    """The indices of the coordinates that are kept, and for each coordinate its place among them.

    A coordinate that is not kept has the place after the last.
    """
    return keep.nonzero()[:, 0], torch.where(keep, keep.cumsum(0) - 1, keep.sum())


def taken(keep: Tensor, x: Tensor) -> Tensor:
    return x.index_select(-1, keep.to(x.device))


def put_back(place: Tensor, y: Tensor) -> Tensor:
    """The adjoint of :func:`taken`: each entry of ``y`` at its coordinate, 0 elsewhere."""
    return torch.nn.functional.pad(y, (0, 1)).index_select(-1, place.to(y.device))


def _averaged(blocks: tuple[int, ...], x: Tensor) -> Tensor:
    pooled: Tensor = x.unflatten(-1, blocks).mean((-3, -1)).flatten(-3)
    return pooled


def _spread(blocks: tuple[int, ...], y: Tensor) -> Tensor:
    channels, height, factor, width, _ = blocks
    small = y.reshape(-1, channels, height, 1, width, 1) / factor**2
    return small.expand(-1, *blocks).flatten(1)
