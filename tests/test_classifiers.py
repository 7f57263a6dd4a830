"""Bounds of the total variation over y: by a classifier, and by parts from below and above."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.special import ndtr

from fsps_lite.estimate import Estimate
from fsps_lite.measures.classifiers import crossed_variation, told_apart
from fsps_lite.measures.variations import multinomial_floor
from tests.oracles import seeded


def gaussians(shift, count=120, draws=40, seed=0):
    """Draws of N(y, 1) and of N(y + shift, 1), each with y as a second feature."""
    g = seeded(seed)
    y = torch.randn(count, 1, 1, generator=g, dtype=torch.float64).expand(-1, draws, -1)
    noise = torch.randn(2, count, draws, 1, generator=g, dtype=torch.float64)
    exact, other = y + noise[0], y + noise[1] + shift
    return (torch.cat([part, part - y, y], -1) for part in (exact, other))


def test_the_bound_of_a_classifier_lies_below_the_total_variation_of_two_gaussians():
    """2 Phi(shift / 2) - 1 at every y; and the bound is 0 where there is none."""
    for shift in (0.0, 0.5, 1.5):
        truth = float(2 * ndtr(torch.tensor(shift / 2).double()) - 1)
        bound = told_apart(*gaussians(shift))
        assert bound.value < truth + 3 * bound.error
        assert bound.value > truth - 0.02 - 3 * bound.error  # features that say all of it


def test_a_difference_that_averages_away_over_y_is_seen():
    """The method moves right for y > 0, and left for y < 0."""
    exact, other = gaussians(0.0)
    y = other[..., 2:]
    moved = torch.cat([other[..., :2] + y.sign(), y], -1)
    bound = told_apart(exact, moved)
    assert bound.value > 0.3  # of .383


@given(seed=st.integers(0, 999), k=st.integers(2, 4))
@settings(max_examples=10, deadline=None)
def test_the_bracket_by_parts_holds_the_total_variation(seed, k):
    """On average over 400 y, from below it is at most the truth, from above at least."""
    g = seeded(seed)
    weights = torch.rand(k, generator=g, dtype=torch.float64)
    shares = torch.rand(k, generator=g, dtype=torch.float64)
    weights, shares = weights / weights.sum(), shares / shares.sum()
    truth = float((weights - shares).abs().sum() / 2)
    members = torch.multinomial(shares.expand(400, -1), 20, replacement=True, generator=g)
    below, above = crossed_variation(members, weights.expand(2, 400, -1))
    low, high = Estimate.of(below), Estimate.of(above)
    assert low.value < truth + 4 * low.error + 1e-12
    assert high.value > truth - 4 * high.error - 1e-12


def test_the_bracket_of_exact_draws_starts_at_zero():
    """Unbiased: 0 from below, and the multinomial floor from above."""
    g, n = seeded(1), 20
    weights = torch.tensor([0.7, 0.2, 0.1]).double()
    members = torch.multinomial(weights.expand(2000, -1), n, replacement=True, generator=g)
    below, above = crossed_variation(members, weights.expand(2, 2000, -1))
    low, high = Estimate.of(below), Estimate.of(above)
    assert abs(low.value) < 4 * low.error
    assert high.value == pytest.approx(multinomial_floor(weights, n), abs=4 * high.error)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: told_apart(torch.zeros(4, 3, 2), torch.zeros(4, 5, 2)), "draws"),
        (lambda: told_apart(torch.zeros(4, 3), torch.zeros(4, 3)), "exact"),
        (lambda: told_apart(torch.zeros(2, 3, 1), torch.zeros(2, 3, 1), folds=3), "folds"),
        (lambda: crossed_variation(torch.zeros(4, 1).long(), torch.zeros(2, 4, 3)), "draws"),
    ],
)
def test_a_wrong_call_is_told_what_is_right(call, told, unchecked):
    with pytest.raises((ValueError, TypeError), match=told) as caught:
        call()
    assert "Call it like this" in str(caught.value)
