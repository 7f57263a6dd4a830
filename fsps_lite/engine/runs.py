"""Attention over many atoms, run by run: each run in the arithmetic it bears, all in float64."""

from collections.abc import Iterable
from itertools import islice

import torch
from torch import Tensor

from fsps_lite.engine import attention
from fsps_lite.engine.attention import Attended, Keys, attend, flushed, merge

MANY = 8  # answers that are merged at a time
ROWS = 512  # points whose logits, in float64, are in memory at a time
LOG2_E = 1.4426950408889634


def attend_in_runs(
    queries: Tensor, keys: Keys, bias: Tensor, size: int, *, values: Keys | None = None
) -> Attended:
    """softmax(queries keys' + bias) keys, over runs of ``size`` atoms, of which one exists at once.

    ``values`` are the keys in float32, where float64 logits may weigh such: see :func:`mixed`. One
    run answers in the dtype of the queries, several in float64.
    """

    def part(rows: slice) -> Attended:
        if values is None:
            k = keys[rows]
            return attend(queries, k, k, bias[rows])
        return mixed(queries, keys[rows], values[rows], bias[rows])

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
def mixed(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Attended:
    """Logits in float64, where they are large and close; weights and values in float32.

    A logit is taken from the largest of its row before it is rounded, so that only its weight
    rounds. Half the products then run at twice the speed, and exponentials at four times.
    """
    parts = [_mixed(q, keys, values, bias) for q in queries.split(ROWS)]
    return Attended(torch.cat([p.mean for p in parts]), torch.cat([p.log_sum for p in parts]))


def _mixed(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Attended:
    logits = torch.addmm(bias, queries, keys.mT)
    top = logits.detach().amax(-1, keepdim=True)
    nothing = top == -torch.inf
    # exp2, as exp of numbers far below 0 takes twenty times as long
    weights = logits.sub_(top.masked_fill(nothing, 0.0)).float().mul_(LOG2_E).exp2_()
    mass = weights.sum(-1, keepdim=True).double().masked_fill(nothing, 1.0)
    mean = (weights @ values).double() / mass
    return Attended(mean, (mass.log() + top).squeeze(-1))
