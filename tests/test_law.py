"""The law of a sampler without particles: against particles, against the truth, and in itself.

The particles take their steps in NumPy, by formulas written here; only the score is the library's.
A law that several tests read is computed once.
"""

import functools
import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from fsps_lite import (
    DPS,
    TMPD,
    VP,
    Cosine,
    FlowMatching,
    GaussianMixture,
    Likelihood,
    Linear,
    PiGDM,
    Problem,
    ZetaDPS,
    ddpm,
    law,
    problems,
    times,
    total_variation,
)
from fsps_lite.samplers import ddpm_kernel, euler_maruyama_kernel
from tests.oracles import at_length, seeded, slope, vp

# Hundreds of steps and 100,000 particles: without the shape checks, which the short runs go through
unchecked = pytest.mark.usefixtures("unchecked")
PARTICLES = 100_000  # 4 errors of a mean are 1.3 % of a deviation, 4 of a mass 0.006 at most
STEPS = 40  # both sides take the same ones, so that few are as good a test as many
METHODS = {
    "exact": None,
    "DPS": DPS,
    "PiGDM, 1": PiGDM,
    "PiGDM, inf": lambda *a: PiGDM(*a, data_var=math.inf),
    "TMPD": TMPD,
    "ZetaDPS": lambda *a: ZetaDPS(*a, zeta=0.3),
}
PROBLEMS = {
    "gaussian": problems.gaussian,
    "two_atoms": problems.two_atoms,
    "trimodal": problems.trimodal,
    "unequal": problems.unequal,
}
EDGES = {"gaussian": [0.8], "two_atoms": [0.0], "trimodal": [-0.8, 1.2], "unequal": [0.1]}
EDGES["square"] = [-0.6, 0.5]  # between the modes of each prior


def score_of(problem, method):
    make = METHODS[method]
    return make(problem.diffusion, problem.likelihood) if make else problem.posterior


# Against particles


