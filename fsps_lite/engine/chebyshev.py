"""A smooth function on intervals of the line, by its values at a few places of each."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

PLACES = 24  # Chebyshev nodes of an interval
FEW = 8  # intervals: all polynomials at all places cost less than each at its own
ANGLES = (torch.arange(PLACES, dtype=torch.float64) + 0.5) * math.pi / PLACES
FIT = torch.cos(torch.arange(PLACES)[:, None] * ANGLES) * 2 / PLACES  # values -> coefficients
FIT[0] /= 2


def nodes(middles: Float[Tensor, "p"], half: Tensor | float) -> Float[Tensor, "p m"]:
    """The places of the intervals about ``middles`` that reach ``half`` to each side."""
    return middles[:, None] + torch.cos(ANGLES).to(middles) * half


def summed(
    coefficients: Float[Tensor, "p m"], k: Int[Tensor, "n"], place: Float[Tensor, "n"]
) -> Float[Tensor, "n"]:
    """sum_j c_kj T_j(place), for places from -1 to 1 of the intervals ``k``."""
    terms = polynomials(place.clamp(-1, 1))
    if len(coefficients) <= FEW:
        return (coefficients @ terms).gather(0, k.unsqueeze(0)).squeeze(0)
    return (coefficients[k] * terms.mT).sum(-1)


def polynomials(place: Float[Tensor, "n"]) -> Float[Tensor, "m n"]:
    """T_0 to T_(m - 1), m the number of places, by T_(j + 1) = 2 x T_j - T_(j - 1)."""
    terms, twice = [torch.ones_like(place), place], 2 * place
    while len(terms) < PLACES:
        terms.append(twice * terms[-1] - terms[-2])
    return torch.stack(terms)
