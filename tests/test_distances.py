"""Metrics against SciPy, sums over pairs, closed forms and what each does under a shift."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.testing import assert_close

from fsps_lite import (
    GaussianMixture,
    distances,
    energy_distance,
    mode_weights,
    sliced_wasserstein,
    total_variation,
    wasserstein1,
)
from tests.oracles import rounding, seeded

seeds = st.integers(0, 10_000)
shifts = st.floats(-50, 50)


def normal(seed, *shape):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


@given(seed=seeds, n=st.integers(1, 40), shift=shifts)
def test_w1_of_a_shifted_cloud_is_the_shift(seed, n, shift):
    x = normal(seed, n, 1)
    order = torch.randperm(n, generator=seeded(seed))
    assert_close(wasserstein1(x, (x + shift)[order]), abs(shift), rtol=1e-9, atol=1e-12)


@given(seed=seeds, n=st.integers(1, 30), k=st.integers(1, 30), weighted=st.booleans())
def test_w1_is_scipys(seed, n, k, weighted):
    x, y = normal(seed, n, 1), normal(seed + 1, k, 1).round(decimals=1)  # with ties
    weights = {}
    if weighted:
        weights = {"x_weights": normal(2, n).softmax(0), "y_weights": normal(3, k).softmax(0)}
    wanted = stats.wasserstein_distance(x[:, 0], y[:, 0], *(w.numpy() for w in weights.values()))
    assert_close(wasserstein1(x, y, **weights), float(wanted), rtol=1e-9, atol=1e-12)
    swapped = {"x_weights": weights.get("y_weights"), "y_weights": weights.get("x_weights")}
    assert_close(wasserstein1(y, x, **swapped), float(wanted), rtol=1e-9, atol=1e-12)


def test_w1_counts_a_copy_as_weight():
    x, y = normal(0, 5, 1), normal(1, 7, 1)
    copies = torch.tensor([1, 2, 1, 3, 1])
    one = wasserstein1(x.repeat_interleave(copies, 0), y)
    other = wasserstein1(x, y, x_weights=copies.double() / copies.sum())
    assert_close(one, other, rtol=1e-12, atol=0.0)


def test_w1_in_float32():
    x, y = normal(0, 500, 1), normal(1, 400, 1)
    found, wanted = wasserstein1(x.float(), y.float()), wasserstein1(x, y)
    # a place moves the distance by its share of the movement; a mass moves a distribution function
    # from its place on, and those of one cloud are all rounded alike; so are their running sums
    cloud = torch.cat([x, y])
    size = float(x.abs().mean() + y.abs().mean() + cloud.max() - cloud.min())
    bound = rounding(torch.float32, size, operations=2)
    assert abs(found - wanted) < bound


@pytest.mark.parametrize("d", [1, 2, 5])
def test_sliced_w_of_a_shift_is_the_mean_shadow_of_the_shift(d):
    """E|u.c| over directions u = |c| Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)), within 4 errors."""
    x, shift, directions = normal(0, 30, d), normal(1, d), 500
    mean = math.gamma(d / 2) / (math.sqrt(math.pi) * math.gamma((d + 1) / 2))
    deviation = math.sqrt(max(1 / d - mean**2, 0.0))
    got = sliced_wasserstein(x, x + shift, generator=seeded(2), directions=directions)
    error = 4 * deviation / math.sqrt(directions) + 1e-12
    assert abs(got / float(shift.norm()) - mean) < error


def test_sliced_w_on_a_line_is_w1_and_repeats():
    x, y = normal(0, 30, 1), normal(1, 40, 1)
    got = sliced_wasserstein(x, y, generator=seeded(0), directions=3)
    assert_close(got, wasserstein1(x, y), rtol=1e-9, atol=0.0)
    x, y = normal(0, 30, 3), normal(1, 40, 3)
    values = [sliced_wasserstein(x, y, generator=seeded(s), directions=20) for s in (4, 4, 5)]
    assert values[0] == values[1] != values[2]


@settings(max_examples=30)
@given(seed=seeds, n=st.integers(2, 30), k=st.integers(2, 40), d=st.integers(1, 3))
def test_energy_distance_is_the_sum_over_pairs(seed, n, k, d):
    x, y = normal(seed, n, d).numpy(), 0.5 * normal(seed + 1, k, d).numpy()

    def distance(a, b):
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))

    within = sum(distance(v, v)[~np.eye(len(v), dtype=bool)].mean() for v in (x, y))
    wanted = 2 * distance(x, y).mean() - within
    got = energy_distance(torch.tensor(x), torch.tensor(y))
    assert_close(got, float(wanted), rtol=1e-9, atol=1e-12)


def test_energy_distance_far_from_the_origin():
    """At 1e6 the squares of the points have no digits left for their distances."""
    x, y = normal(0, 60, 2), normal(1, 50, 2) + 0.5
    assert_close(energy_distance(x + 1e6, y + 1e6), energy_distance(x, y), rtol=1e-7, atol=1e-9)


def test_energy_distance_is_unbiased_under_the_null():
    """Over 400 pairs of clouds of one law its mean is 0 within 4 errors, and some are below 0."""
    values = torch.tensor(
        [energy_distance(normal(2 * i, 8, 2), normal(2 * i + 1, 6, 2)) for i in range(400)]
    )
    assert values.mean().abs() < 4 * values.std() / 20
    assert (values < 0).any()


def test_energy_distance_on_a_line_is_scipys_squared():
    """SciPy's is the square root, of clouds that are the whole law: the biased version."""
    x, y = normal(0, 30, 1), normal(1, 40, 1) + 1
    biased = energy_distance(x, y)
    for v in (x, y):
        within = (v - v.mT).abs().sum()
        biased += float(within / (len(v) * (len(v) - 1)) - within / len(v) ** 2)
    assert_close(biased, float(stats.energy_distance(x[:, 0], y[:, 0]) ** 2), rtol=1e-9, atol=0.0)


