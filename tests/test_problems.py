"""The gallery: every problem keeps the contract, and its truth is the truth."""

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from fsps_lite import (
    VE,
    VP,
    Cosine,
    Diffusion,
    Empirical,
    GaussianMixture,
    Likelihood,
    Linear,
    Nonlinear,
    Problem,
    blur,
    digits,
    downsample,
    euler_maruyama,
    exact_kernel,
    fourier_magnitude,
    mask,
    mode_weights,
    problems,
    times,
)
from fsps_lite.priors import panels
from tests.oracles import Line, at_length, gaussian_log_density, seeded, slope, vp

each_problem = pytest.mark.parametrize("make", problems.GALLERY, ids=lambda f: f.__name__)


# Conformance


@each_problem
def test_every_problem_keeps_the_contract(make):
    problem = make()
    assert problem.name == make.__name__
    assert 20 < len(problem.moral) <= 90
    assert "\n" not in problem.moral
    assert problem.moral.endswith(".")
    assert problem.prior.dtype == problem.likelihood.y.dtype == torch.float64
    assert problem.posterior is problem.posterior  # found once
    assert isinstance(problem.diffusion, Diffusion)
    assert problem.diffusion.prior is problem.prior
    x = problem.prior.sample(5, generator=seeded(0))
    assert x.shape == (5, problem.prior.dim)
    assert problem.likelihood.operator(x).shape == (5, len(problem.likelihood.y))
    assert problem.likelihood.log_prob(x).isfinite().all()


@each_problem
def test_every_posterior_is_finite_at_every_time(make):
    posterior = make().posterior
    for t in (1e-3, 0.1, 0.5, 1.0):
        x = posterior.sample(5, t, generator=seeded(0))
        far = 3 * x + 1
        for cloud in (x, far):
            assert posterior.score(cloud, t).isfinite().all()
            assert posterior.denoise(cloud, t).isfinite().all()
            assert posterior.log_prob(cloud, t).isfinite().all()


@each_problem
def test_every_problem_can_be_sampled(make):
    problem = make()
    schedule, d = problem.schedule, problem.prior.dim
    x = schedule.noise(6, d, generator=seeded(0))
    for run in (exact_kernel, euler_maruyama):
        path = run(problem.posterior, schedule, x, times(schedule, 4), generator=seeded(1))
        assert path.x.shape == (5, 6, d)
        assert not path.diverged().any()


@each_problem
def test_every_measurement_is_plausible(make):
    """y lies within reach of the prior: simulated measurements surround it."""
    problem = make()
    x = problem.prior.sample(500, generator=seeded(0))
    y = problem.likelihood.simulate(x, generator=seeded(1))
    assert (problem.likelihood.y >= y.amin(0) - 1).all()
    assert (problem.likelihood.y <= y.amax(0) + 1).all()


# The truth


def quadrature(problem, fn, kinks=()):
    prior, likelihood = problem.prior, problem.likelihood
    y, std = likelihood.y.item(), likelihood.noise_std
    return Line.mixture(
        prior.weights,
        prior.means[:, 0],
        prior.covs[:, 0, 0].sqrt(),
        lambda x: gaussian_log_density(y, fn(x), std**2),
        kinks,
    )


def agrees(problem, line, x, t):
    alpha, sigma = vp(t)
    log_prob, score, mean, variance = (torch.tensor(v) for v in line.at(x, alpha, sigma))
    x = torch.tensor(x).unsqueeze(-1)
    posterior = problem.posterior
    assert_close(posterior.score(x, t)[:, 0], score, rtol=1e-6, atol=1e-6)
    assert_close(posterior.log_prob(x, t), log_prob, rtol=1e-6, atol=1e-6)
    assert_close(posterior.denoise(x, t)[:, 0], mean, rtol=1e-6, atol=1e-6)
    assert_close(posterior.denoise_cov(x, t)[:, 0, 0], variance, rtol=1e-6, atol=1e-9)


TIMES = [1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0]  # at the first, panels are cut finer


