"""One index a row, drawn by weights."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def pick(weights: Float[Tensor, "n K"], generator: torch.Generator) -> Int[Tensor, "n"]:
    """Draw an index in each row with probability proportional to its weight.

    By inverting the cumulative weights at one uniform number a row, in float64. The same seed gives
    the same index on every version of torch, which ``multinomial`` does not.
    """
    edges = weights.double().cumsum(-1)
    shape, device = (len(weights), 1), generator.device
    u = torch.rand(shape, generator=generator, dtype=torch.float64, device=device)
    place = torch.searchsorted(edges, u * edges[:, -1:], right=True)
    return place.squeeze(-1).clamp(max=weights.shape[-1] - 1)  # u * total may round to the total