def ancestral(x, score, t, s):
    """Mean and deviation of x_s given x_t, with the denoised x_t for x_0."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = vp(t), vp(s)
    denoised = (x + sigma_t**2 * score) / alpha_t
    ratio = alpha_t / alpha_s
    fresh = sigma_t**2 - ratio**2 * sigma_s**2  # the noise between s and t
    mean = (ratio * sigma_s**2 * x + alpha_s * fresh * denoised) / sigma_t**2
    return mean, np.sqrt(fresh) * sigma_s / sigma_t


def euler(x, score, t, s):
    rate = 0.01 + 19.99 * t
    return x + rate * (x / 2 + score) * (t - s), np.sqrt(rate * (t - s))


def particles(step, score, grid, seed):
    """100,000 particles; the score is computed at 4,000 places among them, and interpolated."""
    rng = np.random.default_rng(seed)
    x = vp(1.0)[1] * rng.standard_normal(PARTICLES)
    clouds = [x]
    for t, s in zip(grid[:-1].tolist(), grid[1:].tolist(), strict=True):
        places = np.sort(np.append(x[::100], np.linspace(x.min(), x.max(), 2000)))
        values = score(torch.from_numpy(places)[:, None], t)[:, 0].numpy()
        mean, std = step(x, np.interp(x, places, values), t, s)
        x = mean + std * rng.standard_normal(PARTICLES)
        clouds.append(x)
    return clouds


def agree(found, clouds, edges, grid):
    """Mean, standard deviation and the mass of each mode, early, midway and at the end."""
    places = [-math.inf, *edges, math.inf]
    for i in (len(grid) // 3, 2 * len(grid) // 3, len(grid) - 1):
        x, alpha = clouds[i], vp(float(grid[i]))[0]
        rest = x - x.mean()
        error = x.std() / PARTICLES**0.5
        assert float(found.mean[i]) == pytest.approx(x.mean(), abs=4 * error)
        kurtosis = (rest**4).mean() - x.std() ** 4
        error = (kurtosis / PARTICLES) ** 0.5 / (2 * x.std())
        assert float(found.std[i]) == pytest.approx(x.std(), abs=4 * error)
        for low, high in zip(places[:-1], places[1:], strict=True):
            share = ((x > alpha * low) & (x <= alpha * high)).mean()
            mass = float(found.mass(alpha * low, alpha * high)[i])
            error = (mass * (1 - mass) / PARTICLES) ** 0.5
            assert mass == pytest.approx(share, abs=4 * error + 4 / PARTICLES)  # if few, Poisson


PAIRS = [(name, method) for name in PROBLEMS for method in METHODS]
DAILY_PAIRS = [  # each method once, each problem at least once
    ("gaussian", "PiGDM, 1"),
    ("two_atoms", "exact"),
    ("two_atoms", "PiGDM, inf"),
    ("trimodal", "DPS"),
    ("trimodal", "ZetaDPS"),
    ("unequal", "TMPD"),
]


@functools.cache
def guided_law(name, method):
    """40 steps; coarse DPS throws a few particles beyond 8."""
    problem = PROBLEMS[name]()
    grid = times(problem.schedule, STEPS, stop=0.005)
    return law(score_of(problem, method), problem.schedule, grid, reach=16.0)


@unchecked
@pytest.mark.parametrize(("name", "method"), at_length(PAIRS, DAILY_PAIRS))
def test_law_is_that_of_100_000_particles(name, method):
    found, score = guided_law(name, method), score_of(PROBLEMS[name](), method)
    agree(found, particles(ancestral, score, found.t, seed=0), EDGES[name], found.t)


@unchecked
@pytest.mark.parametrize("method", at_length(["DPS", "ZetaDPS"], ["DPS"]))
def test_law_is_that_of_particles_for_a_nonlinear_operator(method):
    problem = problems.square()
    score = score_of(problem, method)
    grid = times(problem.schedule, STEPS, stop=0.005)
    found = law(score, problem.schedule, grid)
    agree(found, particles(ancestral, score, grid, seed=1), EDGES["square"], grid)


@unchecked
@pytest.mark.parametrize(
    ("name", "method"),
    at_length([("two_atoms", "exact"), ("unequal", "TMPD")], [("unequal", "TMPD")]),
)
def test_law_of_euler_maruyama_is_that_of_its_particles(name, method):
    problem = PROBLEMS[name]()
    score = score_of(problem, method)
    grid = times(problem.schedule, STEPS, stop=0.01, spacing="time")
    found = law(score, problem.schedule, grid, kernel=euler_maruyama_kernel)
    agree(found, particles(euler, score, grid, seed=2), EDGES[name], grid)


@unchecked
def test_law_is_that_of_the_librarys_own_integrator():
    problem = problems.unequal()
    grid = times(problem.schedule, STEPS, stop=0.005)
    start = problem.schedule.noise(PARTICLES, 1, generator=seeded(3))
    path = ddpm(problem.posterior, problem.schedule, start, grid, generator=seeded(4))
    found = law(problem.posterior, problem.schedule, grid)
    agree(found, path.x[..., 0].numpy(), EDGES["unequal"], grid)


# Against the truth


def distance_to_truth(problem, found, i=-1):
    x, t = found.places[i], found.t[i]
    truth = problem.posterior.log_prob(x[:, None], t).exp()
    return total_variation(truth, found.density[i], cell=float(x[1] - x[0]))


@functools.cache
def exact_law(name, kernel, steps):
    problem = PROBLEMS[name]()
    return law(problem.posterior, problem.schedule, times(problem.schedule, steps), kernel=kernel)


def nears_the_truth(problem, found, steps, distance):
    # the run starts at N(0, sigma(1)^2), without the 0.7 % of signal that is left at t = 1
    assert distance_to_truth(problem, found, 0) < 5e-3
    for fifths in (1, 2, 3, 4, 5):
        assert distance_to_truth(problem, found, fifths * steps // 5) < distance


@unchecked
@pytest.mark.parametrize("name", ["trimodal", "unequal"])
def test_law_of_the_exact_score_is_the_truth_to_3e_2_at_100_steps_at_all_times(name):
    nears_the_truth(PROBLEMS[name](), exact_law(name, ddpm_kernel, 100), 100, 3e-2)


@pytest.mark.long
@unchecked
@pytest.mark.parametrize("name", ["trimodal", "unequal"])
def test_law_of_the_exact_score_is_the_truth_to_2e_3_at_1000_steps(name):
    problem = PROBLEMS[name]()
    grid = times(problem.schedule, 1000, stop=0.02)
    nears_the_truth(problem, law(problem.posterior, problem.schedule, grid), 1000, 2e-3)


KERNELS = [  # and the number of steps with which to begin: two atoms need more for their order
    *((name, ddpm_kernel, 50) for name in ("gaussian", "trimodal", "unequal")),
    ("two_atoms", ddpm_kernel, 100),
    ("two_atoms", euler_maruyama_kernel, 50),
    ("unequal", euler_maruyama_kernel, 50),
]


@unchecked
@pytest.mark.parametrize(
    ("name", "kernel", "first"), at_length(KERNELS, [KERNELS[i] for i in (1, 2, 4)])
)
def test_law_of_the_exact_score_nears_the_truth_at_the_integrators_own_order(name, kernel, first):
    problem = PROBLEMS[name]()
    steps = np.array([first, 2 * first])
    laws = [exact_law(name, kernel, int(k)) for k in steps]
    errors = [distance_to_truth(problem, found) for found in laws]
    assert slope(steps, errors) == pytest.approx(1.0, abs=0.1)
    # without the term of first order hardly anything is left: the law adds no error of its own
    x = laws[-1].places[-1]
    two, one = (found.on(x)[-1] for found in laws[-1:-3:-1])
    truth = problem.posterior.log_prob(x[:, None], laws[-1].t[-1]).exp()
    left = total_variation(truth, 2 * two - one, cell=float(x[1] - x[0]))
    assert left < 0.3 * errors[-1]


@unchecked
@pytest.mark.parametrize("schedule", [Cosine(), FlowMatching()], ids=repr)
def test_law_under_another_schedule(schedule):
    example = problems.unequal()
    problem = Problem("unequal", example.prior, example.likelihood, schedule)
    grid = times(schedule, 80, start=0.999, stop=0.01)
    found = law(problem.posterior, schedule, grid)
    assert distance_to_truth(problem, found) < 0.04


# In itself


@unchecked
@pytest.mark.parametrize(("name", "method"), at_length(PAIRS, DAILY_PAIRS))
def test_mass_is_conserved_where_a_step_tears_neighbours_apart_too(name, method):
    found = guided_law(name, method)
    assert float(found.lost.abs().max()) < 1e-8
    assert_close(found.mass(-math.inf, math.inf), 1 - found.lost, rtol=1e-12, atol=1e-12)
    assert all(float(p.min()) >= 0 for p in found.density)


def test_mass_that_leaves_is_counted_as_lost_and_not_put_back():
    schedule = VP()
    grid = times(schedule, 20, stop=0.1)
    away = lambda x, t: torch.full_like(x, 200.0)  # noqa: E731
    found = law(away, schedule, grid)
    assert float(found.lost[0]) < 1e-9
    assert float(found.lost[-1]) > 0.99


def test_one_step_of_a_linear_score_is_a_gaussian_in_closed_form():
    schedule = VP()
    t, s = 1.0, 0.4
    grid = torch.tensor([t, s], dtype=torch.float64)
    found = law(lambda x, t: 0.003 - 0.998 * x, schedule, grid)
    x = found.places[-1]
    mean, std = ancestral(np.array([0.0, 1.0]), np.array([0.003, -0.995]), t, s)
    factor, constant = mean[1] - mean[0], mean[0]
    variance = factor**2 * vp(t)[1] ** 2 + std**2
    truth = torch.exp(-((x - constant) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
    assert_close(found.density[-1], truth, rtol=0, atol=1e-6 * float(truth.max()))
    assert float(found.mean[-1]) == pytest.approx(constant, abs=1e-7)
    assert float(found.std[-1]) == pytest.approx(variance**0.5, rel=1e-6)


def test_one_step_that_tears_neighbours_far_apart_is_the_integral_over_all_places():
    """Places next to each other on the grid land 24 deviations of the step apart, around 0."""
    std, (_, sigma) = 0.02, vp(1.0)

    def kernel(score, schedule, x, t, s):
        return 3 * torch.tanh(20 * x), torch.tensor(std, dtype=torch.float64)

    grid = torch.tensor([1.0, 0.4], dtype=torch.float64)
    found = law(lambda x, t: -x, VP(), grid, kernel=kernel)
    between = found.places[-1].abs() < 2.9  # of where all that is not torn lands
    x = np.linspace(-1, 1, 50_001)  # what starts further out lands at -3 or 3
    landing = (found.places[-1][between].numpy()[::20, None] - 3 * np.tanh(20 * x)) / std
    p = np.exp(-((x / sigma) ** 2) / 2 - landing**2 / 2) / (2 * np.pi * sigma * std)
    truth = torch.from_numpy(p.sum(1) * (x[1] - x[0]))
    # sums over points that land up to 0.4 deviations apart are right to about 1e-4
    assert_close(found.density[-1][between][::20], truth, rtol=3e-4, atol=0)


def test_kernels_are_the_formulas_of_their_integrators():
    problem = problems.unequal()
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    t, s = 0.3, 0.25
    score = problem.posterior.score(x, t).numpy()
    for kernel, step in ((ddpm_kernel, ancestral), (euler_maruyama_kernel, euler)):
        mean, std = kernel(problem.posterior, problem.schedule, x, t, s)
        expected_mean, expected_std = step(x.numpy(), score, t, s)
        assert_close(mean, torch.from_numpy(expected_mean), rtol=1e-10, atol=1e-12)
        assert float(std) == pytest.approx(expected_std, rel=1e-10)


@unchecked
def test_a_score_that_tears_neighbours_apart_is_resolved():
    # two atoms far apart, in few steps: between them one step moves x by many cells
    problem = problems.two_atoms(distance=3.0, y=0.1, noise_std=2.0)
    grid = times(problem.schedule, 25, stop=0.01)
    found = law(problem.posterior, problem.schedule, grid)
    finer = law(problem.posterior, problem.schedule, grid, resolution=8.0)
    assert float(found.lost.abs().max()) < 1e-5
    for i in (10, 20, 25):
        alpha = vp(float(grid[i]))[0]
        weights = [float(f.mass(-math.inf, 0.5 * alpha)[i]) for f in (found, finer)]
        assert weights[0] == pytest.approx(weights[1], abs=2e-5)


@unchecked
def test_reach_and_resolution_do_not_matter_once_they_suffice():
    problem = problems.unequal()
    score = DPS(problem.diffusion, problem.likelihood)
    grid = times(problem.schedule, 20)
    plain = law(score, problem.schedule, grid)
    for other in (
        law(score, problem.schedule, grid, reach=6.5),
        law(score, problem.schedule, grid, resolution=5.0),
    ):
        assert_close(other.mean, plain.mean, rtol=0, atol=3e-5)
        assert_close(other.std, plain.std, rtol=0, atol=3e-5)


def test_moments_masses_and_maps_of_a_law():
    problem = problems.gaussian()
    found = law(problem.posterior, problem.schedule, times(problem.schedule, 10, stop=0.1))
    assert len(found.places) == len(found.density) == len(found.lost) == 11
    third = found.expect(lambda x: x**3)
    mean, std = found.mean, found.std
    assert_close(third, mean**3 + 3 * mean * std**2, rtol=1e-3, atol=1e-6)  # it is Gaussian
    normal = torch.distributions.Normal(mean[-1], std[-1])
    for low, high in ((-0.3, 0.7), (0.5, 0.52), (-math.inf, 1.0)):
        ends = torch.tensor([low, high], dtype=torch.float64)
        expected = float(normal.cdf(ends).diff())
        assert float(found.mass(low, high)[-1]) == pytest.approx(expected, abs=1e-5)
    x = torch.linspace(-9, 9, 181, dtype=torch.float64)
    on = found.on(x)
    assert on.shape == (11, 181)
    assert float(on[:, [0, -1]].max()) == 0  # beyond the reach
    inner = x.abs() < 4
    assert_close(on[-1, inner], normal.log_prob(x[inner]).exp(), rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("unchecked")
def test_a_score_in_the_plane_is_refused_with_the_right_call():
    problem = problems.one_coordinate()
    grid = times(problem.schedule, 5)
    with pytest.raises(ValueError, match=r"shape \(5, 1\)|d = 1|one dimension|\(\*batch, 2\)"):
        law(problem.posterior, problem.schedule, grid)


def test_the_prior_of_an_offset_problem_is_followed_off_centre():
    prior = GaussianMixture.isotropic(torch.tensor([[3.0]], dtype=torch.float64), std=0.2)
    operator = Linear(torch.eye(1, dtype=torch.float64))
    likelihood = Likelihood(operator, torch.tensor([3.3], dtype=torch.float64), 0.2)
    problem = Problem("far", prior, likelihood)
    found = law(problem.posterior, VP(), times(VP(), 60, stop=0.02))
    alpha = vp(0.02)[0]
    assert float(found.mean[-1]) == pytest.approx(3.15 * alpha, abs=0.005)