FEW_TIMES = [1e-4, 1e-3, 0.03, 1.0]


@pytest.mark.parametrize("t", at_length(TIMES, FEW_TIMES))
@pytest.mark.parametrize("y", [1.0, 0.1, 2.5])
def test_square_is_the_quadrature(t, y):
    problem = problems.square(y=y)
    x = np.concatenate([vp(t)[0] * np.linspace(-1.9, 1.7, 25), np.linspace(-2, 2, 9) * vp(t)[1]])
    agrees(problem, quadrature(problem, np.square), x, t)


@pytest.mark.parametrize("t", at_length(TIMES, FEW_TIMES))
@pytest.mark.parametrize("y", [1.0, 0.1])
def test_absolute_is_the_quadrature_also_at_its_kink(t, y):
    problem = problems.absolute(y=y)
    x = np.concatenate([vp(t)[0] * np.linspace(-3.5, 2.5, 25), np.linspace(-3, 3, 9) * vp(t)[1]])
    agrees(problem, quadrature(problem, np.abs, kinks=[0.0]), x, t)


@pytest.mark.parametrize("t", at_length(TIMES, FEW_TIMES))
def test_a_kink_that_is_not_at_zero_and_a_jump(t):
    """Saturation at 0.37, and a threshold at -0.61: the quadrature is not told where they are."""

    def fn(x):
        return np.clip(x, None, 0.37) + (x > -0.61)

    operator = Nonlinear(lambda x: x.clamp(max=0.37) + (x > -0.61).to(x.dtype), "saturation")
    prior = problems.trimodal().prior
    y = torch.tensor([0.5], dtype=torch.float64)
    problem = Problem("saturation", prior, Likelihood(operator, y, 0.4))
    x = vp(t)[0] * np.linspace(-2.2, 2.6, 31)
    near = [place + d * vp(t)[1] for place in (0.37, -0.61) for d in (-1, 0, 1)]
    agrees(problem, quadrature(problem, fn, kinks=[0.37, -0.61]), np.append(x, near), t)


@pytest.mark.parametrize("noise_std", [0.3, 0.03, 0.003])
def test_square_with_little_noise(noise_std):
    problem = problems.square(noise_std=noise_std)
    root = np.array([-1.0, 1.0])
    line = quadrature(problem, np.square)
    fine = (root[:, None] + noise_std / 2 * np.linspace(-12, 12, 97)).ravel()
    line.breaks = np.concatenate([line.breaks, fine])
    for t in (1e-3, 0.1, 1.0):
        x = vp(t)[0] * root[:, None] + vp(t)[1] * np.array([-2, 0, 1])
        agrees(problem, line, x.ravel(), t)


def test_square_with_a_measurement_beyond_the_prior():
    """y = 9 wants x = 3, thirteen deviations from the nearest mode: the tail decides."""
    problem = problems.square(y=9.0)
    line = quadrature(problem, np.square)
    line.breaks = np.linspace(-4.5, 4.5, 601)
    for t in (0.01, 0.1, 1.0):
        x = torch.tensor([[0.5], [2.7], [2.85]], dtype=torch.float64) * vp(t)[0]
        score = torch.tensor(line.at(x, *vp(t))[1])
        assert_close(problem.posterior.score(x, t)[:, 0], score, rtol=1e-6, atol=1e-6)


def joint_in_40_digits(problem, fn):
    """p(x) p(y | x) but for a constant, every number as it stands, and fn by mpmath."""
    prior, y = problem.prior, mpmath.mpf(problem.likelihood.y.item())
    noise_std = mpmath.mpf(problem.likelihood.noise_std)
    stds = prior.covs[:, 0, 0].sqrt()
    parts = [
        [*map(mpmath.mpf, row)]
        for row in zip(*map(tolist, (prior.weights, prior.means, stds)), strict=True)
    ]

    def joint(x):
        density = mpmath.fsum(w * mpmath.npdf(x, mean, std) for w, mean, std in parts)
        return density * mpmath.exp(-(((y - fn(x)) / noise_std) ** 2) / 2)

    return joint


