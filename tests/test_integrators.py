"""Integrators: their order by slope and without sampling noise, and what each has to leave exact.

On a Gaussian problem a run is affine in its start and in its noises. Giving each particle one of
these, and nothing else, reads the coefficients off, and with them the exact law of the output.
"""

import functools
import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from benchmarks import integrators as benchmark
from fsps_lite import (
    VE,
    VP,
    Cosine,
    Diffusion,
    Empirical,
    FlowMatching,
    GaussianMixture,
    bridge,
    ddim,
    ddpm,
    dpm_solver,
    euler_maruyama,
    exact_kernel,
    heun,
    mode_weights,
    problems,
    times,
    wasserstein1,
)
from fsps_lite.engine.mixtures import Components
from fsps_lite.samplers import kernels
from tests.oracles import at_length, seeded, slope, vp

SCHEDULES = [VP(), Cosine(), VE(10.0, 2.0), FlowMatching()]
RUNS = {
    "euler_maruyama": euler_maruyama,
    "ddpm, eta = 1": ddpm,
    "ddpm, eta = 0.5": lambda *a, **k: ddpm(*a, eta=0.5, **k),
    "ddim": lambda *a, generator: ddim(*a),
    "heun": lambda *a, generator: heun(*a),
    "dpm_solver, eta = 0": lambda *a, **k: dpm_solver(*a, eta=0.0, **k),
    "dpm_solver, eta = 0.5": lambda *a, **k: dpm_solver(*a, eta=0.5, **k),
    "dpm_solver, eta = 1": lambda *a, **k: dpm_solver(*a, eta=1.0, **k),
    "exact_kernel": exact_kernel,
}
# Hundreds of steps: without the shape checks, which the short runs below go through.
unchecked = pytest.mark.usefixtures("unchecked")
each_run = pytest.mark.parametrize("run", RUNS)
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)


class Units:
    """Noise that is 1 for one particle and 0 for all others, a new one at each draw."""

    def __init__(self):
        self.draws = 0

    def __call__(self, x):
        self.draws += 1
        z = torch.zeros_like(x)
        z[1 + self.draws] = 1.0
        return z


@pytest.fixture
def affine(monkeypatch):
    """affine(run, n): the constant, the factor of the start, and those of at most n noises."""

    def coefficients(run, n):
        units = Units()
        monkeypatch.setattr(kernels, "draw", lambda x, generator: units(x))
        # the one other place that draws, for the exact kernel on a mixture; d is 1 here
        monkeypatch.setattr(Components, "colour", lambda self, k, std, generator: std * units(std))
        x = torch.zeros(n + 2, 1, dtype=torch.float64)
        x[1] = 1.0
        out = run(x)[:, 0].numpy()
        return out[0], out[1] - out[0], out[2:] - out[0]

    return coefficients


def gaussian_law(diffusion, t):
    """Mean and variance of x_t for a prior with one component, d = 1."""
    alpha, sigma = (float(f(t)) for f in (diffusion.schedule.alpha, diffusion.schedule.sigma))
    prior = diffusion.prior
    return alpha * prior.means.item(), alpha**2 * prior.covs.item() + sigma**2


def output_law(affine, run, diffusion, t):
    """Mean and variance of what a run from the exact law at t[0] ends with."""

    def final(x):
        return RUNS[run](diffusion, diffusion.schedule, x, t, generator=seeded(0)).final

    draws = 2 if run == "exact_kernel" else 1  # a step
    constant, factor, noises = affine(final, draws * (len(t) - 1))
    mean, variance = gaussian_law(diffusion, float(t[0]))
    return constant + factor * mean, factor**2 * variance + (noises**2).sum()


def point(place, schedule):
    """The diffusion of one atom: here the exact law of x_t is sigma and nothing else."""
    place = torch.tensor([[place]], dtype=torch.float64)
    return Diffusion(GaussianMixture.isotropic(place, std=0.0), schedule)


# Order of convergence


ORDERS = [
    ("euler_maruyama", 1),
    ("ddpm, eta = 1", 1),
    ("ddpm, eta = 0.5", 1),
    ("ddim", 1),
    ("heun", 2),
    ("dpm_solver, eta = 0", 2),
    ("dpm_solver, eta = 0.5", 2),
    ("dpm_solver, eta = 1", 2),
]


