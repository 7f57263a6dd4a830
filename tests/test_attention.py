"""Attention over atoms against the softmax as written, in whatever way it is computed."""

import contextlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from fsps_lite.engine import attention
from fsps_lite.engine.attention import Attended, attend, merge, weights
from tests.oracles import assert_near, condition, rounding, seeded

few = settings(max_examples=40)
NOTHING = -torch.inf


def case(seed, rows, atoms, d, e=None, dtype=torch.float64):
    """Queries, keys, values and a bias with holes, of unequal sizes so that no axis is another."""
    g = seeded(seed)
    queries, keys = (torch.randn(n, d, generator=g, dtype=torch.float64) for n in (rows, atoms))
    values = keys if e is None else torch.randn(atoms, e, generator=g, dtype=torch.float64)
    bias = 3 * torch.randn(atoms, generator=g, dtype=torch.float64)
    bias[torch.rand(atoms, generator=g) < 0.3] = NOTHING
    bias[seed % atoms] = 1.0
    return queries.to(dtype), keys.to(dtype), values.to(dtype), bias


def as_written(queries, keys, values, bias):
    """In NumPy's long double, one row and one atom at a time in the sums."""
    q, k, v, b = (
        np.asarray(a.detach(), dtype=np.longdouble) for a in (queries, keys, values, bias)
    )
    logits = (q[:, None] * k).sum(-1) + b
    top = logits.max(1)
    masses = np.exp(logits - top[:, None])
    mean = (masses[:, :, None] * v).sum(1) / masses.sum(1)[:, None]
    log_sum = top + np.log(masses.sum(1))
    return (torch.from_numpy(a.astype(np.float64)) for a in (mean, log_sum))


def agree(found, wanted, rtol=1e-12, atol=1e-13):
    mean, log_sum = wanted
    assert found.log_sum.dtype == torch.float64
    assert_close(found.mean.double(), mean, rtol=rtol, atol=atol)
    assert_close(found.log_sum, log_sum, rtol=rtol, atol=atol)


def bounds_of(queries, keys, values, bias):
    """What float32 may move: every input and every exponential by its own rounding.

    Six of these: the input, the logit, the exponential, the sum, the share and the answer. The
    bias is rounded after its maximum is taken off, and the log of the sum before it is put on
    again, so that the maximum is no part of what is rounded.
    """
    top, used = bias.max(), bias > NOTHING

    def answers(queries, keys, values, bias, exponentials):
        logits = queries @ keys.mT + bias + exponentials.log()
        return {"mean": logits.softmax(-1) @ values, "log_sum": logits.logsumexp(-1)}

    ones = torch.ones(len(queries), int(used.sum()))
    inputs = queries, keys[used], values[used], bias[used] - top, ones
    sizes = condition(answers, *inputs)
    return {name: rounding(torch.float32, size, operations=6) for name, size in sizes.items()}


@few
@given(seed=st.integers(0, 999), rows=st.integers(1, 40), atoms=st.integers(1, 70))
@pytest.mark.parametrize(("d", "e"), [(1, None), (3, None), (2, 5)])
def test_it_is_the_softmax_as_written(seed, rows, atoms, d, e):
    parts = case(seed, rows, atoms, d, e)
    wanted = list(as_written(*parts))
    agree(attend(*parts), wanted)
    agree(attention._by_products(*parts), wanted)
    single = [v.float() for v in parts[:3]]
    found = attend(*single, parts[3])
    assert found.mean.dtype == torch.float32
    assert found.log_sum.dtype == torch.float64
    mean, log_sum = as_written(*single, parts[3])
    bounds = bounds_of(*single, parts[3])
    assert_near(found.mean, mean, bounds["mean"])
    assert_near(found.log_sum, log_sum, bounds["log_sum"])