def tolist(values):
    return values.flatten().tolist()


def named(value):
    """The name of a function, and of others what they print: the same in every process."""
    return getattr(value, "__name__", str(value))


NARROW = [(problems.square, 5e-5), (problems.absolute, 1e-5), (problems.absolute, 1e-6)]
NARROWEST = [(problems.square, 1e-9), (problems.absolute, 1e-9)]


@pytest.mark.parametrize(
    ("make", "noise_std"),
    at_length(NARROW + NARROWEST, NARROW),
    ids=named,
)
def test_a_posterior_of_two_needles_has_its_weights(make, noise_std):
    """On a fixed grid square(noise_std=5e-5) had 0 of .2913 left of 0, absolute(1e-5) 1 of .0039.

    Needles of 1e-9 in 16 digits are places known to 1e-7 of their width.
    """
    problem, fn = make(noise_std=noise_std), {"square": lambda x: x * x, "absolute": abs}
    with mpmath.workdps(40):
        joint, steps = joint_in_40_digits(problem, fn[problem.name]), [-30, -10, -5, -2, 0]
        steps += [-k for k in steps[3::-1]]
        left, right = (
            mpmath.quad(joint, [side + k * mpmath.mpf(noise_std) for k in steps])
            for side in (-1, 1)
        )
        exact = float(left / (left + right))
    posterior = problem.posterior.prior
    assert len(posterior.atoms) < 20_000
    weight = float(posterior.weights[posterior.atoms[:, 0] < 0].sum())
    assert weight == pytest.approx(exact, rel=1e-9 if noise_std > 1e-7 else 1e-6)


def test_a_measurement_that_no_signal_explains():
    """y = -20 = x^2 leaves the least square, x = 0; y = 1,000 = |x| pulls the prior 500 away."""
    with mpmath.workdps(40):
        problem = problems.square(y=-20.0, noise_std=0.01)
        joint = joint_in_40_digits(problem, lambda x: x * x)
        ends = [k * 0.002 for k in range(-10, 11)]
        mass, square = (mpmath.quad(lambda x, k=k: joint(x) * x**k, ends) for k in (0, 2))
        exact = float(square / mass)
    posterior = problem.posterior.prior
    assert float(posterior.total_variance) == pytest.approx(exact, rel=1e-8)
    far = problems.absolute(y=1000.0).posterior.prior  # a Gaussian of 0.3 times one of 0.3
    assert float(far.weights @ far.atoms[:, 0]) == pytest.approx(-(1000 + 2) / 2, rel=1e-9)
    assert float(far.total_variance) == pytest.approx(0.3**2 / 2, rel=1e-6)


@pytest.mark.usefixtures("unchecked")
def test_a_line_that_takes_too_many_panels_is_refused(monkeypatch):
    wild = Nonlinear(lambda x: (1e5 * x).sin(), "wild")
    likelihood = Likelihood(wild, torch.zeros(1, dtype=torch.float64), 0.1)
    with pytest.raises(ValueError, match="16384 panels at most.*and more.*finite_sample"):
        _ = Problem("wild", problems.trimodal().prior, likelihood).posterior
    monkeypatch.setattr(panels, "GROWTHS", 2)
    with pytest.raises(ValueError, match="must die away at both ends of the line, got none from"):
        _ = problems.absolute(y=1000.0).posterior


SMALL = [(VE(), 1e-3), (Cosine(), 1e-8), (VE(), 0.01), (VP(), 1e-5)]
BENT = [(problems.square, 0.3), (problems.absolute, 0.3), (problems.square, 0.003)]