@unchecked
@pytest.mark.parametrize(("run", "order"), ORDERS)
def test_order_of_convergence(affine, run, order):
    """The error of the variance falls as steps^-order, on the grid that is even in log-SNR."""
    problem = problems.gaussian()
    mean, variance = gaussian_law(problem.posterior, 1e-3)
    steps, errors = [80, 160], []
    for n in steps:
        out = output_law(affine, run, problem.posterior, times(problem.schedule, n))
        errors.append(abs(out[1] - variance))
        if run == "euler_maruyama":
            assert abs(out[0] - mean) < 1 / n
        else:  # the others are exact in the mean of a Gaussian
            assert abs(out[0] - mean) < 1e-12
    assert abs(slope(steps, errors) - order) < 0.08


@unchecked
def test_order_of_the_mean_of_euler_maruyama(affine):
    posterior = problems.gaussian().posterior
    mean = gaussian_law(posterior, 1e-3)[0]
    steps = [80, 160]
    for spacing in ("log_snr", "time"):
        errors = [
            abs(
                output_law(affine, "euler_maruyama", posterior, times(VP(), n, spacing=spacing))[0]
                - mean
            )
            for n in steps
        ]
        assert abs(slope(steps, errors) - 1) < 0.05


@unchecked
@pytest.mark.parametrize(("run", "order"), [("heun", 2), ("euler_maruyama", 1)])
@each_schedule
def test_order_on_every_schedule(affine, run, order, schedule):
    prior = GaussianMixture.isotropic(torch.tensor([[0.7]], dtype=torch.float64), std=0.6)
    diffusion = Diffusion(prior, schedule)
    variance = gaussian_law(diffusion, 0.05)[1]
    steps, errors = [80, 160], []
    for n in steps:
        t = times(schedule, n, start=0.95, stop=0.05)
        errors.append(abs(output_law(affine, run, diffusion, t)[1] - variance))
    assert abs(slope(steps, errors) - order) < 0.15


# What is exact


