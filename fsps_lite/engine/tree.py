"""Atoms in the order of their leaves, each about the centre of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite.engine.atoms import Centred
from fsps_lite.engine.leaves import Leaves

KEPT = 2**26  # numbers of all atoms: of more, no leaf is kept a second time, in float64


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
        """The atoms of a leaf about its centre, which is taken off in float64.

        Once for each leaf that is visited, unless the atoms are too many to be kept twice.
        """
        kept = self._kept.get((leaf, dtype))
        if kept is None:
            kept = self._about(leaf).to(dtype)
            if self.atoms.numel() <= KEPT:
                self._kept[leaf, dtype] = kept
        return kept

    @cached_property
    def squares(self) -> Sequence[Float[Tensor, "_"]]:
        """|a - c|^2 of each atom from the centre of its leaf.

        Written into one tensor: many small ones between large ones that come and go would leave
        holes in the memory, more of them than there are atoms.
        """
        squares = self._split(torch.empty_like(self.leaves.log_weights))
        for leaf, part in enumerate(squares):
            keys = self._about(leaf)
            torch.sum(keys.square_(), -1, out=part)
        return squares

    @cached_property
    def log_weights(self) -> Sequence[Float[Tensor, "_"]]:
        return self._split(self.leaves.log_weights)

    @cached_property
    def _kept(self) -> dict[tuple[int, torch.dtype], Tensor]:
        return {}

    def _about(self, leaf: int) -> Float[Tensor, "n d"]:
        atoms = self.atoms[slice(*self.leaves.edges[leaf : leaf + 2])]
        return atoms - (self.leaves.centre + self.leaves.centres[leaf])

    def _split(self, values: Float[Tensor, "A"]) -> Sequence[Float[Tensor, "_"]]:
        sizes = torch.tensor(self.leaves.edges).diff().tolist()
        parts: Sequence[Tensor] = values.split(sizes)
        return parts


def planted(centred: Centred, log_weights: Float[Tensor, "N"]) -> Tree:
    """The tree of atoms with these weights: planted when it is first needed, and kept with them."""
    kept = vars(centred).get("_tree")
    if kept is None or kept[0] is not log_weights:
        kept = vars(centred)["_tree"] = log_weights, Tree.of(centred, log_weights)
    tree: Tree = kept[1]
    return tree