@pytest.mark.parametrize(("make", "noise_std"), BENT, ids=named)
@pytest.mark.parametrize(("schedule", "t"), at_length(SMALL, SMALL[:2]), ids=str)
def test_on_the_line_too_the_score_is_right_at_a_small_sigma(make, noise_std, schedule, t):
    """Where atoms would be seen one by one; for |x| also beside its kink."""
    problem, fn = make(noise_std=noise_std), {"square": lambda x: x * x, "absolute": abs}
    posterior = Diffusion(problem.posterior.prior, schedule)
    alpha, sigma = (mpmath.mpf(float(v)) for v in (schedule.alpha(t), schedule.sigma(t)))
    x = posterior.sample(3, t, generator=seeded(0))
    x = torch.cat([x, torch.full((1, 1), 0.5 * float(sigma), dtype=torch.float64)])
    x = x if problem.name == "absolute" else x[:3]
    with mpmath.workdps(40):
        joint, exact = joint_in_40_digits(problem, fn[problem.name]), []
        for place in map(mpmath.mpf, tolist(x)):
            near = lambda c, x=place: joint(c) * mpmath.exp(-(((alpha * c - x) / sigma) ** 2) / 2)  # noqa: E731
            pull = lambda c, x=place, near=near: near(c) * (alpha * c - x) / sigma**2  # noqa: E731
            ends = {(place + k * sigma) / alpha for k in range(-14, 15, 2)}
            ends = sorted(ends | {mpmath.mpf(0)} if abs(place) < 14 * sigma else ends)
            exact.append(float(mpmath.quad(pull, ends) / mpmath.quad(near, ends)))
    exact = torch.tensor(exact, dtype=torch.float64)[:, None]
    found = posterior.score(x, t)
    assert_close(found, exact, rtol=0, atol=1e-6 * float(exact.abs().max()))


def test_draws_near_the_data_are_of_the_density_and_not_of_its_atoms():
    posterior = problems.square().posterior
    x, t = torch.full((20_000, 1), 0.9, dtype=torch.float64), 1e-5
    draws = posterior.sample_denoised(x, t, generator=seeded(0))
    known = posterior.at(x[:1], t)
    std = float(known.cov.sqrt())
    assert std == pytest.approx(float(VP().sigma(t)), rel=1e-2)
    assert float(draws.mean() - known.mean) == pytest.approx(0.0, abs=5 * std / 20_000**0.5)
    assert float(draws.std()) == pytest.approx(std, rel=0.03)
    assert len(draws.unique()) > 30  # an eighth of sigma apart


@pytest.mark.usefixtures("unchecked")
def test_a_sigma_at_which_a_density_has_no_digits_left_is_refused():
    posterior = problems.square().posterior
    with pytest.raises(ValueError, match="`sigma` must be larger, got 3.16.*where sigma"):
        posterior.score(torch.zeros(1, 1, dtype=torch.float64), 1e-15)


LINEAR = [problems.gaussian, problems.trimodal, problems.unequal]


@settings(max_examples=10)
@pytest.mark.parametrize("make", LINEAR, ids=lambda f: f.__name__)
@given(t=st.floats(-3, 0).map(lambda e: 10.0**e), y=st.floats(-2, 2))
def test_linear_problems_are_the_quadrature(make, t, y):
    problem = make(y=y)
    line = quadrature(problem, lambda x: x)
    places = problem.posterior.prior.means[:, 0].numpy()
    agrees(problem, line, vp(t)[0] * np.concatenate([places, places + 0.2, places - 0.4]), t)


def test_a_plane_by_quadrature_is_the_closed_form():
    """The same likelihood called Nonlinear: a grid instead of the mixture's own posterior.

    Exact to 1e-6 where sigma(t) exceeds the grid's spacing of 0.011: from t = 0.01 on.
    """
    exact = problems.one_coordinate()
    twin = Problem(
        "twin",
        exact.prior,
        Likelihood(Nonlinear(lambda x: x[..., :1], "first"), exact.likelihood.y, 0.4),
    )
    for t in (0.01, 0.1, 1.0):
        x = exact.posterior.sample(8, t, generator=seeded(0))
        for name in ("score", "denoise", "log_prob"):
            one, other = (getattr(p.posterior, name)(x, t) for p in (twin, exact))
            assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("noise_std", [0.02, 0.003])
