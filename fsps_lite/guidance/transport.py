"""A V A', the covariance of the signal as the measurement sees it, and products with it."""

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.denoising import DenoisingPosterior
from fsps_lite.operators import Linear
from fsps_lite.types import Measurement, State

LARGEST = 2**24  # entries of the largest (m, m) matrix that is formed: 128 MB in float64

Covariance = Tensor | DenoisingPosterior  # one variance, a matrix, one per row, or an object


def product(operator: Linear, V: Covariance, u: Measurement) -> Measurement:
    """A V A' u, row by row, without forming A V A'. ``(*batch, m)``."""
    return operator.apply(_times(V, operator.adjoint(u)))


def projected(operator: Linear, V: Covariance) -> Float[Tensor, "*batch m m"]:
    """A V A': from the matrix of A, if it is small, else column by column.

    ``(m, m)``, or ``(*batch, m, m)`` if V has a row for each particle. It is float64 for a V that
    is a tensor: rounded, it would not be positive beside little noise. Raises ValueError where m >
    4096.
    """
    if operator.out**2 > LARGEST:
        what = "A V A' is not made so large: `guide` does without, a log-likelihood cannot"
        got = f"m = {operator.out} measurements"
        raise ValueError(checks.complaint(what, got, "method.guide(method.prior.at(x, t), t)"))
    if not operator.small:
        return _by_products(operator, V)
    if isinstance(V, DenoisingPosterior):
        return V.projected_cov(operator.matrix)
    matrix, V = operator.matrix.double(), V.double()
    return V * matrix @ matrix.mT if V.ndim == 0 else matrix @ V @ matrix.mT


def _by_products(operator: Linear, V: Covariance) -> Float[Tensor, "*batch m m"]:
    """One column of A V A' after the other, from products of the length of a measurement."""
    like, lead = (V.x, V.x.shape[:-1]) if isinstance(V, DenoisingPosterior) else (V, V.shape[:-2])
    units = torch.eye(operator.out, dtype=like.dtype, device=like.device)
    return torch.stack([product(operator, V, unit.expand(*lead, -1)) for unit in units], -1)


def _times(V: Covariance, v: State) -> State:
    """V v, row by row."""
    if isinstance(V, DenoisingPosterior):
        return V.cov_product(v)
    return V * v if V.ndim == 0 else (V @ v.unsqueeze(-1)).squeeze(-1)
