"""Blurring by a camera that moves along a line, without a matrix."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.operators.convolution import Edges, blur
from fsps_lite.operators.images import Side
from fsps_lite.operators.linear import Linear

FINE = 64  # points on a pixel of the line
CALL = "motion_blur(8, length=3.0, angle=0.5)"


def motion_blur(
    side: Side,
    length: float,
    angle: float,
    *,
    edges: Edges = "average",
    dtype: torch.dtype = torch.float64,
) -> Linear:
    """Average an image along a line of ``length`` pixels; m = d.

    At ``angle`` 0, in radians, the line runs along W; it turns towards larger rows, as in
    :func:`projections`. Each point of the line is shared linearly between the four pixels around
    it. ``side`` and ``edges`` are as in :func:`blur`; y is in units of x. Raises ValueError unless
    ``length`` is positive, and TypeError unless ``angle`` is a number.
    """
    checks.positive("length", length, CALL)
    checks.number("angle", angle, CALL)
    kernel = line(float(length), float(angle))
    return blur(side, kernel=kernel, edges=edges, dtype=dtype)


def line(length: float, angle: float) -> Float[Tensor, "k k"]:
    """The kernel: a line through the middle, of odd size, which sums to 1. Float64."""
    points = math.ceil(FINE * length)
    along = (
        (torch.arange(points, dtype=torch.float64, device="cpu") + 0.5) / points - 0.5
    ) * length
    reach = math.ceil(length / 2)
    shares = [_shares(along * turn, reach) for turn in (math.sin(angle), math.cos(angle))]
    return shares[0].mT @ shares[1] / points


def _shares(place: Float[Tensor, "p"], reach: int) -> Float[Tensor, "p k"]:
    """How much of each point the pixels from -reach to reach get: a tent over each pixel."""
    pixel = torch.arange(-reach, reach + 1, dtype=torch.float64, device="cpu")
    return (1 - (place[:, None] - pixel).abs()).clamp(min=0.0)