def test_a_plane_with_little_noise_is_the_closed_form(noise_std):
    """The spacing begins with 0.017: a noise of 0.003 moved a mean from -.0345 to -.0222."""
    prior = GaussianMixture.isotropic(problems.one_coordinate().prior.means, std=0.4)
    y, row = torch.tensor([0.4], dtype=torch.float64), torch.tensor([[0.9, 0.2]]).double()
    bent = Nonlinear(lambda x: x @ row.mT, "row")
    twin, exact = (Problem("p", prior, Likelihood(A, y, noise_std)) for A in (bent, Linear(row)))
    atoms = twin.posterior.prior
    wanted = exact.posterior.prior.weights @ exact.posterior.prior.means
    assert_close(atoms.weights @ atoms.atoms, wanted, rtol=0, atol=1e-9)
    assert len(atoms.atoms) < 2**20
    for t in (0.03, 1.0):
        x = exact.posterior.sample(8, t, generator=seeded(0))
        assert_close(twin.posterior.score(x, t), exact.posterior.score(x, t), rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("unchecked")
def test_a_plane_that_takes_too_many_points_is_refused():
    exact = problems.one_coordinate()
    first = Nonlinear(lambda x: x[..., :1], "first")
    problem = Problem("thin", exact.prior, Likelihood(first, exact.likelihood.y, 1e-5))
    with pytest.raises(ValueError, match="1,048,576 points.*raise `noise_std`.*finite_sample"):
        _ = problem.posterior


@pytest.mark.parametrize("y", [-1.5, 0.3, 2.0])
def test_two_atoms_are_one_number(y):
    posterior = problems.two_atoms(y=y, noise_std=0.5).posterior
    weight = 1 / (1 + np.exp(-2 * y / 0.25))
    assert_close(posterior.prior.weights[1].item(), weight, rtol=1e-12, atol=0.0)


def test_unequal_has_a_broad_rare_mode_and_a_narrow_common_one():
    prior = problems.unequal().prior
    broad, narrow = prior.covs.flatten().sqrt().tolist()
    assert broad > 3 * narrow
    assert_close(prior.weights, torch.tensor([0.2, 0.8], dtype=torch.float64))


def test_gaussian_is_the_shrinkage_formula():
    posterior = problems.gaussian(prior_std=2.0, y=3.0, noise_std=0.5).posterior.prior
    assert_close(posterior.covs.item(), 1 / (1 / 4 + 1 / 0.25))
    assert_close(posterior.means.item(), 3.0 * 4 / 4.25)


def test_rank_deficient_sees_one_direction_only():
    problem = problems.rank_deficient()
    assert torch.linalg.matrix_rank(problem.likelihood.operator.matrix) == 1
    prior, posterior = problem.prior.covs, problem.posterior.prior.covs
    assert (torch.linalg.eigvalsh(prior - posterior) > -1e-12).all()
    # what the operator does not see, and is not correlated with what it sees, keeps its spread
    assert_close(posterior[1, 2, 2], prior[1, 2, 2])
    unseen = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)
    assert_close(unseen @ posterior[1] @ unseen, unseen @ prior[1] @ unseen)


def test_a_nonlinear_problem_of_three_dimensions_says_what_is_known():
    prior = problems.rank_deficient().prior
    likelihood = Likelihood(
        Nonlinear(lambda x: x[..., :1] ** 2, "s"), torch.ones(1, dtype=torch.float64), 0.3
    )
    problem = Problem("cube", prior, likelihood)
    with pytest.raises(ValueError, match="d <= 2 only, got d = 3.*problem.finite_sample"):
        _ = problem.posterior
    assert problem.finite_sample(50, generator=seeded(0)).prior.effective_size > 1


# The finite-sample posterior


def test_finite_sample_is_the_prior_by_n_draws():
    problem = problems.square()
    lens = problem.finite_sample(200, generator=seeded(3))
    atoms = Empirical.from_samples(problem.prior.sample(200, generator=seeded(3)))
    wanted = atoms.condition(problem.likelihood)
    assert torch.equal(lens.prior.atoms, wanted.atoms)
    assert torch.equal(lens.prior.log_weights, wanted.log_weights)
    assert lens.schedule == problem.schedule


