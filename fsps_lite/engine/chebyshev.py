"""A smooth function on intervals of the line, by its values at a few places of each."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

PLACES = 24  # Chebyshev nodes of an interval
ANGLES = (torch.arange(PLACES, dtype=torch.float64) + 0.5) * math.pi / PLACES
POWERS = torch.arange(PLACES, dtype=torch.float64)
FIT = torch.cos(POWERS[:, None] * ANGLES) * 2 / PLACES  # values -> coefficients
FIT[0] /= 2


def nodes(middles: Float[Tensor, "p"], half: Tensor | float) -> Float[Tensor, "p m"]:
    """The places of the intervals about ``middles`` that reach ``half`` to each side."""
    return middles[:, None] + torch.cos(ANGLES).to(middles) * half


def summed(
    coefficients: Float[Tensor, "p m"], k: Int[Tensor, "n"], place: Float[Tensor, "n"]
) -> Float[Tensor, "n"]:
    """sum_j c_kj T_j(place), for places from -1 to 1 of the intervals ``k``."""
    angle = place.clamp(-1, 1).arccos()
    turns = torch.cos(angle[:, None] * POWERS.to(angle))
    return turns @ coefficients[0] if len(coefficients) == 1 else (coefficients[k] * turns).sum(-1)
