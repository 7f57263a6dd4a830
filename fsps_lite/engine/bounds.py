"""How much the atoms of a leaf can count at most, from its box, its ball and its mass alone."""

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite.engine.leaves import Leaves
from fsps_lite.types import Scale

TRUST = 1 - 1e-5  # of a square that was computed in float32


def bounds(
    leaves: Leaves, places: Float[Tensor, "B d"], alpha: Scale, sigma: Scale
) -> Float[Tensor, "B L"]:
    """U_b(x) >= log sum_i w_i exp(-|x - alpha a_i|^2 / (2 sigma^2)) over the atoms of leaf b.

    For any x, t and weights, in nats. ``places`` are x - alpha c, in float64. With z of
    :class:`Leaves`, |u - v| >= |z(u) - z(v)|: by Pythagoras along the directions, and by the
    reverse triangle inequality across them. So no atom of a leaf is nearer to x than alpha times
    its box is, nor than its ball is, and the terms of the sum are at most that of the nearest.
    """
    near = torch.maximum(_to_boxes(leaves, places, alpha), _to_balls(leaves, places, alpha))
    return near.mul_(-TRUST / 2 / float(sigma) ** 2).add_(leaves.log_masses)


def _to_boxes(leaves: Leaves, places: Tensor, alpha: Scale) -> Float[Tensor, "B L"]:
    """The square of the distance from each box, in float32; a leaf's box is wider by its slack."""
    middle = float(alpha) * (leaves.high + leaves.low) / 2
    half = float(alpha) * (leaves.high - leaves.low) / 2
    seen, squares = leaves.seen(places), middle.new_zeros(len(places), len(leaves))
    for z, m, h in zip(seen.mT, middle.mT, half.mT, strict=True):
        apart = (z.unsqueeze(-1) - m).abs_().sub_(h).clamp_(min=0.0)
        squares.addcmul_(apart, apart)
    return squares.double()


def _to_balls(leaves: Leaves, places: Tensor, alpha: Scale) -> Float[Tensor, "B L"]:
    """The square of the distance from each ball."""
    centres = alpha * leaves.centres
    squares = torch.addmm(centres.square().sum(-1), places, centres.mT, alpha=-2)
    squares.add_(places.square().sum(-1, keepdim=True)).clamp_(min=0.0)
    return squares.sqrt_().sub_(alpha * leaves.radii).clamp_(min=0.0).square_()