@pytest.mark.parametrize("most", at_length([10_000, 100_000], [10_000]))
@pytest.mark.parametrize("make", [problems.trimodal, problems.square], ids=["trimodal", "square"])
def test_finite_sample_score_converges_like_one_over_root_n(make, most):
    """Root-mean-square error over 24 draws of the atoms, N from 100 on."""
    problem, t = make(), 0.3
    x = problem.posterior.sample(24, t, generator=seeded(0))
    truth = problem.posterior.score(x, t)
    sizes, errors = [n for n in (100, 1000, 10_000, 100_000) if n <= most], []
    for n in sizes:
        draws = [problem.finite_sample(n, generator=seeded(s)).score(x, t) for s in range(24)]
        errors.append(float((torch.stack(draws) - truth).square().mean().sqrt()))
    assert abs(slope(sizes, errors) - 0.5) < 0.08


# The digits


OPERATORS = {
    problems.digits_masked: mask(torch.arange(64) >= 32),
    problems.digits_downsampled: downsample(8, 2),
    problems.digits_blurred: blur(8, 1.5),
    problems.digits_fourier: fourier_magnitude(8),
}


@pytest.mark.parametrize("make", OPERATORS, ids=lambda f: f.__name__)
def test_a_digit_is_measured_with_the_stated_noise(make):
    problem, image = make(index=3), digits.load().held_out[3]
    residual = (problem.likelihood.y - OPERATORS[make](image)) / problem.likelihood.noise_std
    m = len(residual)
    # chi-squared with m degrees of freedom, within 4 deviations
    assert abs(float(residual.square().sum()) - m) < 4 * (2 * m) ** 0.5
    assert torch.equal(problem.likelihood.y, make(index=3).likelihood.y)
    assert not torch.equal(problem.likelihood.y, make(index=4).likelihood.y)
    assert problem.posterior.prior.effective_size < 1700


def test_the_schedule_of_a_problem_is_the_papers():
    assert problems.trimodal().schedule == VP(0.01, 20.0)
    assert problems.trimodal().likelihood.y.item() == -1.8
    assert problems.trimodal().prior.means.flatten().tolist() == [-1.8, 0.2, 2.2]
    assert isinstance(problems.trimodal().prior, GaussianMixture)
    assert isinstance(problems.trimodal().likelihood.operator, Linear)


def test_the_posterior_follows_a_measurement_that_is_written_into():
    problem = problems.trimodal()
    assert problem.posterior is problem.posterior
    before = problem.posterior.prior.weights
    problem.likelihood.y.add_(2.0)
    fresh = problems.trimodal(y=float(problem.likelihood.y))
    assert_close(problem.posterior.prior.weights, fresh.posterior.prior.weights)
    assert (problem.posterior.prior.weights - before).abs().max() > 0.5


def test_equal_atoms_are_one_mode():
    atoms = torch.tensor([[1.0], [-1.0], [1.0], [3.0]], dtype=torch.float64)
    likelihood = Likelihood(Linear(torch.eye(1, dtype=torch.float64)), atoms[0], 0.5)
    problem = Problem("equal", Empirical.from_samples(atoms), likelihood)
    assert problem.modes.means.tolist() == [[1.0], [-1.0], [3.0]]
    shares, _ = mode_weights(atoms, problem.modes)
    assert shares.tolist() == [0.5, 0.25, 0.25]


def test_one_atom_is_one_mode():
    atoms = torch.full((3, 1), 2.0, dtype=torch.float64)
    likelihood = Likelihood(Linear(torch.eye(1, dtype=torch.float64)), atoms[0], 0.5)
    for prior in (Empirical.from_samples(atoms), Empirical.from_samples(atoms[:1])):
        modes = Problem("one", prior, likelihood).modes
        assert mode_weights(atoms, modes)[0].tolist() == [1.0]
