"""Identities that planted faults asked for: no test of their module saw them (tools/mutants.py)."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from torch.testing import assert_close

from fsps_lite import VP, Diffusion, GaussianMixture, ModeHistory, problems, theory
from fsps_lite.distances import distance
from fsps_lite.engine import draws
from fsps_lite.priors import ShardedEmpirical
from tests.oracles import random_mixture_parts, seeded


@pytest.mark.parametrize("n", [100, 10_000])
def test_where_particles_settle_evenly_the_error_of_the_commitment_time_is_that_of_the_share(n):
    t = torch.linspace(1, 0, 11, dtype=torch.float64)
    weights = torch.full((11, 2), 0.5, dtype=torch.float64)
    history = ModeHistory(t, weights, weights, 1 - t, n)
    assert history.commitment == pytest.approx(0.1)
    assert history.commitment_error == pytest.approx(math.sqrt(0.9 * 0.1 / n))


def test_the_distance_of_clouds_side_by_side_is_that_of_their_means_and_so_is_its_error():
    x = torch.rand(50, 1, generator=seeded(0), dtype=torch.float64)
    y = 3 + torch.rand(80, 1, generator=seeded(1), dtype=torch.float64).square()
    found = distance(x, y, generator=seeded(2))
    assert found.value == pytest.approx(float(y.mean() - x.mean()))
    assert found.error == pytest.approx(math.sqrt(float(x.var() / 50 + y.var() / 80)))


def test_a_noisy_draw_is_a_clean_draw_and_the_noise_that_comes_next():
    prior = GaussianMixture(*random_mixture_parts(0, 3, 2))
    diffusion, one, other = Diffusion(prior, VP()), seeded(1), seeded(1)
    clean = prior.sample(7, generator=one)
    eps = torch.randn(7, 2, generator=one, dtype=torch.float64)
    alpha, sigma = diffusion.schedule.alpha(0.4), diffusion.schedule.sigma(0.4)
    assert_close(diffusion.sample(7, 0.4, generator=other), alpha * clean + sigma * eps)


def test_total_variance_of_a_mixture_is_the_trace_of_what_is_left_when_nothing_is_seen():
    prior = GaussianMixture(*random_mixture_parts(0, 4, 3))
    unseen = torch.zeros(3, dtype=torch.float64)
    columns = [prior.denoise_cov_product(unseen, 0.0, 1.0, v) for v in torch.eye(3).double()]
    assert_close(prior.total_variance, torch.stack(columns).trace())


def test_a_number_that_rounds_to_the_whole_weight_still_draws_the_last_index(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda shape, **more: torch.ones(shape).double())
    weights = torch.tensor([[0.2, 0.3], [0.0, 1.0]], dtype=torch.float64)
    assert draws.pick(weights, seeded(0)).tolist() == [1, 1]


def test_the_posterior_of_a_square_scores_a_large_cloud_as_it_does_a_few_points():
    """Where the score of many points is interpolated, and that of few is not."""
    posterior = problems.square().posterior
    x = torch.linspace(-3, 3, 1000, dtype=torch.float64).unsqueeze(-1)
    apart = torch.cat([posterior.score(few, 0.3) for few in x.split(100)])
    assert_close(posterior.score(x, 0.3), apart, rtol=0, atol=1e-7 * float(apart.abs().max()))


@pytest.mark.parametrize("unit", [0.1, 10.0])
def test_the_weight_that_a_moving_spread_gives_does_not_depend_on_the_unit_of_length(unit):
    """Of a spread in units of x squared, at the time 1 / x squared."""
    weights = [
        theory.weight_in_time(
            lambda C, tau, u=u: 1 / (1 / u**2 + tau), 1.0 * u, 0.3 * u, 0.5 * u, weight=0.4
        )
        for u in (1.0, unit)
    ]
    assert weights[1] == pytest.approx(weights[0], rel=1e-6)


def test_a_sharded_prior_draws_from_each_rank_as_often_as_its_share_says(monkeypatch):
    """Two ranks played by one process: each is told what both have."""
    n = 10_000
    shares = torch.tensor([[0.3], [0.7]], dtype=torch.float64).expand(2, n)
    monkeypatch.setattr(dist, "get_world_size", lambda group: 2)
    drawn = torch.zeros(n, 1, dtype=torch.float64)
    for rank in (0, 1):
        monkeypatch.setattr(dist, "get_rank", lambda group, rank=rank: rank)
        sums = iter([lambda _: shares, lambda value: value])
        prior = SimpleNamespace(group=None, _sum=lambda value, sums=sums: next(sums)(value))
        own = torch.full((n, 1), rank + 1.0, dtype=torch.float64)
        drawn += ShardedEmpirical._pick(prior, own, shares[rank], seeded(0))
    assert set(drawn.unique().tolist()) == {1.0, 2.0}
    error = math.sqrt(0.3 * 0.7 / n)
    assert float((drawn == 2.0).double().mean()) == pytest.approx(0.7, abs=4 * error)