@few
@given(seed=st.integers(0, 999), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_answers_over_parts_of_the_atoms_merge_into_the_answer(seed, cuts):
    queries, keys, values, bias = case(seed, 7, 60, 3)
    ends = sorted({0, 60, *cuts})
    parts = [
        attend(queries, keys[a:b], values[a:b], bias[a:b])
        for a, b in zip(ends[:-1], ends[1:], strict=True)
    ]
    agree(merge(parts), as_written(queries, keys, values, bias))
    nothing = attend(queries, keys, values, torch.full_like(bias, NOTHING))
    agree(merge([nothing, *parts, nothing]), as_written(queries, keys, values, bias))


def test_parts_that_are_far_apart_merge_without_overflow():
    queries, keys, values, bias = case(1, 5, 20, 2)
    one, far = (attend(queries, keys, values, bias + shift) for shift in (0.0, -5e4))
    for order in ([one, far], [far, one]):
        agree(merge(order), (one.mean, one.log_sum))
    both = merge([far, far])
    agree(both, (far.mean, far.log_sum + np.log(2)))


@pytest.mark.parametrize("kernel", [True, False], ids=["fused", "products"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_weight_anywhere_no_rows_and_lost_rows(dtype, kernel, monkeypatch):
    if not kernel:
        monkeypatch.setattr(attention, "_works", lambda dtype: False)
    queries, keys, values, bias = case(0, 4, 50, 3, dtype=dtype)
    nothing = attend(queries, keys, values, torch.full_like(bias, NOTHING))
    assert (nothing.mean == 0).all()
    assert (nothing.log_sum == NOTHING).all()
    none = attend(queries[:0], keys, values, bias)
    assert none.mean.shape == (0, 3)
    assert none.log_sum.shape == (0,)
    whole = attend(queries, keys, values, bias)
    queries[1], queries[2, 0] = torch.nan, torch.inf
    holed = attend(queries, keys, values, bias)
    assert holed.mean[1:3].isnan().all()
    assert holed.log_sum[1:3].isnan().all()
    assert torch.equal(holed.mean[[0, 3]], whole.mean[[0, 3]])


def test_a_common_offset_of_the_bias_does_not_cost_digits():
    queries, keys, values, bias = case(0, 4, 50, 3)
    single = [v.float() for v in (queries, keys, values)]
    near, far = attend(*single, bias), attend(*single, bias - 1e6)
    bounds = bounds_of(*single, bias)
    assert_near(far.mean, near.mean, bounds["mean"])
    assert_near(far.log_sum + 1e6, near.log_sum, bounds["log_sum"] + rounding(bias.dtype, 1e6, 3))


@pytest.mark.skipif(attention.KERNEL is None, reason="this version of torch has no fused kernel")
def test_the_kernel_is_used_and_is_not_trusted_blindly(monkeypatch):
    parts = case(0, 4, 50, 3)
    assert attention._works(torch.float32)
    assert attention._works(torch.float64)
    kernel, calls = attention.KERNEL, []

    def counted(*args, **kwargs):
        calls.append(1)
        return kernel(*args, **kwargs)

    monkeypatch.setattr(attention, "KERNEL", counted)
    agree(attend(*parts), as_written(*parts))
    assert calls == [1]

    def wrong(*args, **kwargs):
        mean, log_sum = kernel(*args, **kwargs)
        return mean, log_sum / np.log(2)

    for broken in (None, wrong, lambda *args: None):
        monkeypatch.setattr(attention, "KERNEL", broken)
        assert not attention._works.__wrapped__(torch.float64)


@pytest.mark.parametrize("block", [2**20, 40, 1])
def test_gradients_are_those_of_the_softmax(block, monkeypatch):
    """Also where a whole block of atoms has no weight."""
    monkeypatch.setattr(attention, "BLOCK", block)
    queries, keys, values, bias = case(3, 5, 40, 3)
    bias[8:24] = NOTHING
    v = torch.randn(5, 3, generator=seeded(1), dtype=torch.float64)
    results = []
    for fn in (
        lambda q: attend(q, keys, values, bias),
        lambda q: Attended(
            (q @ keys.mT + bias).softmax(-1) @ values, (q @ keys.mT + bias).logsumexp(-1)
        ),
    ):
        leaf = queries.clone().requires_grad_()
        found = fn(leaf)
        total = (found.mean * v).sum() + (found.log_sum * v[:, 0]).sum()
        results.append(torch.autograd.grad(total, leaf)[0])
    assert_close(*results, rtol=1e-11, atol=1e-12)


def test_torch_func_goes_through():
    queries, keys, values, bias = case(3, 5, 40, 3)

    def mean(row):
        return attend(row[None], keys, values, bias).mean[0]

    slopes = torch.func.vmap(torch.func.jacrev(mean))(queries)
    for row, slope in zip(queries, slopes, strict=True):
        shares = (row @ keys.mT + bias).softmax(-1)
        apart = keys - shares @ keys
        assert_close(slope, (shares * apart.mT) @ apart, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("block", [2**20, 40, 1])
def test_blocks_of_weights_make_up_the_softmax(block, monkeypatch):
    monkeypatch.setattr(attention, "BLOCK", block)
    queries, keys, values, bias = case(5, 12, 33, 2)
    found, seen = torch.full((12, 33), torch.nan, dtype=torch.float64), 0
    log_sum = attend(queries, keys, values, bias).log_sum
    for rows, columns in weights(queries, keys, bias, log_sum):
        for atoms, w in columns:
            assert w.numel() <= block
            found[rows, atoms], seen = w, seen + w.numel()
    assert seen == found.numel()
    assert_close(found, (queries @ keys.mT + bias).softmax(-1), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("before", [True, False])
def test_denormal_numbers_are_flushed_inside_and_as_they_were_outside(before):
    smallest = torch.tensor(2.0**-1074, dtype=torch.float64)
    supported = torch.set_flush_denormal(before)
    try:
        with contextlib.suppress(KeyError), attention.flushed():
            assert bool(smallest * 1.0 == 0) == supported
            raise KeyError
        assert bool(smallest * 1.0 == 0) == (before and supported)
    finally:
        torch.set_flush_denormal(False)
