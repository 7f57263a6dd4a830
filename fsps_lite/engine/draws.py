"""Indices drawn by weights: by inverting the cumulative weights, in float64.

The same seed gives the same index on every version of torch, which ``multinomial`` does not; nor
does it draw float32 weights of many atoms right, or draw from more than 2^24 of them.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def pick(weights: Float[Tensor, "n K"], generator: torch.Generator) -> Int[Tensor, "n"]:
    """An index in each row, with probability proportional to its weight."""
    edges = weights.double().cumsum(-1)
    shape, device = (len(weights), 1), generator.device
    u = torch.rand(shape, generator=generator, dtype=torch.float64, device=device)
    return _found(edges, u * edges[:, -1:]).squeeze(-1)


def pick_many(
    log_weights: Float[Tensor, "K"], n: int, generator: torch.Generator
) -> Int[Tensor, "n"]:
    """``n`` indices of one set of weights, with replacement."""
    edges = log_weights.double().softmax(0).cumsum(0)
    u = torch.rand(n, generator=generator, dtype=torch.float64, device=generator.device)
    return _found(edges, u * edges[-1])


def pick_each(
    log_weights: Float[Tensor, "Y K"], n: int, generator: torch.Generator
) -> Int[Tensor, "n Y"]:
    """``n`` indices of each set of weights, with replacement."""
    edges = log_weights.double().softmax(-1).cumsum(-1)
    shape, device = (len(edges), n), generator.device
    u = torch.rand(shape, generator=generator, dtype=torch.float64, device=device)
    return _found(edges, u * edges[:, -1:]).mT


def _found(edges: Tensor, u: Tensor) -> Tensor:
    """The first index whose edge lies above u, so that no weight is no chance."""
    place = torch.searchsorted(edges, u, right=True)
    return place.clamp(max=edges.shape[-1] - 1)  # u times the total may round to the total
