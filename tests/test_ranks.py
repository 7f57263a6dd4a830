"""Ranks, coverage and TARP: brute force, a Gaussian model with a known posterior, planted faults.

x* is N(0, 1), y = x* + N(0, 1), and the posterior is N(y / 2, 1 / 2).
"""

import math

import pytest
import torch
from torch.testing import assert_close

from fsps_lite.measures import (
    central_ranks,
    contraction,
    covered,
    rank_of,
    rank_test,
    tarp_ranks,
    z_scores,
)
from tests.oracles import seeded

pytestmark = pytest.mark.usefixtures("unchecked")


def pairs(count, draws, seed, *, shift=0.0, scale=1.0, d=1):
    """x* ``(Y, d)`` and draws ``(Y, L, d)``, with planted faults."""
    g, known = seeded(seed), {"dtype": torch.float64}
    truth = torch.randn(count, d, generator=g, **known)
    y = truth + torch.randn(count, d, generator=g, **known)
    eps = torch.randn(count, draws, d, generator=g, **known)
    return truth, y[:, None] / 2 + math.sqrt(0.5) * (shift + scale * eps)


def ranks_of(count, draws, seed, **fault):
    truth, drawn = pairs(count, draws, seed, **fault)
    return rank_of(truth[:, 0], drawn[..., 0], generator=seeded(seed + 1))


def test_ranks_are_counts_and_ties_are_uniform_between_their_ends():
    draws = torch.tensor([[0.0, 1.0, 1.0, 1.0, 2.0]]).double().expand(8000, 5)
    truth = torch.tensor([1.0, 1.5, -1.0, 9.0]).double().repeat(2000)
    ranks = rank_of(truth, draws, generator=seeded(0))
    for value, rank in ((1.5, 4), (-1.0, 0), (9.0, 5)):
        assert set(ranks[truth == value].tolist()) == {rank}
    tied = torch.bincount(ranks[truth == 1.0], minlength=6).double() / 2000
    expected = torch.tensor([0, 0.25, 0.25, 0.25, 0.25, 0]).double()
    # four binomial errors of a share of a quarter among 2,000
    assert_close(tied, expected, rtol=0, atol=4 * math.sqrt(0.25 * 0.75 / 2000))


def test_the_band_is_left_as_often_as_it_says_under_exact_draws():
    """1,000 sets of 50 y: four binomial errors, and .02 as the counts jump."""
    ranks = ranks_of(50_000, 19, 0).reshape(1000, 50)
    for level in (0.8, 0.95):
        found = rank_test(ranks, 19, generator=seeded(3), level=level)
        rate = float(found.rejected.double().mean())
        assert rate == pytest.approx(
            1 - level, abs=0.02 + 4 * math.sqrt(level * (1 - level) / 1000)
        )
        # the p-value and the band are one test, but for where the two round
        assert bool((found.rejected <= (found.p_value <= 1 - level + 1e-9)).all())
    small = float((found.p_value <= 0.2).double().mean())
    assert small == pytest.approx(0.2, abs=0.02 + 4 * math.sqrt(0.16 / 1000))


@pytest.mark.parametrize(
    "fault", [{"shift": 0.5}, {"scale": 0.5}, {"scale": 1.8}], ids=["shift", "narrow", "broad"]
)
def test_a_planted_fault_leaves_the_band(fault):
    found = rank_test(ranks_of(200, 19, 5, **fault), 19, generator=seeded(1))
    assert bool(found.rejected)
    assert float(found.p_value) < 0.005


def test_the_ecdf_and_the_band_are_those_of_brute_force():
    ranks = ranks_of(30, 4, 7)
    found = rank_test(ranks, 4, generator=seeded(1))
    for i in range(1, 5):
        share = sum(int(r) < i for r in ranks) / 30
        assert float(found.ecdf[i - 1]) == pytest.approx(share)
        assert float(found.lower[i - 1]) < i / 5 < float(found.upper[i - 1])
    assert_close(found.lower, 1 - found.upper.flip(-1), rtol=0, atol=1e-9)  # 0 to 4 mirrored
    # Bonferroni's band, a tail of .05 / 8 at each of four i, is the widest that one needs
    mass = [math.comb(30, k) * 0.2**k * 0.8 ** (30 - k) for k in range(31)]
    first = round(30 * float(found.lower[0]))
    assert sum(mass[:first]) < 0.05 / 2
    assert sum(mass[: first + 1]) > 0.05 / 8


