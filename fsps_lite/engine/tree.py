"""Atoms in the order of their leaves, each about the centre of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite.engine.atoms import KEPT, Centred
from fsps_lite.engine.leaves import Leaves


@dataclass(frozen=True)
class Tree:
    """Leaves, and a copy of the atoms in their order: an atom without weight is left out."""

    leaves: Leaves
    atoms: Float[Tensor, "A d"]

    @classmethod
    def of(cls, centred: Centred, log_weights: Float[Tensor, "N"]) -> "Tree":
        leaves = Leaves.of(centred.atoms, centred.centre, log_weights)
        return cls(leaves, centred.atoms.detach()[leaves.order])

    def keys(self, leaf: int, dtype: torch.dtype) -> Float[Tensor, "n d"]:
        """The atoms of a leaf about its centre, which is taken off in float64."""
        if self.atoms.numel() > KEPT:
            return self._about(leaf).to(dtype)
        return self._exact[leaf] if dtype == torch.float64 else self._rounded[leaf]

    @cached_property
    def squares(self) -> Sequence[Float[Tensor, "_"]]:
        """|a - c|^2 of each atom from the centre of its leaf."""
        return [self._about(b).square().sum(-1) for b in range(len(self.leaves))]

    @cached_property
    def log_weights(self) -> Sequence[Float[Tensor, "_"]]:
        sizes = torch.tensor(self.leaves.edges).diff().tolist()
        parts: Sequence[Tensor] = self.leaves.log_weights.split(sizes)
        return parts

    @cached_property
    def _exact(self) -> Sequence[Float[Tensor, "_ d"]]:
        return [self._about(b) for b in range(len(self.leaves))]

    @cached_property
    def _rounded(self) -> Sequence[Float[Tensor, "_ d"]]:
        return [keys.to(self.atoms.dtype) for keys in self._exact]

    def _about(self, leaf: int) -> Float[Tensor, "n d"]:
        rows = slice(*self.leaves.edges[leaf : leaf + 2])
        return self.atoms[rows].double() - (self.leaves.centre + self.leaves.centres[leaf])


def planted(centred: Centred, log_weights: Float[Tensor, "N"]) -> Tree:
    """The tree of atoms with these weights: planted when it is first needed, and kept with them."""
    kept = vars(centred).get("_tree")
    if kept is None or kept[0] is not log_weights:
        kept = vars(centred)["_tree"] = log_weights, Tree.of(centred, log_weights)
    tree: Tree = kept[1]
    return tree
