"""Covariances under the weights of atoms, block by block: no (d, d) matrix is made for them."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite.engine.attention import Indices

PAIRS = 256  # products of two coordinates of y in memory at a time, for each atom of a block


def along_cov(w: Tensor, keys: Tensor, v: Tensor, mean: Tensor) -> Tensor:
    """sum_i w_i (k_i - mean) (k_i - mean).v over the atoms of one block."""
    share = (v @ keys.mT).sub_((v * mean).sum(-1, keepdim=True)).mul_(w)
    return share @ keys - share.sum(-1, keepdim=True) * mean


def summed_moments(
    seen: Float[Tensor, "m N"], columns: Iterator[tuple[Indices, Tensor]]
) -> tuple[Float[Tensor, "b m"], Float[Tensor, "b pairs"]]:
    """Means of the rows of ``seen``, and of their products, under the weights of each point."""
    mass = first = second = seen.new_zeros(())
    for atoms, w in columns:
        w = w.double()
        means, squares = moments(seen[:, atoms], w)
        mass, first, second = mass + w.sum(-1, keepdim=True), first + means, second + squares
    return first / mass, second / mass


def moments(
    seen: Float[Tensor, "m n"], w: Float[Tensor, "b n"]
) -> tuple[Float[Tensor, "b m"], Float[Tensor, "b pairs"]]:
    """sum_i w_i y_i and, of each pair of coordinates of y once, sum_i w_i y_i y_i'."""
    i, j = torch.triu_indices(len(seen), len(seen), device=seen.device)
    chunks = zip(i.split(PAIRS), j.split(PAIRS), strict=True)
    squares = [w @ seen[a].mul_(seen[b]).mT for a, b in chunks]
    return w @ seen.mT, torch.cat(squares, dim=-1)


def unpacked(
    first: Float[Tensor, "b m"], second: Float[Tensor, "b pairs"]
) -> Float[Tensor, "b m m"]:
    """The covariances of means and of products: of each pair of coordinates once."""
    m = first.shape[-1]
    i, j = torch.triu_indices(m, m, device=first.device)
    pair = i.new_zeros(m, m)
    pair[i, j] = pair[j, i] = torch.arange(len(i), device=first.device)
    return (second - first[:, i] * first[:, j])[:, pair]