@pytest.mark.parametrize("run", [r for r in RUNS if r not in ("euler_maruyama",)])
@pytest.mark.parametrize("steps", at_length([1, 3, 20], [1, 3]))
@each_schedule
def test_on_one_atom_all_but_euler_maruyama_are_exact(affine, run, steps, schedule):
    """The denoiser is a constant then, and only the noise has to be right."""
    diffusion = point(-1.3, schedule)
    t = times(schedule, steps, start=0.95, stop=0.02)
    out = output_law(affine, run, diffusion, t)
    assert_close(out, gaussian_law(diffusion, 0.02), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("stop", [0.0, 1e-3])
@pytest.mark.parametrize("steps", at_length([1, 5, 50], [1, 5]))
@each_schedule
def test_exact_kernel_has_no_discretisation_error(affine, steps, stop, schedule):
    prior = GaussianMixture.isotropic(torch.tensor([[0.7]], dtype=torch.float64), std=0.6)
    diffusion = Diffusion(prior, schedule)
    t = times(schedule, steps, start=0.9, stop=stop, spacing="time")
    out = output_law(affine, "exact_kernel", diffusion, t)
    assert_close(out, gaussian_law(diffusion, stop), rtol=1e-9, atol=1e-11)


TERMINAL = [(500, 1e-3, 2.7), (500, 1e-2, 1.10), (1000, 1e-3, 1.62), (1000, 1e-2, 1.05)]


@unchecked
@pytest.mark.parametrize(("steps", "stop", "ratio"), at_length(TERMINAL, TERMINAL[:2]))
def test_terminal_noise_of_euler_maruyama(affine, steps, stop, ratio):
    """Its spread on one atom, over the true one: an error of the integrator and of nothing else."""
    t = times(VP(), steps, stop=stop, spacing="time")
    variance = output_law(affine, "euler_maruyama", point(0.0, VP()), t)[1]
    assert abs(math.sqrt(variance) / vp(stop)[1] - ratio) < 0.03


@each_schedule
@settings(max_examples=25)
@given(t=st.floats(0.05, 0.95), fraction=st.floats(0.02, 0.98))
def test_bridge_is_bayes(schedule, t, fraction):
    """p(x_s | x_t, x_0) by conditioning the joint normal of (x_s, x_t) given x_0."""
    s = t * fraction
    a_s, a_t = float(schedule.alpha(s)), float(schedule.alpha(t))
    v_s, v_t = float(schedule.variance(s)), float(schedule.variance(t))
    cross = a_t / a_s * v_s
    x0, x = torch.tensor([[0.7]], dtype=torch.float64), torch.tensor([[-0.4]], dtype=torch.float64)
    mean = a_s * x0 + cross / v_t * (x - a_t * x0)
    std = math.sqrt(v_s - cross**2 / v_t)
    with pytest.MonkeyPatch.context() as patch:
        for z in (0.0, 1.0):
            patch.setattr(kernels, "draw", lambda x, generator, z=z: torch.full_like(x, z))
            out = bridge(schedule, x0, x, t, s, generator=seeded(0))
            assert_close(out, mean + z * std, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("eta", [0.0, 0.3, 0.8, 1.0])
def test_ddpm_noise_grows_with_eta(affine, eta):
    """c = eta sqrt(v_s / v_t (1 - alpha_t^2 / alpha_s^2)), the step of (Song et al., 2021a)."""
    t, s = 0.6, 0.4
    grid = torch.tensor([t, s], dtype=torch.float64)
    (a_t, s_t), (a_s, s_s) = vp(t), vp(s)
    c = eta * s_s / s_t * math.sqrt(1 - a_t**2 / a_s**2)
    diffusion = point(0.9, VP())

    def final(x):
        return ddpm(diffusion, VP(), x, grid, generator=seeded(0), eta=eta).final

    constant, factor, noises = affine(final, 3)
    assert_close(noises[0], np.float64(c), rtol=1e-10, atol=1e-14)
    assert_close(factor, np.float64(math.sqrt(s_s**2 - c**2) / s_t), rtol=1e-10, atol=0.0)
    assert_close(constant, np.float64(a_s * 0.9 - factor * a_t * 0.9), rtol=1e-10, atol=1e-14)


def cloud(problem, n, t=1.0, seed=0):
    return problem.posterior.sample(n, t, generator=seeded(seed))


def test_neighbours_of_the_family():
    """ddpm at eta = 0 is ddim; one step of dpm_solver at eta = 0 is one of ddim, at 1 of ddpm."""
    problem = problems.unequal()
    x, schedule = cloud(problem, 50), problem.schedule
    grid = times(schedule, 10)
    flow = ddim(problem.posterior, schedule, x, grid)
    noiseless = ddpm(problem.posterior, schedule, x, grid, generator=seeded(1), eta=0.0)
    assert_close(noiseless.x, flow.x, rtol=1e-10, atol=1e-12)
    for eta in (0.0, 1.0):
        pair = torch.tensor([0.5, 0.3], dtype=torch.float64)
        arguments = problem.posterior, schedule, x, pair
        one = dpm_solver(*arguments, generator=seeded(1), eta=eta).final
        other = ddpm(*arguments, generator=seeded(1), eta=eta).final
        assert_close(one, other, rtol=1e-9, atol=1e-10)


@functools.cache
def exact_clouds(make):
    """Twelve of 3,000 exact draws, and the distances W1 of all pairs of them."""
    clouds = [cloud(make(), 3000, 1e-3, seed) for seed in range(12)]
    pairs = itertools.combinations(clouds, 2)
    return clouds, torch.tensor([wasserstein1(a, b) for a, b in pairs], dtype=torch.float64)


@unchecked
@pytest.mark.parametrize("make", [problems.trimodal, problems.two_atoms, problems.unequal])
@pytest.mark.parametrize("steps", at_length([5, 50, 500], [5, 50]))
def test_exact_kernel_has_one_law_in_five_steps_and_in_five_hundred(steps, make):
    """Mode weights within 4 binomial errors, W1 within 4 deviations of its null.

    W1 is the mean over all exact clouds: of one pair it is skewed, and seldom is beyond that.
    """
    n, problem = 3000, make()
    prior = problem.prior
    if isinstance(prior, Empirical):
        modes = GaussianMixture.isotropic(prior.atoms, std=0.3)
    else:
        modes = prior
    exact, null = exact_clouds(make)
    weights = mode_weights(torch.cat(exact), modes)[0]
    path = exact_kernel(
        problem.posterior,
        problem.schedule,
        cloud(problem, n, 1.0, 77),
        times(problem.schedule, steps),
        generator=seeded(steps),
    )
    share = mode_weights(path.final, modes)[0]
    error = (weights * (1 - weights) / n).sqrt() * (1 + 1 / 12) ** 0.5
    assert ((share - weights).abs() <= 4 * error + 1 / n).all()
    distance = sum(wasserstein1(path.final, one) for one in exact) / len(exact)
    assert distance < null.mean() + 4 * null.std()


def test_exact_kernel_keeps_the_law_on_the_way():
    """The cloud has the law of p(x_t | y) at each time, and not only at the end."""
    n, problem = 4000, problems.unequal()
    path = exact_kernel(
        problem.posterior, VP(), cloud(problem, n), times(VP(), 6), generator=seeded(3)
    )
    for t, x in zip(path.t, path.x, strict=True):
        exact = torch.cat([problem.posterior.sample(n, t, generator=seeded(i)) for i in range(9)])
        for f in (torch.abs, torch.square, torch.sin):
            a, b = f(x), f(exact)
            error = (a.var() / n + b.var() / (9 * n)).sqrt()
            assert (a.mean() - b.mean()).abs() < 4 * error


def test_exact_kernel_in_one_step_to_time_zero_draws_atoms():
    """stop = 0 is allowed: the end is x_0 itself, with the posterior's weights."""
    problem, n = problems.two_atoms(), 20_000
    t = times(problem.schedule, 1, stop=0.0, spacing="time")
    path = exact_kernel(problem.posterior, VP(), cloud(problem, n), t, generator=seeded(0))
    assert torch.isin(path.final, problem.prior.atoms).all()
    share = float((path.final > 0).double().mean())
    weight = float(problem.posterior.prior.weights[1])
    assert abs(share - weight) < 4 * math.sqrt(weight * (1 - weight) / n)


@pytest.mark.parametrize(
    "run", ["ddpm, eta = 1", "ddim", "dpm_solver, eta = 0", "dpm_solver, eta = 1"]
)
def test_the_last_step_to_time_zero_is_the_denoiser(run):
    problem = problems.unequal()
    t = times(problem.schedule, 30, stop=0.0, spacing="time")
    path = RUNS[run](problem.posterior, VP(), cloud(problem, 20), t, generator=seeded(0))
    assert_close(path.final, problem.posterior.denoise(path.x[-2], t[-2]), rtol=1e-9, atol=1e-9)


@unchecked
@each_run
def test_every_integrator_reaches_the_posterior(run):
    """Two modes that are not equally heavy, 250 steps, 4,000 particles: W1 within 0.03.

    Two exact clouds of this size are 0.01 apart, and Euler-Maruyama's own error is 0.01 here.
    """
    problem = problems.unequal()
    x = cloud(problem, 4000)
    path = RUNS[run](problem.posterior, VP(), x, times(VP(), 250), generator=seeded(4))
    assert wasserstein1(path.final, cloud(problem, 4000, 1e-3, seed=9)) < 0.03


# Conduct


@each_run
def test_same_seed_same_numbers(run):
    problem = problems.unequal()
    x, t = cloud(problem, 30), times(VP(), 8)
    paths = [RUNS[run](problem.posterior, VP(), x, t, generator=seeded(s)) for s in (5, 5, 6)]
    assert torch.equal(paths[0].x, paths[1].x)
    noisy = run not in ("ddim", "heun", "dpm_solver, eta = 0")
    assert torch.equal(paths[0].x, paths[2].x) != noisy
    assert torch.equal(paths[0].x[0], x)
    assert torch.equal(paths[0].t, t)


@each_run
def test_a_cloud_in_float32_stays_in_float32(run):
    problem = problems.unequal()
    posterior = Diffusion(problem.posterior.prior.to(torch.float32), VP())
    x = VP().noise(30, 1, generator=seeded(0), dtype=torch.float32)
    path = RUNS[run](posterior, VP(), x, times(VP(), 8), generator=seeded(0))
    assert path.x.dtype == torch.float32
    assert path.x.isfinite().all()


@each_run
def test_a_lost_particle_stays_lost_and_is_counted(run):
    problem = problems.unequal()
    x = cloud(problem, 20)
    x[3] = math.nan
    with pytest.warns(RuntimeWarning, match="^1 of 20 particles diverged"):
        path = RUNS[run](problem.posterior, VP(), x, times(VP(), 8), generator=seeded(0))
    assert path.x[:, 3].isnan().all()
    assert path.diverged().nonzero().flatten().tolist() == [3]


@pytest.mark.parametrize("run", [r for r in RUNS if r != "exact_kernel"])
def test_a_score_that_explodes_is_not_masked(run):
    def score(x, t):
        return torch.where(x > 0, math.inf, -x)

    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        path = RUNS[run](
            score, VP(), x, torch.tensor([0.2, 0.19], dtype=torch.float64), generator=seeded(0)
        )
    assert not path.final[0].isfinite()
    assert "particles diverged" in str(caught[0].message)


@pytest.mark.parametrize("run", [r for r in RUNS if r != "exact_kernel"])
def test_any_function_is_a_score_and_is_asked_once_a_step(run):
    asked = []

    def score(x, t):
        asked.append(float(t))
        return -x

    x = VP().noise(4, 3, generator=seeded(0))
    t = times(VP(), 6)
    RUNS[run](score, VP(), x, t, generator=seeded(0))
    assert asked[:2] == [1.0, 1.0]  # a few rows, twice, to see that it is a score
    del asked[:2]
    if run == "heun":
        assert asked[0::2] == t[:-1].tolist()
        assert asked[1::2] == t[1:].tolist()
    else:
        assert asked == t[:-1].tolist()


# Grids


@each_schedule
@settings(max_examples=10)
@given(
    steps=st.integers(1, 60),
    start=st.floats(0.3, 0.99),
    stop=st.floats(-6, -1).map(lambda e: 10.0**e),
)
def test_grids_are_even(schedule, steps, start, stop):
    for spacing in ("log_snr", "time"):
        t = times(schedule, steps, start=start, stop=stop, spacing=spacing)
        assert t.shape == (steps + 1,)
        assert t.dtype == torch.float64
        assert t[0].item() == start
        assert t[-1].item() == stop
        assert (t.diff() < 0).all()
        even = (schedule.log_snr(t) if spacing == "log_snr" else t).diff()
        assert_close(even, torch.full_like(even, even.mean().item()), rtol=1e-6, atol=1e-9)


def test_a_grid_in_time_may_end_at_zero():
    t = times(VP(), 4, stop=0.0, spacing="time")
    assert t.tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]


# The defaults


RESOLVED = {problem.name: problem for problem in benchmark.problems()}


@unchecked
@pytest.mark.parametrize("name", at_length(RESOLVED, ["two_atoms", "unequal"]))
def test_the_defaults_come_as_near_as_chance_lets_anyone_see(name, monkeypatch):
    """50 scores, and two draws of the exact kernel; the benchmark asks it of 20,000 particles."""
    problem = RESOLVED[name]
    monkeypatch.setattr(benchmark, "N", 4000)
    monkeypatch.setattr(benchmark, "CLOUDS", 8)
    truths, floor = benchmark.reference(problem)
    for integrator, steps in ((dpm_solver, 50), (exact_kernel, 2)):
        found = benchmark.over_floor(problem, integrator, steps, "log_snr", truths, floor)
        assert found < 1.5
    default = times(problem.schedule)
    assert_close(default, times(problem.schedule, 50, stop=benchmark.STOP, spacing="log_snr"))


def test_heun_ends_at_0_with_a_step_of_euler():
    """As the other integrators do; a slope at t = 0 would divide by sigma = 0."""
    problem = problems.trimodal()
    grid = torch.cat([times(VP(), 40), torch.zeros(1, dtype=torch.float64)])
    x = VP().noise(300, 1, generator=seeded(0))
    path = heun(problem.posterior, VP(), x, grid)
    assert path.final.isfinite().all()
    euler = ddim(problem.posterior, VP(), path.x[-2], grid[-2:])
    assert_close(path.final, euler.final, rtol=1e-9, atol=1e-12)


def test_a_score_may_draw_random_numbers():
    """Guidance by Monte Carlo is a method, and what it draws differs from row to row."""
    x, noise = VP().noise(6, 2, generator=seeded(0)), seeded(1)

    def score(x, t):
        return -x + torch.randn(x.shape, generator=noise, dtype=x.dtype)

    assert ddim(score, VP(), x, times(VP(), 3)).final.isfinite().all()


def test_a_score_may_lose_a_particle():
    """NaN is a finding, also in the rows that are looked at before the run."""
    x = VP().noise(6, 2, generator=seeded(0))
    with pytest.warns(RuntimeWarning, match="6 of 6 particles diverged"):
        ddim(lambda x, t: x * torch.nan, VP(), x, times(VP(), 3))


def test_a_score_may_want_rows_in_groups():
    """One that fails for a few rows is not refused: it is asked for the whole cloud in the run."""
    x = VP().noise(6, 2, generator=seeded(0))
    found = ddim(lambda x, t: -x.reshape(-1, 3, 2).reshape(x.shape), VP(), x, times(VP(), 3))
    assert_close(found.final, ddim(lambda x, t: -x, VP(), x, times(VP(), 3)).final)
