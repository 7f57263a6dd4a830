"""Conjugate gradients: a linear system of each particle, from products with its matrix alone."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from fsps_lite.types import Measurement

ITERATIONS = 1000  # at most; in exact arithmetic m are enough
TOLERANCE = 1e-6  # of the residual, over the right-hand side
ROUNDINGS = 1e4  # of the dtype, where that is more: 1.2e-3 in float32


def tolerance(dtype: torch.dtype) -> float:
    """What a residual may be, over the right-hand side."""
    return max(TOLERANCE, ROUNDINGS * torch.finfo(dtype).eps)


def solved(
    product: Callable[[Tensor], Tensor],
    precondition: Callable[[Tensor], Tensor],
    r: Measurement,
) -> Measurement:
    """u with ``product(u)`` = r, row by row, for a symmetric positive definite matrix.

    ``precondition`` applies the inverse of a matrix like it. A row is done when |r - product(u)| is
    below the tolerance times |r|; it is measured anew at the end, and a row that is not done, for
    lack of iterations or because its matrix is not positive, is NaN: it diverged.
    """
    limit = tolerance(r.dtype) * r.norm(dim=-1, keepdim=True)
    u, rest, along, size = torch.zeros_like(r), r, torch.zeros_like(r), torch.ones_like(limit)
    for _ in range(ITERATIONS):
        going = rest.norm(dim=-1, keepdim=True) > 0.5 * limit  # NaN is not above it
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
