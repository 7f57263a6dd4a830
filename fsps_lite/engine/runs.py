"""Attention over many atoms, run by run: each run in the arithmetic it bears, all in float64."""

from collections.abc import Iterable
from itertools import islice

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fsps_lite.engine import attention
from fsps_lite.engine.attention import Attended, Indices, Keys, attend, flushed, merge
from fsps_lite.engine.precision import FEW, RUN, WIDE

MANY = 8  # answers that are merged at a time
WAITING = 2**21  # numbers that wait to be taken into a running answer
SMALLEST_MASS = 1e-300  # a mass where there is none
ROWS = 512  # points whose logits, in float64, are in memory at a time
SOME = 16  # queries
HANDFUL = 32  # keys: of fewer, products take a quarter of the time of the fused kernel
LIGHT = 2.0**-80  # a weight, over the largest, that no sum of float64 shows
PRUNED = 2**14  # atoms: of more, a tree has left out already what does not count
LOG2_E = 1.4426950408889634


def attend_in_runs(
    queries: Tensor, keys: Keys, bias: Tensor, size: int, *, values: Keys | None = None
) -> Attended:
    """softmax(queries keys' + bias) keys, over runs of ``size`` atoms, of which one exists at once.

    ``values`` are the keys in float32, where float64 logits may weigh such: see :func:`mixed`. One
    run answers in the dtype of the queries, several in float64.
    """

    wide = queries.dtype == torch.float64 and queries.shape[-1] >= WIDE and len(keys) >= FEW
    size = min(size, RUN) if wide else size
    sparse = len(keys) < PRUNED and attention.plain(queries, bias)

    def part(rows: slice) -> Attended:
        k = keys[rows]
        if values is not None:
            return mixed(queries, k, values[rows], bias[rows], sparse=sparse)
        if wide and attention.plain(queries, k, bias):  # a third faster than the fused kernel
            return mixed(queries, k, k, bias[rows], sparse=sparse)
        return attend(queries, k, k, bias[rows])

    parts = map(part, attention.slices(len(keys), size))
    return next(parts) if len(keys) <= size else fold(parts)


def fold(parts: Iterable[Attended]) -> Attended:
    """The answer over all atoms, of answers that need not be in memory together. In float64."""
    parts = (Attended(part.mean.double(), part.log_sum) for part in parts)
    total = next(parts)
    while some := list(islice(parts, MANY)):
        total = merge([total, *some])
    return total


@flushed()
def mixed(
    queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor, *, sparse: bool = False
) -> Attended:
    """Logits in float64, where they are large and close; weights and values in those of ``values``.

    A logit is taken from the largest of its row before it is rounded, so that only its weight
    rounds. In float32 half of the products run at twice the speed, and exponentials at four times.
    """
    parts = [weighed(q, keys, values, bias, sparse=sparse) for q in queries.split(ROWS)]
    return Attended(torch.cat([p.mean for p in parts]), torch.cat([p.log_sum for p in parts]))


def weighed(
    queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor, *, sparse: bool
) -> Attended:
    """The same, of all points at once; ``sparse`` where many atoms may weigh nothing."""
    weights, mass, top = exponentials(queries, keys, bias, values.dtype)
    some = heavy(weights) if sparse else slice(None)
    mean = (weights[:, some] @ values[some]).double() / mass.clamp(min=SMALLEST_MASS)
    return Attended(mean, (mass.log() + top).squeeze(-1))


def heavy(weights: Float[Tensor, "B n"]) -> Indices:
    """Which atoms weigh more than LIGHT of the largest in any row; all, if that is most of them.

    A row that is NaN says nothing of the others.
    """
    index = (~(weights.amax(0) <= LIGHT)).nonzero().squeeze(-1)
    return index if 2 * len(index) <= weights.shape[-1] else slice(None)


def exponentials(
    queries: Tensor, keys: Tensor, bias: Tensor, dtype: torch.dtype = torch.float64
) -> tuple[Float[Tensor, "B n"], Float[Tensor, "B 1"], Float[Tensor, "B 1"]]:
    """exp of the logits less the largest of the row; their sums, and the largest, in float64."""
    # in powers of two, as exp of numbers far below 0 takes twenty times as long as exp2
    logits = _logits(LOG2_E * queries, keys, LOG2_E * bias)
    top = logits.detach().amax(-1, keepdim=True)
    apart = logits.sub_(top.clamp(min=torch.finfo(top.dtype).min))  # 0 where all are -inf
    weights = apart.to(dtype).exp2_()
    return weights, weights.sum(-1, keepdim=True).double(), top / LOG2_E


def _logits(queries: Tensor, keys: Tensor, bias: Tensor) -> Float[Tensor, "B n"]:
    """queries keys' + bias; of few queries or keys three times as fast the other way round."""
    if len(queries) > SOME and len(keys) > HANDFUL:
        return torch.addmm(bias, queries, keys.mT)
    return torch.addmm(bias.unsqueeze(-1), keys, queries.mT).mT


class Running:
    """The answer for ``rows`` points, over the atoms that each has seen so far. In float64."""

    def __init__(self, like: Float[Tensor, "B d"]):
        self.log_sum = like.new_full((len(like),), -torch.inf)
        self.mean = torch.zeros_like(like)
        self._waiting: list[tuple[Tensor, Attended]] = []
        self._numbers = 0

    def add(self, rows: Int[Tensor, "r"], part: Attended) -> None:
        """An answer over atoms that these rows, each once, had not seen."""
        self._waiting.append((rows, part))
        self._numbers += part.mean.numel()
        if self._numbers > WAITING:
            self.settle()

    def settle(self) -> None:
        """Take in what waits: many small answers at once."""
        if not self._waiting:
            return
        rows = torch.cat([rows for rows, _ in self._waiting])
        logs = torch.cat([part.log_sum for _, part in self._waiting])
        top = self.log_sum.scatter_reduce(0, rows, logs, "amax")
        floor = top.masked_fill(top == -torch.inf, 0.0)
        share, before = (logs - floor[rows]).exp_(), (self.log_sum - floor).exp_()
        mass = before.index_add(0, rows, share)
        self.mean.mul_(before.unsqueeze(-1))
        means = torch.cat([part.mean for _, part in self._waiting])
        self.mean.index_add_(0, rows, means.mul_(share.unsqueeze(-1)))
        self.mean.div_(mass.clamp(min=SMALLEST_MASS).unsqueeze(-1))
        self.log_sum = mass.log_().add_(floor)
        self._waiting, self._numbers = [], 0
