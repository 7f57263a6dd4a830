"""Sums of an image along lines, as a tomograph measures them, without a matrix."""

import math
from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.operators.images import Side, image_shape
from fsps_lite.operators.linear import Linear


def projections(
    side: Side,
    angles: Float[Tensor, "angles"] | Sequence[float],
    *,
    dtype: torch.dtype = torch.float64,
) -> Linear:
    """The sums of an image along parallel lines, from each of ``angles``, in radians.

    The detector has bins that are one pixel apart and cover the diagonal of the image. A pixel that
    is ``right`` and ``down`` from the middle falls on the detector at right cos(angle) + down
    sin(angle). Its value is shared linearly between the two nearest bins, so that at each angle the
    bins sum to the sum of the image. y is ``(C, angles, bins)`` as a row, in units of x; ``side``
    is as in :func:`blur`. Raises ValueError unless ``angles`` is a finite list of one number or
    more.
    """
    call = "projections(8, [0.0, 0.5, 1.0])"
    channels, height, width = image_shape(side, call)
    known = torch.as_tensor(angles, dtype=torch.float64, device="cpu")
    checks.shape("angles", known, ("angles",), call)
    checks.finite("angles", known, call)
    reach = max(1, math.ceil(math.hypot(height - 1, width - 1) / 2))
    sizes = channels, height, width, 2 * reach + 1
    d, out = channels * height * width, channels * len(known) * (2 * reach + 1)
    forth, back = partial(_projected, sizes, known), partial(_smeared, sizes, known)
    return Linear.of(forth, back, dim=d, out=out, dtype=dtype)


def _projected(sizes: tuple[int, ...], angles: Tensor, x: Tensor) -> Tensor:
    """One angle after the other, because all angles times all pixels may not fit."""
    image, views = x.unflatten(-1, (sizes[0], -1)), []
    empty = x.new_zeros(len(x), sizes[0], sizes[-1])
    for low, share in (_shared(sizes, angle, x) for angle in angles):
        view = empty.index_add(-1, low, image * (1 - share))
        views.append(view.index_add(-1, low + 1, image * share))
    return torch.stack(views, -2).flatten(1)


def _smeared(sizes: tuple[int, ...], angles: Tensor, y: Tensor) -> Tensor:
    image = y.new_zeros(())
    for angle, view in zip(
        angles, y.unflatten(-1, (sizes[0], -1, sizes[-1])).unbind(-2), strict=True
    ):
        low, share = _shared(sizes, angle, y)
        image = image + view[..., low] * (1 - share) + view[..., low + 1] * share
    return image.flatten(1)


def _shared(sizes: tuple[int, ...], angle: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """For each pixel, the lower of its two bins and the share of the upper one."""
    _, height, width, bins = sizes
    down, right = (
        torch.arange(n, dtype=torch.float64, device="cpu") - (n - 1) / 2 for n in (height, width)
    )
    place = right * angle.cos() + down[:, None] * angle.sin() + (bins - 1) / 2
    low = place.floor().clamp(0, bins - 2)
    return low.long().flatten().to(like.device), (place - low).flatten().to(like)
