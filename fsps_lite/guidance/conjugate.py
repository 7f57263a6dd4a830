"""Conjugate gradients: one linear system per particle, from products with its matrix alone."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from fsps_lite.types import Measurement

ITERATIONS = 1000  # at most; m are enough if nothing is rounded
TOLERANCE = 1e-6  # of the residual, relative to the right-hand side
ROUNDINGS = 1e4  # roundings of the dtype, if they are more: 1.2e-3 in float32


def tolerance(dtype: torch.dtype) -> float:
    """The largest residual that is accepted, relative to the right-hand side."""
    return max(TOLERANCE, ROUNDINGS * torch.finfo(dtype).eps)


def solved(
    product: Callable[[Tensor], Tensor],
    precondition: Callable[[Tensor], Tensor],
    r: Measurement,
) -> Measurement:
    """u with ``product(u)`` = r, row by row, for a symmetric positive definite matrix.

    ``r`` and u are ``(n, m)``. ``precondition`` applies the inverse of a similar matrix. A row is
    solved when |r - product(u)| is at most the tolerance times |r|; this residual is computed again
    at the end. A row that is not solved is NaN: it had too few iterations, or its matrix is not
    positive definite.
    """
    limit = tolerance(r.dtype) * r.norm(dim=-1, keepdim=True)
    u, rest, along, size = torch.zeros_like(r), r, torch.zeros_like(r), torch.ones_like(limit)
    for _ in range(ITERATIONS):
        going = rest.norm(dim=-1, keepdim=True) > 0.5 * limit  # False where it is NaN
        if not bool(going.any()):
            break
        near = precondition(rest)
        before, size = size, torch.where(going, (rest * near).sum(-1, keepdim=True), 1.0)
        along = torch.where(going, near + size / before * along, 0.0)
        image = product(along)
        bend = torch.where(going, (along * image).sum(-1, keepdim=True), 1.0)
        step = torch.where(bend > 0, size / bend, math.nan)
        u, rest = u + step * along, rest - step * image
    done = (r - product(u)).norm(dim=-1, keepdim=True) <= limit
    return torch.where(done, u, math.nan)