@given(shift=st.floats(0, 6), std=st.floats(0.3, 2))
def test_total_variation_of_two_gaussians(shift, std):
    grid = torch.linspace(-16, 22, 6001, dtype=torch.float64)
    p, q = (stats.norm(m, std).pdf(grid.numpy()) for m in (0.0, shift))
    got = total_variation(torch.tensor(p), torch.tensor(q), float(grid[1] - grid[0]))
    assert_close(got, math.erf(shift / (2 * math.sqrt(2) * std)), rtol=1e-4, atol=1e-5)


def test_total_variation_is_a_distance_from_zero_to_one():
    p, q, r = torch.eye(6, dtype=torch.float64)[:3] / 0.5
    assert total_variation(p, p, 0.5) == 0
    assert total_variation(p, q, 0.5) == 1
    assert total_variation(p, (q + p) / 2, 0.5) == 0.5
    assert total_variation(p, r, 0.5) == total_variation(r, p, 0.5)


MODES = GaussianMixture.isotropic(
    torch.tensor([[-2.0], [0.0], [3.0]], dtype=torch.float64),
    std=torch.tensor([0.2, 0.4, 0.3], dtype=torch.float64),
    weights=torch.tensor([0.2, 0.7, 0.1], dtype=torch.float64),
)


def test_mode_weights_counts():
    x = torch.tensor([[-2.1], [-1.9], [0.3], [3.0], [2.5]], dtype=torch.float64)
    share, error = mode_weights(x, MODES)
    assert_close(share, torch.tensor([0.4, 0.2, 0.4], dtype=torch.float64))
    assert_close(error, (share * (1 - share) / 5).sqrt())


def test_mode_weights_asks_who_is_responsible_and_not_who_is_near():
    """x = -1 is half-way, and five narrow deviations from one mode, two and a half of the other."""
    share, _ = mode_weights(torch.tensor([[-1.0]], dtype=torch.float64), MODES)
    assert share.tolist() == [0.0, 1.0, 0.0]


def test_the_binomial_error_covers():
    """Within one stated error 68 % of the time: 300 clouds, 4 errors of that share itself."""
    inside = 0
    for seed in range(300):
        share, error = mode_weights(MODES.sample(400, generator=seeded(seed)), MODES)
        inside += ((share - MODES.weights).abs() <= error).double() / 300
    # 400 draws of a share take steps of 1/400, hence the 3 % beside the sampling error
    assert ((inside - 0.683).abs() < 4 * math.sqrt(0.683 * 0.317 / 300) + 0.03).all()


def test_a_lost_particle_is_in_no_mode():
    x = torch.tensor([[-2.0], [0.0], [math.nan], [math.inf], [1e200]], dtype=torch.float64)
    share, _ = mode_weights(x, MODES)
    assert_close(share, torch.tensor([0.2, 0.2, 0.0], dtype=torch.float64))


@settings(max_examples=20)
@given(seed=seeds, d=st.integers(1, 3))
def test_the_error_knows_weights_and_not_points_of_no_weight(seed, d):
    x, y = (torch.randn(n, d, generator=seeded(seed + n), dtype=torch.float64) for n in (7, 9))
    p = torch.rand(7, generator=seeded(seed), dtype=torch.float64)
    p = p / p.sum()
    u = torch.randn(4, d, generator=seeded(seed), dtype=torch.float64)
    found = distances._along(u, x, y, p)
    more = torch.cat([x, y]), y, torch.cat([p, torch.zeros(9, dtype=torch.float64)])
    again = distances._along(u, *more)
    assert (found.value, found.error) == pytest.approx((again.value, again.error), rel=1e-9)
    plain = distances._along(u, x, y)
    equal = distances._along(u, x, y, torch.full((7,), 1 / 7, dtype=torch.float64))
    assert (plain.value, plain.error) == pytest.approx((equal.value, equal.error), rel=1e-9)


def test_the_error_is_that_of_repeated_clouds():
    """Of a shifted cloud W1 is the difference of the means, and its error that of a mean."""
    x = torch.randn(4000, 1, generator=seeded(0), dtype=torch.float64)
    found = distances.distance(x, x + 5.0, generator=seeded(1))
    assert found.value == pytest.approx(5.0, rel=1e-12)
    assert found.error == pytest.approx(float((2 * x.var() / 4000).sqrt()), rel=1e-9)
