"""x_0 given x_t when x_0 is one of many atoms: only those are looked at that can matter."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fsps_lite import checks
from fsps_lite.engine import attention
from fsps_lite.engine.atoms import AtomPosterior, Centred
from fsps_lite.engine.attention import Attended, attend
from fsps_lite.engine.bounds import bounds
from fsps_lite.engine.covariances import along_cov, moments, unpacked
from fsps_lite.engine.leaves import LEAF
from fsps_lite.engine.runs import LOG2_E, PRUNED, Running, weighed
from fsps_lite.engine.tree import Tree
from fsps_lite.types import Scale, State

NATS = 40.0  # all leaves that are skipped have a share below e^-40, together
MOST = 0.7  # of all pairs of a point and a leaf: where more matter, the sum over all is faster
FEWEST = PRUNED  # atoms: of fewer, the sum over all is faster, and its digits stay what they were
WORK = 2**12  # rows of x times (d + 16), from which a tree is repaid by the run that plants it
ROWS = 2048  # points at a time, of each of which the bounds of all leaves are in memory

Visits = list[tuple[int, Int[Tensor, "_"]]]  # leaves, and for each the rows in which it counts


@dataclass(frozen=True)
class Found:
    """The answer, the log of the share that is left out at most, and which leaves were visited.

    ``visits`` is None where all atoms were summed over, in the way of :class:`AtomPosterior`.
    """

    attended: Attended
    log_dropped: Float[Tensor, "B"]
    visits: Visits | None
    log_sum: Float[Tensor, "B"]  # of w exp(-|x - alpha a|^2 / (2 sigma^2))


@dataclass(frozen=True, eq=False)
class PrunedPosterior(AtomPosterior):
    """As :class:`AtomPosterior`, but for leaves of a tree that provably do not count."""

    tree: Tree

    @property
    def dropped(self) -> Float[Tensor, "*batch"]:
        """The sum of the bounds of the leaves that were skipped, over that of all other terms."""
        return self._found.log_dropped.exp().reshape(self.x.shape[:-1])

    @property
    def visited(self) -> float:
        """The share of all pairs of a point and an atom that was looked at."""
        if self._found.visits is None:
            return 1.0
        edges = self.tree.leaves.edges
        pairs = sum((edges[b + 1] - edges[b]) * len(rows) for b, rows in self._found.visits)
        return pairs / (len(self._places) * len(self.centred.atoms))

    @property
    def _attended(self) -> Attended:
        return self._found.attended

    @attention.flushed()
    def _cov_product(self, v: State) -> State:
        if self._found.visits is None:
            return super()._cov_product(v)
        mean, along = self._attended.mean, v.expand(self.x.shape).reshape(self._places.shape)
        answer = torch.zeros_like(mean)
        for leaf, rows, share in self._shares():
            keys, m = (
                self.tree.keys(leaf, torch.float64),
                mean[rows] - self.tree.leaves.centres[leaf],
            )
            answer.index_add_(0, rows, along_cov(share, keys, along[rows], m))
        return answer.reshape(self.x.shape)

    @attention.flushed()
    def _projected_cov(self, matrix: Float[Tensor, "m d"]) -> Float[Tensor, "*batch m m"]:
        if self._found.visits is None:
            return super()._projected_cov(matrix)
        first = matrix.new_zeros(len(self._places), len(matrix))
        second = matrix.new_zeros(len(first), len(matrix) * (len(matrix) + 1) // 2)
        for leaf, rows, share in self._shares():
            atoms = self.tree.keys(leaf, torch.float64) + self.tree.leaves.centres[leaf]
            means, squares = moments(matrix @ atoms.mT, share)
            first.index_add_(0, rows, means)
            second.index_add_(0, rows, squares)
        return unpacked(first, second).reshape(*self.x.shape[:-1], len(matrix), len(matrix))

    def _shares(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        """The leaves that were visited, the rows in which they count, and p(atom | x_t = x)."""
        log_sum = self._found.log_sum
        for leaf, rows in self._found.visits or []:
            queries, fall, bias = self._leaf_question(leaf, rows)
            logits = torch.addmm(bias, queries, self.tree.keys(leaf, torch.float64).mT)
            logits.add_((fall - log_sum[rows]).unsqueeze(-1))
            yield leaf, rows, logits.mul_(LOG2_E).exp2_()

    @cached_property
    @attention.flushed()
    def _found(self) -> Found:
        """By parts of the rows, and over all atoms where too many of them count."""
        running, visits, skipped = Running(self._places), [], []
        for rows in attention.slices(len(self._places), ROWS):
            upper = bounds(self.tree.leaves, self._places[rows], self.alpha, self.sigma)
            seen = (
                None
                if _many(_kept(upper, upper.logsumexp(-1)))
                else self._seen(rows, upper, running)
            )
            if seen is None:  # no sum is larger than that of the bounds
                none = torch.full_like(running.log_sum, -torch.inf)
                return Found(self._over_all(), none, None, none)
            visits += seen
            skipped.append(upper.logsumexp(-1))
        rise = self._places.square().sum(-1) / (2 * self.sigma**2)  # which logits leave out
        found = Attended(running.mean, running.log_sum + rise)
        dropped = torch.cat(skipped) - running.log_sum
        return Found(found, dropped, visits, running.log_sum)

    def _seen(self, rows: slice, upper: Float[Tensor, "r L"], running: Running) -> Visits | None:
        """The leaf of the highest bound first; then those that may still count beside it.

        Their bounds are struck out of ``upper``, so that those of the skipped are left.
        """
        first = torch.zeros_like(upper, dtype=torch.bool)
        first.scatter_(1, upper.argmax(-1, keepdim=True), True)
        visits = _by_leaf(first, rows.start)
        self._visit(visits, running)
        keep = _kept(upper, running.log_sum[rows])
        if _many(keep):
            return None
        rest = _by_leaf(keep & ~first, rows.start)
        self._visit(rest, running)
        upper.masked_fill_(keep | first, -torch.inf)
        return visits + rest

    def _visit(self, visits: Visits, running: Running) -> None:
        for leaf, rows in visits:
            running.add(rows, self._asked(leaf, rows))
        running.settle()

    def _asked(self, leaf: int, rows: Int[Tensor, "r"]) -> Attended:
        """What the atoms of one leaf say to some rows: the mean, and log sum w exp(-|.|^2/2s^2)."""
        queries, fall, bias = self._leaf_question(leaf, rows)
        keys = self.tree.keys(leaf, self.arithmetic)
        if self.arithmetic == torch.float64:
            part = weighed(queries, keys, keys, bias, sparse=True)
        else:
            part = attend(queries.to(self.arithmetic), keys, keys, bias)
        return Attended(part.mean.double() + self.tree.leaves.centres[leaf], part.log_sum + fall)

    def _leaf_question(self, leaf: int, rows: Int[Tensor, "r"]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and bias about the leaf's centre, and what a logit there leaves out."""
        alpha, variance = self._scales
        apart = self._places[rows].sub_(self._centres[leaf])
        fall = apart.square().sum(-1).mul_(-0.5 / variance)
        rate = alpha**2 / variance / 2
        bias = self.tree.log_weights[leaf] - rate * self.tree.squares[leaf]
        return apart.mul_(alpha / variance), fall, bias

    @property
    def _scales(self) -> tuple[float, float]:
        """alpha, and sigma^2."""
        return float(self.alpha), float(self.sigma) ** 2

    @cached_property
    def _places(self) -> Float[Tensor, "B d"]:
        """x - alpha c."""
        return (self._x - self.alpha * self.centred.centre).reshape(-1, self.x.shape[-1])

    @cached_property
    def _centres(self) -> Float[Tensor, "L d"]:
        return self.alpha * self.tree.leaves.centres


