"""Atoms in groups that lie together and weigh alike, and what can be said of each from afar."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

LEAF = 1024  # atoms of a leaf, at most; twice as many,
LARGE = 2**18  # where there are more atoms than this
DIRECTIONS = 8  # along which leaves are cut and bounded
SAMPLE = 8192  # atoms that say which directions those are
TURNS = 3  # of the power iteration that finds them: any directions are right, these only better
BLOCK = 8192  # atoms that are looked at in float64 at a time
SLACK = 2.0**-20  # by which a box and a ball are larger, over all: float32 cannot leave them
# Nats below the maximum at which atoms of different weight are parted, so that a leaf of light
# atoms is light.
BANDS = (3.0, 6.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 130.0)


@dataclass(frozen=True)
class Leaves:
    """L leaves: the atoms ``order[edges[b]:edges[b + 1]]`` are those of leaf b.

    Places are about ``centre``. z(v) = (P'v, |v - P P'v|), P the orthonormal ``directions``, lies
    in the box from ``low[b]`` to ``high[b]`` for each atom v of leaf b, and v in the ball of
    ``radii[b]`` about ``centres[b]``. ``log_masses`` are those of normalised weights, and add up to
    1. An atom of no weight is in no leaf.
    """

    order: Int[Tensor, "A"]
    edges: list[int]
    centre: Float[Tensor, "d"]
    directions: Float[Tensor, "d k"]
    low: Float[Tensor, "L z"]
    high: Float[Tensor, "L z"]
    centres: Float[Tensor, "L d"]
    radii: Float[Tensor, "L"]
    log_weights: Float[Tensor, "A"]
    log_masses: Float[Tensor, "L"]

    @classmethod
    def of(
        cls, atoms: Float[Tensor, "N d"], centre: Float[Tensor, "d"], log_weights: Tensor
    ) -> "Leaves":
        """A k-d tree of what is seen along the directions; the bands of weight are its root."""
        log_w = log_weights.detach().double().log_softmax(0)
        directions = _directions(atoms, centre)
        seen = torch.cat([_seen(rest, directions) for rest in _blocks(atoms, centre)])
        order, edges = _parted(seen.numpy(), log_w.numpy())
        index, ends = torch.from_numpy(order), list(zip(edges, edges[1:], strict=False))
        seen, log_w = seen[index], log_w[index]
        boxes = [torch.stack(seen[a:b].aminmax(dim=0)) for a, b in ends]
        rests = (atoms[index[a:b]].detach().double() - centre for a, b in ends)
        centres, radii = _balls(rests, len(ends), centre)
        masses = torch.stack([log_w[a:b].logsumexp(0) for a, b in ends])
        low, high = torch.stack(boxes, 1)
        slack = SLACK * torch.maximum(-low, high).max()
        sides = (low - slack).float(), (high + slack).float()
        radii = radii * (1 + SLACK) + slack
        return cls(index, edges, centre, directions, *sides, centres, radii, log_w, masses)

    def __len__(self) -> int:
        return len(self.edges) - 1

    def seen(self, places: Float[Tensor, "B d"]) -> Float[Tensor, "B z"]:
        """z of places about the centre, in float32."""
        return _seen(places, self.directions).float()


def _blocks(atoms: Tensor, centre: Tensor) -> Iterator[Tensor]:
    return (block.double() - centre for block in atoms.detach().split(BLOCK))


def _directions(atoms: Float[Tensor, "N d"], centre: Float[Tensor, "d"]) -> Float[Tensor, "d k"]:
    """The leading principal directions, by power iteration on some of the atoms."""
    some = atoms[:: -(-len(atoms) // SAMPLE)].detach().double() - centre
    count = min(DIRECTIONS, *some.shape)
    found: Tensor = torch.linalg.qr(some[:: len(some) // count][:count].mT).Q
    for _ in range(TURNS):
        found = torch.linalg.qr(some.mT @ (some @ found)).Q
    return found


def _seen(places: Float[Tensor, "n d"], directions: Float[Tensor, "d k"]) -> Float[Tensor, "n z"]:
    """(P'v, |v - P P'v|) of each row v."""
    along = places @ directions
    across = (places.square().sum(-1) - along.square().sum(-1)).clamp(min=0.0).sqrt()
    return torch.cat([along, across.unsqueeze(-1)], -1)


def _balls(rests: Iterator[Tensor], count: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Of each part: the mean, and the distance of the furthest from it.

    Written into tensors that are there before: small ones that stay, between large ones that come
    and go, leave holes in the memory.
    """
    centres, radii = like.new_empty(count, len(like)), like.new_empty(count)
    for k, rest in enumerate(rests):
        torch.mean(rest, 0, out=centres[k])
        radii[k] = rest.sub_(centres[k]).square_().sum(-1).max().sqrt()
    return centres, radii


def _parted(
    seen: Float[np.ndarray, "N z"], log_weights: Float[np.ndarray, "N"]
) -> tuple[Int[np.ndarray, "A"], list[int]]:
    """The order of the atoms that have weight, and where the leaves end: band by band."""
    band = np.digitize(log_weights.max() - log_weights, BANDS)
    most = LEAF if len(band) <= LARGE else 2 * LEAF
    parts: list[np.ndarray] = []
    for k in range(len(BANDS) + 1):
        index = np.flatnonzero((band == k) & (log_weights > -np.inf))
        parts += _halved(index, seen, most) if len(index) else []
    return np.concatenate(parts), [0, *np.cumsum([len(part) for part in parts]).tolist()]


def _halved(
    index: Int[np.ndarray, "n"], seen: Float[np.ndarray, "N z"], most: int
) -> list[np.ndarray]:
    """At the median of the coordinate that varies most, until a part is small enough."""
    if len(index) <= most:
        return [index]
    part = seen[index]
    column = part[:, part.var(0).argmax()]
    order, half = column.argpartition(len(index) // 2), len(index) // 2
    return _halved(index[order[:half]], seen, most) + _halved(index[order[half:]], seen, most)
