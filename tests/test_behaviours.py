"""What a sampler does, on clouds and paths that were made so that the answer is known."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from fsps_lite import (
    DPS,
    VP,
    Diffusion,
    GaussianMixture,
    GuidedUntil,
    Trajectory,
    ddpm,
    early_stopping,
    hallucination,
    mode_history,
    problems,
    times,
)
from tests.oracles import Line, gaussian_log_density, seeded, vp

TRIMODAL = ((1, 1, 1), (-1.8, 0.2, 2.2), (0.3, 0.3, 0.3))


def path_of(problem, score, n, steps=12, stop=0.01):
    noise = problem.schedule.noise(n, problem.prior.dim, generator=seeded(0))
    grid = times(problem.schedule, steps, stop=stop)
    return ddpm(score, problem.schedule, noise, grid, generator=seeded(1))


# Early stopping


@pytest.mark.usefixtures("unchecked")
def test_stopping_curves_are_what_scipy_and_quadrature_find():
    problem = problems.trimodal()
    path = path_of(problem, DPS(problem.diffusion, problem.likelihood), 60)
    truth = problem.posterior.sample(80, 0.0, generator=seeded(2))
    found = early_stopping(path, problem.diffusion, truth, generator=seeded(3))
    assert_close(found.t, path.t)
    quadrature = Line.mixture(*TRIMODAL)
    for i in (0, 5, 9, 12):
        alpha, sigma = vp(float(path.t[i]))
        x = path.x[i, :, 0].numpy()
        raw = stats.wasserstein_distance(x / alpha, truth[:, 0])
        assert float(found.raw[i]) == pytest.approx(raw, rel=1e-9)
        denoised = stats.wasserstein_distance(quadrature.at(x, alpha, sigma)[2], truth[:, 0])
        assert float(found.denoised[i]) == pytest.approx(denoised, rel=1e-8)


def test_a_draw_is_an_atom_with_the_probability_that_it_became_x():
    problem = problems.two_atoms()
    t, n = torch.tensor([0.4, 0.15, 0.05], dtype=torch.float64), 20_000
    x = torch.stack([problem.diffusion.sample(n, s, generator=seeded(i)) for i, s in enumerate(t)])
    path = Trajectory(t, x + 0.1)
    truth = torch.ones(10, 1, dtype=torch.float64)
    found = early_stopping(path, problem.diffusion, truth, generator=seeded(9))
    for i, s in enumerate(t):
        alpha, sigma = vp(float(s))
        p = 1 / (1 + np.exp(2 * alpha * path.x[i].numpy() / sigma**2))  # of the atom at -1
        error = 2 * ((p * (1 - p)).mean() / n) ** 0.5
        assert float(found.drawn[i]) == pytest.approx(2 * p.mean(), abs=4 * error + 1e-12)


def test_the_exact_samplers_own_curves():
    """At t = 0 all readings are right; at t = 1 each is wrong in the way that it must be."""
    problem = problems.trimodal()
    t, n = torch.tensor([1.0, 0.002], dtype=torch.float64), 20_000
    clouds = [problem.posterior.sample(n, s, generator=seeded(i)) for i, s in enumerate(t)]
    truth = problem.posterior.sample(n, 0.0, generator=seeded(8))
    path = Trajectory(t, torch.stack(clouds))
    found = early_stopping(path, problem.diffusion, truth, generator=seeded(9))
    again = problem.posterior.sample(n, 0.0, generator=seeded(10))
    null = stats.wasserstein_distance(again[:, 0], truth[:, 0])
    for curve in (found.raw, found.denoised, found.drawn):
        assert float(curve[1]) < null + 4 * 0.21 / n**0.5  # the posterior's deviation is 0.21
    far = stats.wasserstein_distance([0.2], truth[:, 0])  # the mean of the prior, for all
    assert float(found.denoised[0]) == pytest.approx(far, abs=0.05)
    prior = problem.prior.sample(n, generator=seeded(11))
    whole = stats.wasserstein_distance(prior[:, 0], truth[:, 0])
    assert float(found.drawn[0]) == pytest.approx(whole, abs=4 * 1.66 * (2 / n) ** 0.5 + 0.02)
    alpha, sigma = vp(1.0)
    noise = (sigma / alpha) * (2 / math.pi) ** 0.5
    assert float(found.raw[0]) == pytest.approx(noise, rel=0.05)


def test_stopping_in_the_plane_is_a_mean_over_directions():
    problem = problems.one_coordinate()
    t = torch.tensor([0.1, 0.01], dtype=torch.float64)
    x = torch.stack([problem.posterior.sample(300, s, generator=seeded(0)) for s in t])
    truth = problem.posterior.sample(300, 0.0, generator=seeded(1)) + 0.7
    found = early_stopping(Trajectory(t, x), problem.diffusion, truth, generator=seeded(2))
    angles = np.linspace(0, np.pi, 200, endpoint=False)
    for i, s in enumerate(t):
        cloud = x[i].numpy() / vp(float(s))[0]
        shadows = [
            stats.wasserstein_distance(cloud @ u, truth.numpy() @ u)
            for u in np.stack([np.cos(angles), np.sin(angles)], axis=1)
        ]
        # a hundred random directions, of which each is off by less than half of the mean
        assert float(found.raw[i]) == pytest.approx(np.mean(shadows), rel=4 * 0.5 / 10)


def test_a_lost_particle_makes_the_distance_infinite():
    problem = problems.trimodal()
    t = torch.tensor([0.1, 0.01], dtype=torch.float64)
    x = torch.stack([problem.posterior.sample(20, s, generator=seeded(0)) for s in t])
    x[1, 3] = math.nan
    truth = problem.posterior.sample(20, 0.0, generator=seeded(1))
    found = early_stopping(Trajectory(t, x), problem.diffusion, truth, generator=seeded(2))
    for curve in (found.raw, found.denoised, found.drawn):
        assert curve[0].isfinite()
        assert curve[1] == math.inf


def test_guided_until_is_guided_and_then_is_not():
    problem = problems.trimodal()
    guidance = DPS(problem.diffusion, problem.likelihood)
    score = GuidedUntil(guidance, until=0.3)
    x = problem.prior.sample(10, generator=seeded(0))
    for t in (1.0, 0.5, 0.3):
        assert_close(score(x, t), guidance(x, t), rtol=0, atol=0)
    for t in (0.29, 0.1, 0.001):
        assert_close(score(x, t), problem.diffusion.score(x, t), rtol=0, atol=0)
    assert (score(x, 0.3) != problem.diffusion.score(x, 0.3)).any()
    assert_close(GuidedUntil(guidance, until=0)(x, 0.001), guidance(x, 0.001), rtol=0, atol=0)
    now = torch.tensor(0.3, dtype=torch.float64)
    assert_close(score(x, now), guidance(x, 0.3), rtol=0, atol=0)
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"until.*GuidedUntil\(DPS\(prior, likelihood\)"):
            GuidedUntil(guidance, until=wrong)


def test_without_guidance_at_all_the_prior_comes_out():
    problem = problems.two_atoms()
    score = GuidedUntil(DPS(problem.diffusion, problem.likelihood), until=1)
    found = path_of(problem, score, 4000, steps=40).final
    # guided at t = 1 only, where next to nothing is known of x
    assert float((found < 0).double().mean()) == pytest.approx(0.5, abs=4 * 0.5 / 4000**0.5)


# Modes

SIDES = torch.tensor(
    [
        # one row a time, noise first; one column a particle
        [+1, -1, +1, -1, -1, +1, +1, +1, +1, +1],
        [+1, -1, -1, -1, +1, +1, +1, +1, +1, +1],
        [+1, -1, +1, -1, -1, -1, +1, +1, +1, +1],
        [+1, -1, +1, -1, +1, -1, +1, +1, +1, +1],
        [+1, -1, +1, -1, +1, -1, +1, +1, +1, +1],
    ]
)


def constructed(sides=SIDES):
    """A path of two atoms on which each particle is at all times in the mode that is asked for."""
    problem = problems.two_atoms()
    t = torch.tensor([0.9, 0.6, 0.3, 0.1, 0.01], dtype=torch.float64)
    alpha = problem.schedule.alpha(t)[:, None]
    return problem, Trajectory(t, (1.1 * alpha * sides).unsqueeze(-1))


def test_mode_weights_over_time_on_a_constructed_path():
    problem, path = constructed()
    found = mode_history(path, problem.diffusion, problem.modes)
    left = (SIDES < 0).double().mean(1)
    assert_close(found.t, path.t)
    assert_close(found.weights, torch.stack([left, 1 - left], dim=1))


def test_settled_counts_those_that_never_leave_again():
    problem, path = constructed()
    found = mode_history(path, problem.diffusion, problem.modes)
    # particle 2 leaves and comes back, 4 does so twice, 5 moves late
    assert found.settled.tolist() == pytest.approx([0.7, 0.7, 0.9, 1.0, 1.0])
    assert found.commitment == pytest.approx(0.3)


def test_commitment_at_the_start_and_at_the_end():
    problem, path = constructed(SIDES[-1].expand(5, 10))
    assert mode_history(path, problem.diffusion, problem.modes).commitment == pytest.approx(0.9)
    # nine tenths of the way between the last two times
    late = torch.cat([SIDES[:4] * 0 + 1, SIDES[:1] * 0 - 1])
    problem, path = constructed(late)
    assert mode_history(path, problem.diffusion, problem.modes).commitment == pytest.approx(0.019)


def test_the_posterior_as_a_denoiser_knows_the_measurement():
    problem = problems.two_atoms(y=0.9, noise_std=0.4)
    t = torch.tensor([0.6, 0.5], dtype=torch.float64)
    undecided = Trajectory(t, torch.full((2, 8, 1), -0.01, dtype=torch.float64))
    blind = mode_history(undecided, problem.diffusion, problem.modes)
    knowing = mode_history(undecided, problem.posterior, problem.modes)
    assert blind.weights[0].tolist() == [1.0, 0.0]
    assert knowing.weights[0].tolist() == [0.0, 1.0]


def test_a_lost_particle_is_in_no_mode():
    problem, path = constructed()
    path.x[3:, 0] = math.nan
    found = mode_history(path, problem.diffusion, problem.modes)
    assert found.weights.sum(1).tolist() == pytest.approx([1.0, 1.0, 1.0, 0.9, 0.9])
    # it was settled nowhere, while the other nine are as before
    assert found.settled[-1] >= 0.9


# Hallucination


def judged(problem, cloud, t=0.01, n=4000, seed=0):
    reference = problem.posterior.sample(n, t, generator=seeded(seed))
    found = hallucination(
        cloud(reference), reference, problem, t, modes=problem.modes, generator=seeded(1)
    )
    for table in (found.table, found.reference):
        assert float(table.sum()) == pytest.approx(1.0)
    return found


def values(found):
    return [getattr(found, name).value for name in ("prior_modes", "likelihood_only", "nowhere")]


def test_a_cloud_of_the_posterior_hallucinates_nothing():
    for make in (problems.trimodal, problems.square, problems.unequal, problems.one_coordinate):
        problem = make()
        same = judged(problem, lambda reference: reference)
        assert_close(same.table, same.reference)
        assert values(same) == [0.0, 0.0, 0.0]
        fresh = problem.posterior.sample(4000, 0.01, generator=seeded(5))
        other = judged(problem, lambda reference, fresh=fresh: fresh)
        for name in ("prior_modes", "likelihood_only", "nowhere"):
            excess = getattr(other, name)
            assert abs(excess.value) <= 4 * excess.error + 1e-12


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_mass_on_a_mode_that_the_posterior_does_not_have(share):
    problem, n = problems.trimodal(), 4000
    alpha = vp(0.01)[0]

    def moved(reference):
        cloud = reference.clone()
        cloud[: int(share * n)] = 2.2 * alpha
        return cloud

    found = judged(problem, moved)
    kept = 1 - share
    assert values(found)[0] == pytest.approx(share, abs=1e-12)
    # probable and unexplained: the measurement said -1.8
    assert float(found.table[1, 0]) == pytest.approx(share, abs=0.02)
    assert found.nowhere.value == pytest.approx(0, abs=0.02)
    assert found.likelihood_only.value == pytest.approx(0, abs=0.02)
    if kept:
        error = (share * kept / n) ** 0.5
        assert found.prior_modes.error == pytest.approx(error, rel=0.05)


def test_mass_where_only_the_measurement_would_have_it():
    problem = problems.absolute()  # y = |x| = 1, and the prior has modes at -2 and 1
    found = judged(problem, lambda reference: torch.full_like(reference, -0.97 * vp(0.01)[0]))
    assert float(found.table[0, 1]) == 1.0
    expected = 1 - float(found.reference[0, 1])
    assert found.likelihood_only.value == pytest.approx(expected)
    assert found.likelihood_only.value > 0.95
    assert found.nowhere.value == pytest.approx(-float(found.reference[0, 0]))


def test_mass_where_neither_would_have_it():
    problem = problems.trimodal()
    found = judged(problem, lambda reference: torch.full_like(reference, 7.0))
    assert float(found.table[0, 0]) == 1.0
    assert found.nowhere.value == pytest.approx(1 - float(found.reference[0, 0]))
    assert found.likelihood_only.value == pytest.approx(-float(found.reference[0, 1]))


def test_the_four_cells_are_the_two_questions():
    """Shares of a spread-out cloud, counted by the definitions with quadrature and by hand."""
    problem, t = problems.trimodal(), 0.02
    alpha, sigma = vp(t)
    cloud = torch.linspace(-4, 4, 1001, dtype=torch.float64)[:, None]
    found = judged(problem, lambda reference: cloud, t=t)
    quadrature = Line.mixture(*TRIMODAL)
    draws = problem.prior.sample(20_000, generator=seeded(3))[:, 0].numpy()
    draws = alpha * draws + sigma * np.random.default_rng(0).standard_normal(20_000)
    grid = np.linspace(-5, 5, 201)
    density = quadrature.at(grid, alpha, sigma)[0]
    least = np.quantile(np.interp(draws, grid, density), 0.005)
    probable = np.interp(cloud[:, 0], grid, density) >= least
    explained = np.abs(-1.8 - cloud[:, 0].numpy() / alpha) <= 2.5758 * 0.3  # 99 % of a normal
    for i, row in enumerate((~probable, probable)):
        for j, column in enumerate((~explained, explained)):
            share = (row & column).mean()
            assert float(found.table[i, j]) == pytest.approx(share, abs=0.02)


def test_explained_knows_how_many_measurements_there_are():
    problem = problems.rank_deficient()  # m = 2
    found = judged(problem, lambda reference: reference)
    # y is explained by 99 % of posterior draws or so, and not by 100 %, nor 90 %
    x = problem.posterior.sample(4000, 0.01, generator=seeded(0)) / vp(0.01)[0]
    misfit = (problem.likelihood.y - problem.likelihood.operator(x)).square().sum(-1) / 0.3**2
    share = float((misfit <= -2 * math.log(0.01)).double().mean())  # chi2 with 2: closed form
    assert float(found.table[:, 1].sum()) == pytest.approx(share, abs=1e-12)


def test_a_lost_particle_is_nowhere_and_in_no_mode():
    problem = problems.trimodal(y=2.2)  # so that the first mode is absent from the posterior

    def broken(reference):
        cloud = reference.clone()
        cloud[:400] = math.nan
        return cloud

    found = judged(problem, broken)
    assert found.prior_modes.value == pytest.approx(0, abs=0.001)
    assert found.nowhere.value == pytest.approx(0.1, abs=0.01)


def test_absent_is_judged_by_the_reference_and_its_one_percent():
    prior = GaussianMixture.isotropic(torch.tensor([[-1.0], [1.0]]).double(), std=0.1)
    problem = problems.trimodal()
    t, n = 0.01, 1000
    alpha = vp(t)[0]
    for rare, absent in ((5, True), (15, False)):
        reference = torch.full((n, 1), alpha, dtype=torch.float64)
        reference[:rare] = -alpha
        cloud = torch.full((n, 1), -alpha, dtype=torch.float64)
        found = hallucination(cloud, reference, problem, t, modes=prior, generator=seeded(0))
        expected = 1 - rare / n if absent else 0.0
        assert found.prior_modes.value == pytest.approx(expected)


def test_oracle_of_the_posterior_used_above():
    """The reference clouds stand on Problem.posterior; quadrature says that it is one."""
    problem = problems.trimodal()
    line = Line.mixture(*TRIMODAL, lambda x: gaussian_log_density(-1.8, x, 0.09))
    x = np.linspace(-3, 3, 13)
    diffusion = Diffusion(problem.posterior.prior, VP())
    log_p = diffusion.log_prob(torch.from_numpy(x)[:, None], 0.02)
    assert_close(log_p, torch.from_numpy(line.at(x, *vp(0.02))[0]), rtol=1e-8, atol=1e-8)
