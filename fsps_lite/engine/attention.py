"""softmax(queries keys' + bias) values: what every average over atoms is.

Atoms are the keys and the values, noisy points the queries, and
logarithms of weights the bias: attention (Vaswani et al., 2017), so its fast kernels are ours. All
of it streams: no more than ``BLOCK`` logits exist at a time, however many points and atoms meet.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from fsps_lite import checks

BLOCK = 2**20  # logits in memory at a time: 4 MB of float32, which stays in the cache
FEW = 2**14  # logits of few atoms, for which one block is better than several
DENORMAL = 2.0**-1074  # the processor flushes it for Python as it does for torch
ROWS = 256  # of a block, at most: enough for a matrix product to be fast

Indices = Tensor | slice  # of atoms


@runtime_checkable
class Keys(Protocol):
    """Atoms that are handed out run by run: a tensor, or what computes each run when asked."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Indices, /) -> Tensor: ...


@dataclass(frozen=True)
class Attended:
    """The softmax-weighted mean of the values, ``(B, e)``, and the log of the sum, ``(B,)``.

    ``log_sum`` is the log-sum-exp of the logits, in float64 nats: all that must be known beside
    the mean to :func:`merge` answers over parts of the atoms. Where no atom has weight it is -inf,
    and the mean 0.
    """

    mean: Tensor
    log_sum: Tensor


@contextmanager
def flushed() -> Iterator[None]:
    """Weights below 1e-308 (in float32, 1e-38) count as 0: on a CPU they cost ten times as much."""
    before = DENORMAL * 1.0 == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@flushed()
def attend(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Attended:
    """softmax(queries keys' + bias) values, for queries (B, d), keys (N, d) and values (N, e).

    ``bias``, ``(N,)``, is shifted to a maximum of 0 in float64 before it is rounded to the dtype of
    the others, as an offset of -1e6 would cost 0.03 nats.
    """
    top = bias.max()
    top = top.masked_fill(top == -torch.inf, 0.0)
    case = queries, keys, values, (bias - top).to(queries.dtype)
    part = _fused(*case) if _suits_fused(*case) else _by_products(*case)
    return Attended(part.mean, part.log_sum.double() + top)


def merge(parts: Sequence[Attended]) -> Attended:
    """The answer over all atoms from the answers over parts of them, exactly.

    Each mean counts by its share exp(log_sum) of the whole, so that only ``(B, d + 1)`` numbers a
    part are needed, whatever its number of atoms.
    """
    share, total = _normalised(torch.stack([part.log_sum for part in parts]), 0)
    means = torch.stack([part.mean for part in parts])
    return Attended((share.unsqueeze(-1).to(means.dtype) * means).sum(0), total)


def weights(
    queries: Tensor, keys: Keys, bias: Tensor, log_sum: Tensor
) -> Iterator[tuple[slice, Iterator[tuple[slice, Tensor]]]]:
    """The softmax itself, block by block: rows of points, and for them (atoms, weights) in turn."""
    shift = bias.max()
    bias, level = (bias - shift).to(queries.dtype), (log_sum - shift).to(queries.dtype)
    for rows in slices(len(queries), min(BLOCK, max(ROWS, FEW // len(keys)))):
        yield rows, _columns(queries[rows], keys, bias, level[rows])


def _columns(
    queries: Tensor, keys: Keys, bias: Tensor, level: Tensor
) -> Iterator[tuple[slice, Tensor]]:
    least = math.log(torch.finfo(queries.dtype).tiny)  # exp of less takes ten times as long
    for atoms in slices(len(keys), BLOCK // max(1, len(queries))):
        logits = torch.addmm(bias[atoms], queries, keys[atoms].mT)
        logits.sub_(level.unsqueeze(-1))  # in place: memory is what takes time
        yield atoms, logits.clamp_min_(least).exp_()


def _by_products(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Attended:
    """Two matrix products a block, merged: on any device, with any values, differentiable."""
    answers = []
    for rows in slices(len(queries), _rows(len(queries))):
        columns = slices(len(keys), BLOCK // max(1, len(queries[rows])))
        parts = [_softmax(queries[rows], keys[c], values[c], bias[c]) for c in columns]
        answers.append(merge(parts) if len(parts) > 1 else parts[0])
    means, log_sums = [a.mean for a in answers], [a.log_sum for a in answers]
    return Attended(torch.cat(means), torch.cat(log_sums))


def _softmax(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Attended:
    """The formula itself, over one block."""
    share, log_sum = _normalised(torch.addmm(bias, queries, keys.mT), -1)
    return Attended(share @ values, log_sum.double())


def _normalised(logits: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Their softmax and log-sum-exp, in place; 0 and -inf where all of them are -inf."""
    top = logits.detach().amax(dim, keepdim=True)
    nothing = top == -torch.inf
    masses = logits.sub_(top.masked_fill(nothing, 0.0)).exp_()
    total = masses.sum(dim, keepdim=True).masked_fill(nothing, 1.0)
    return masses / total, (total.log() + top).squeeze(dim)


def _fused(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Attended:
    """The kernel behind ``scaled_dot_product_attention`` on a CPU, for it gives the sum too."""
    mask = bias.expand(1, 1, len(queries), len(keys))
    q, k, v = (part[None, None] for part in (queries, keys, values))
    mean, log_sum = KERNEL(q, k, v, 0.0, False, attn_mask=mask, scale=1.0)
    return Attended(mean[0, 0], log_sum[0, 0])


# Private to torch, so it may be missing or answer otherwise one day: it is asked once, in _works.
KERNEL: Any = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)


def _suits_fused(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> bool:
    """Not for no rows, nor for no weight anywhere: it divides by zero, or answers 0."""
    if not plain(queries, keys, bias) or values.shape != keys.shape:
        return False
    if not len(queries) or bool((bias == -torch.inf).all()):
        return False
    return _works(queries.dtype)


def plain(queries: Tensor, *others: Tensor) -> bool:
    """On a CPU, with no gradient to come, and not inside ``torch.func``."""
    learning = torch.is_grad_enabled() and any(v.requires_grad for v in (queries, *others))
    return not learning and queries.device.type == "cpu" and not checks.transformed(queries)


@cache
def _works(dtype: torch.dtype) -> bool:
    """Whether the fused kernel does on a small case what the products do."""
    keys = torch.linspace(-1, 1, 10, dtype=dtype, device="cpu").reshape(5, 2)
    case = keys[1:4] * 3, keys, keys, keys[:, 0] - keys[:, 1] ** 2
    try:
        mine, other = _fused(*case), _by_products(*case)
    except (AttributeError, TypeError, RuntimeError, ValueError):
        return False
    pairs = (mine.mean, other.mean), (mine.log_sum.double(), other.log_sum)
    return all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in pairs)


def blocks(rows: int, keys: int) -> list[slice]:
    """Rows whose logits over all keys may be in memory at a time."""
    return slices(rows, BLOCK // keys)


def _rows(count: int) -> int:
    return max(1, min(count, ROWS, BLOCK))


def slices(count: int, size: int) -> list[slice]:
    size = max(1, size)
    return [slice(i, i + size) for i in range(0, max(count, 1), size)]
