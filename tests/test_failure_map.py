"""The map of a method's error over y: against particles, quadrature, and the exact score."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import fsps_lite as fl
from fsps_lite import failure_map, problems
from fsps_lite.diagnosis.failure_maps import FailureMap
from fsps_lite.diagnosis.measured import Evidence, with_measurement
from tests.oracles import seeded

pytestmark = pytest.mark.usefixtures("unchecked")
STEPS = 40  # a law and its particles take the same ones


@cache
def exact_map():
    return failure_map(problems.trimodal(), None, measurements=9, steps=40)


def test_the_map_of_the_exact_score_is_the_error_of_the_integrator():
    """Of first order, and at most 3e-2 in 100 steps (test_law): so in 40, and half in 80."""
    coarse = exact_map()
    assert float(coarse.tv.max()) < 3e-2 * 100 / 40
    fine = failure_map(problems.trimodal(), None, measurements=9, steps=80)
    assert_close(fine.tv / coarse.tv, torch.full_like(fine.tv, 0.5), rtol=0, atol=0.1)
    assert coarse.method == "exact"
    assert coarse.share() == 0.0


@pytest.mark.parametrize(
    "make", [problems.trimodal, problems.unequal, problems.two_atoms, problems.square]
)
def test_the_density_of_y_integrates_to_one_and_its_quantiles_are_those_of_the_integral(make):
    evidence = Evidence(make())
    ends = evidence.problem.likelihood.y.new_tensor([-15.0, 20.0])
    grid = torch.linspace(*ends.tolist(), 7001, dtype=torch.float64)
    cell = float(grid[1] - grid[0])  # 0.005: a sixtieth of the noise, so the sum is exact
    p = evidence.density(grid)
    assert float(p.sum() * cell) == pytest.approx(1.0, abs=1e-9)
    assert_close(evidence.below(ends), torch.tensor([0.0, 1.0]).double(), rtol=0, atol=1e-9)
    cumulative = (p.cumsum(0) - p / 2) * cell
    wanted = torch.tensor([5e-4, 0.02, 0.2, 0.5, 0.77, 0.98]).double()
    nearest = torch.searchsorted(grid, evidence.quantiles(wanted))
    # of one cell, p(y) times its width is the most that the sum is off
    assert_close(cumulative[nearest], wanted, rtol=0, atol=float(p.max()) * cell)


def test_the_density_of_y_is_that_of_the_closed_form_and_of_simulated_measurements():
    problem = problems.trimodal(noise_std=0.4, width=0.3)
    y = torch.linspace(-4, 4, 41, dtype=torch.float64)
    normal = torch.distributions.Normal(
        torch.tensor([-1.8, 0.2, 2.2], dtype=torch.float64), 0.5
    )  # 3-4-5
    closed = normal.log_prob(y[:, None]).exp().mean(-1)
    assert_close(Evidence(problem).density(y), closed, rtol=1e-10, atol=1e-12)
    g, n = seeded(0), 40_000
    drawn = problem.likelihood.simulate(problem.prior.sample(n, generator=g), generator=g)[:, 0]
    below = (drawn[:, None] < y).double().mean(0)
    # 41 dependent shares, each within five binomial errors of at most .5 / sqrt(n)
    assert_close(Evidence(problem).below(y), below, rtol=0, atol=2.5 / n**0.5)


def test_the_map_agrees_with_a_sampled_cloud_at_three_measurements():
    """The cloud's W1 to exact draws is within its own errors of that of the law."""
    problem, n = problems.trimodal(), 20_000
    y = torch.tensor([-1.0, 0.0, 1.0, 2.0, 3.0, -2.0, -3.0]).double().sort().values
    found = failure_map(problem, fl.DPS, y=y, steps=STEPS, stop=0.02, reach=16.0)
    grid = fl.times(problem.schedule, STEPS, stop=0.02)
    for k in (1, 3, 4):
        asked = with_measurement(problem, y[k : k + 1])
        start = asked.schedule.noise(n, 1, generator=seeded(k))
        score = fl.DPS(asked.diffusion, asked.likelihood)
        cloud = fl.ddpm(score, asked.schedule, start, grid, generator=seeded(10 + k)).final
        truth = asked.posterior.sample(n, 0.02, generator=seeded(20 + k))
        w1 = fl.wasserstein1(cloud, truth)
        # the W1 of two exact clouds of this size is about std / sqrt(n); four times both
        scale = float(cloud.std() + truth.std()) / math.sqrt(n)
        assert float(found.w1[k]) == pytest.approx(w1, abs=4 * scale)
        assert float(found.w1[k]) > 4 * scale  # and it is no zero