def test_central_and_tarp_coverage_equal_the_level_under_exact_draws_and_only_then():
    count, draws = 4000, 19
    truth, drawn = pairs(count, draws, 11, d=2)
    _, narrow = pairs(count, draws, 11, d=2, scale=0.5)
    reference = torch.randn(count, 2, generator=seeded(12), dtype=torch.float64)
    for cloud, exact in ((drawn, True), (narrow, False)):
        sbc = rank_of(truth[:, 0], cloud[..., 0], generator=seeded(1))
        central = central_ranks(sbc, draws, generator=seeded(2))
        tarp = tarp_ranks(truth, cloud, reference, generator=seeded(3))
        for level in (0.5, 0.9, 0.93):
            found = covered(central, draws, level)
            assert (abs(found.value - level) < 4 * found.error) == exact
            assert exact or found.value < level - 0.1  # regions too small
            if exact:
                found = covered(tarp, draws, level)
                assert abs(found.value - level) < 4 * found.error
        assert (float(rank_test(tarp, draws, generator=seeded(4)).p_value) > 1e-3) == exact


def test_central_ranks_of_uniform_ranks_are_uniform_for_even_and_odd_numbers_of_draws():
    for draws in (1, 4, 5):
        ranks = torch.arange(draws + 1).repeat(4000)
        found = torch.bincount(
            central_ranks(ranks, draws, generator=seeded(0)), minlength=draws + 1
        )
        share = found.double() / len(ranks)
        error = math.sqrt(1 / (draws + 1) / len(ranks))
        assert_close(share, torch.full_like(share, 1 / (draws + 1)), rtol=0, atol=4 * error)


def test_tarp_ranks_are_those_of_brute_force():
    truth, drawn = pairs(20, 6, 2, d=3)
    reference = torch.randn(20, 3, generator=seeded(8), dtype=torch.float64)
    found = tarp_ranks(truth, drawn, reference, generator=seeded(3))
    for k in range(20):
        far = math.dist(truth[k].tolist(), reference[k].tolist())
        nearer = sum(math.dist(x.tolist(), reference[k].tolist()) < far for x in drawn[k])
        assert int(found[k]) == nearer


def test_the_error_of_a_coverage_is_its_scatter():
    """Over 400 repetitions of 100 y: a scatter is known to 1 / sqrt(800), four times that."""
    ranks = ranks_of(40_000, 9, 21).reshape(400, 100)
    found = [covered(row, 9, 0.7) for row in ranks]
    scatter = float(torch.tensor([one.value for one in found]).double().std())
    stated = float(torch.tensor([one.error for one in found]).double().mean())
    assert scatter == pytest.approx(stated, rel=4 / math.sqrt(800))


def test_z_scores_and_contraction_in_closed_form():
    truth, drawn = pairs(20_000, 200, 31)
    z, shrunk = z_scores(truth[:, 0], drawn[..., 0]), contraction(drawn[..., 0], 1.0)
    # E z^2 = (1 + 1/L) (L - 1) / (L - 3), a Student t of L - 1 degrees; four errors of the mean
    expected = (1 + 1 / 200) * 199 / 197
    error = 4 * float((z**2).std()) / math.sqrt(len(z))
    assert float((z**2).mean()) == pytest.approx(expected, abs=error)
    error = 4 * float(shrunk.std()) / math.sqrt(len(z))
    assert float(shrunk.mean()) == pytest.approx(0.5, abs=error)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: rank_of(torch.zeros(3), torch.zeros(4, 5), generator=seeded(0)), "truth"),
        (lambda: rank_of(torch.zeros(4), torch.zeros(4, 5), generator=0), "generator"),
        (lambda: rank_of(torch.zeros(4) / 0, torch.zeros(4, 5), generator=seeded(0)), "NaN"),
        (lambda: rank_test(torch.tensor([0, 6]), 5, generator=seeded(0)), "0 to 5"),
        (lambda: covered(torch.tensor([0, 1]), 5, 1.5), "level"),
        (lambda: z_scores(torch.zeros(4), torch.zeros(4, 5)), "differ"),
        (lambda: contraction(torch.zeros(4, 1), 1.0), "draws"),
        (
            lambda: tarp_ranks(
                torch.zeros(4, 2), torch.zeros(4, 5, 2), torch.zeros(4, 1), generator=seeded(0)
            ),
            "references",
        ),
    ],
)
def test_a_wrong_call_is_told_what_is_right(call, told):
    with pytest.raises((ValueError, TypeError), match=told) as caught:
        call()
    assert "Call it like this" in str(caught.value) or told == "generator"