def pays(
    x: State, alpha: Scale, sigma: Scale, centred: Centred, log_weights: Float[Tensor, "N"]
) -> bool:
    """Whether a tree is worth its planting: the one rule, which was measured (``make bench``).

    Many atoms and rows, on a CPU, without gradients; and log-terms that differ by more than is
    skipped at all: two atoms differ by 2 (alpha radius / sigma)^2 at most, and by their weights.
    """
    rows, count = x.numel() // x.shape[-1], len(centred.atoms)
    if count < FEWEST or rows * (x.shape[-1] + 16) < WORK or x.device.type != "cpu":
        return False
    learning = any(part.requires_grad for part in (x, centred.atoms, log_weights))
    if checks.transformed(x) or (learning and torch.is_grad_enabled()):
        return False
    nats, asked = 2 * float(alpha * centred.radius / sigma) ** 2, NATS + math.log(count / LEAF)
    return nats > asked or nats + _spread(log_weights) > asked


def _spread(log_weights: Float[Tensor, "N"]) -> float:
    """The largest less the smallest of those that are not -inf."""
    alive = log_weights[log_weights > -torch.inf]
    return float(alive.max() - alive.min())


def _kept(upper: Float[Tensor, "r L"], log_sum: Float[Tensor, "r"]) -> Bool[Tensor, "r L"]:
    """The leaves whose bounds do not lie so far below the sum that all such may be skipped."""
    floor = log_sum - NATS - math.log(upper.shape[-1])
    return upper > floor.unsqueeze(-1)


def _many(keep: Bool[Tensor, "r L"]) -> bool:
    return int(keep.sum()) > MOST * keep.numel()


def _by_leaf(counts: Bool[Tensor, "B L"], start: int) -> Visits:
    """The rows in which each leaf counts, for the leaves that count in any."""
    rows = counts.mT.nonzero()[:, 1] + start
    parts = rows.split(counts.sum(0).tolist())
    return [(leaf, part) for leaf, part in enumerate(parts) if len(part)]