def test_a_gaussian_law_has_the_total_variation_of_two_gaussians():
    """DPS on a Gaussian prior stays Gaussian: the map from its moments, in NumPy."""
    problem = problems.gaussian()
    y = torch.linspace(-4, 4, 9, dtype=torch.float64)
    found = failure_map(problem, fl.DPS, y=y, steps=STEPS, stop=0.02)
    grid = fl.times(problem.schedule, STEPS, stop=0.02)
    asked = with_measurement(problem, y[6:7])
    law = fl.law(fl.DPS(asked.diffusion, asked.likelihood), asked.schedule, grid)
    x = np.linspace(-9, 9, 90_001)
    alpha, variance = float(asked.schedule.alpha(0.02)), float(asked.schedule.variance(0.02))
    true = (alpha * 0.8 * float(y[6]), math.sqrt(alpha**2 * 0.2 + variance))
    densities = [
        np.exp(-(((x - m) / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi))
        for m, s in ((float(law.mean[-1]), float(law.std[-1])), true)
    ]
    tv = np.abs(densities[0] - densities[1]).sum() * (x[1] - x[0]) / 2
    assert float(found.tv[6]) == pytest.approx(tv, abs=1e-4)


TABLE = {  # E TV over p(y), as a prototype of another author found it
    ("two_atoms", "PiGDM"): 0.057,
    ("trimodal", "TMPD"): 0.050,
    ("two_atoms", "DPS"): 0.021,
    ("two_atoms", "flat"): 0.158,
    ("two_atoms", "TMPD"): 0.087,
    ("trimodal", "DPS"): 0.162,
    ("trimodal", "PiGDM"): 0.049,
    ("trimodal", "flat"): 0.101,
}


def flat(prior, likelihood):
    return fl.PiGDM(prior, likelihood, data_var=math.inf)


@pytest.mark.long
@pytest.mark.parametrize("row", TABLE)
def test_the_table_of_expected_total_variations(row):
    """Ancestral sampling, 200 steps to t = .01."""
    name, method = row
    found = failure_map(
        getattr(problems, name)(), {"flat": flat}.get(method) or getattr(fl, method)
    )
    assert found.expected == pytest.approx(TABLE[row], abs=0.005)


def test_the_gallerys_own_y_flatters_tmpd():
    """At y = -1.8 it is among its best; over y it fails by several times as much."""
    y = torch.linspace(-3.6, 4.5, 10, dtype=torch.float64)  # the third is -1.8
    found = failure_map(problems.trimodal(), fl.TMPD, y=y, steps=100)
    own = float(found.tv[(y + 1.8).abs().argmin()])
    assert found.expected > 2 * own
    assert found.worst[1] > 5 * own


def by_hand():
    y = torch.tensor([0.0, 1.0, 2.0, 3.0]).double()
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    tv = torch.tensor([0.5, 0.05, 0.2, 0.1], dtype=torch.float64)
    return FailureMap("p", "m", y, weights, weights, tv, 2 * tv)


def test_the_numbers_of_a_map_are_sums_over_its_weights():
    found = by_hand()
    assert found.expected == pytest.approx(0.05 + 0.01 + 0.06 + 0.04)
    assert found.worst == (0.0, 0.5)
    assert found.share() == pytest.approx(0.4)  # .1 is not above .1
    assert found.share(0.04) == pytest.approx(1.0)
    assert "0.160" in str(found)
    assert "0.500 at y = 0" in str(found)
    assert "0.320" in str(found)  # W1


def test_a_map_draws_its_total_variation_above_the_density():
    figure = by_hand().figure()
    above, below = figure.axes
    assert_close(torch.tensor(above.lines[0].get_ydata()), by_hand().tv)
    assert below.collections


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: failure_map(problems.one_coordinate(), fl.DPS), "d = 2 and m = 1"),
        (lambda: failure_map("trimodal", fl.DPS), "problem"),
        (lambda: failure_map(problems.trimodal(), fl.DPS, measurements=1), "measurements"),
        (lambda: failure_map(problems.trimodal(), fl.DPS, y=torch.tensor([0.0, 1.0, 5.0])), "even"),
        (lambda: failure_map(problems.trimodal(), fl.DPS, y=torch.linspace(0, 1, 9)), "95%"),
        (lambda: failure_map(problems.trimodal(), "DPS", measurements=9), "method"),
        (
            lambda: failure_map(
                problems.trimodal(),
                lambda p, k: lambda x, t: 2000 + 0 * x,
                measurements=9,
                steps=20,
            ),
            "reach=8",
        ),
    ],
    ids=["plane", "no problem", "no y", "uneven", "too short", "no method", "lost mass"],
)
def test_a_wrong_call_is_told_what_is_right(call, told):
    with pytest.raises((ValueError, TypeError), match=told) as caught:
        call()
    assert "Call it like this" in str(caught.value)


def test_a_method_is_called_anew_for_each_measurement():
    seen = []

    def method(prior, likelihood):
        seen.append(float(likelihood.y))
        return fl.DPS(prior, likelihood)

    found = failure_map(problems.gaussian(), method, measurements=9, steps=25, stop=0.1)
    assert seen == found.y.tolist()  # score_of is asked for each y
