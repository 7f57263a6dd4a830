"""What a score believes: densities against their own, errors against quadrature."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from torch.testing import assert_close

from fsps_lite import (
    DPS,
    TMPD,
    VP,
    Diffusion,
    Estimate,
    GaussianMixture,
    Likelihood,
    Linear,
    PiGDM,
    ZetaDPS,
    covariance_ratio,
    implied_density,
    implied_spread,
    problems,
    score_error,
    times,
)
from tests.oracles import Line, gaussian_log_density, random_mixture_parts, seeded, slope, vp

TIMES = (0.05, 0.2, 0.5, 0.9)
each_time = pytest.mark.parametrize("t", TIMES)


def grid(points=4001, reach=7.0):
    return torch.linspace(-reach, reach, points, dtype=torch.float64)


# The density of a score


@each_time
@pytest.mark.parametrize("name", ["trimodal", "unequal", "two_atoms", "gaussian"])
def test_the_exact_score_belongs_to_the_exact_density(name, t):
    posterior = getattr(problems, name)().posterior
    x = grid()
    truth = posterior.log_prob(x[:, None], t).exp()
    assert_close(implied_density(posterior, x, t), truth, rtol=0, atol=1e-6 * float(truth.max()))


@each_time
@pytest.mark.parametrize("name", ["trimodal", "unequal", "two_atoms", "square"])
def test_a_guided_score_belongs_to_the_prior_times_its_stated_likelihood(name, t):
    problem = getattr(problems, name)()
    methods = [DPS] if name == "square" else [DPS, PiGDM, lambda *a: PiGDM(*a, data_var=math.inf)]
    x = grid()
    for method in methods:
        score = method(problem.diffusion, problem.likelihood)
        log_p = problem.diffusion.log_prob(x[:, None], t) + score.log_likelihood(x[:, None], t)
        p = np.exp(log_p.numpy() - log_p.numpy().max())
        truth = torch.from_numpy(p / (p.sum() * float(x[1] - x[0])))
        implied = implied_density(score, x, t)
        assert_close(implied, truth, rtol=0, atol=2e-6 * float(truth.max()))


def test_a_zeta_score_belongs_to_laplace_noise_up_to_its_kink():
    problem = problems.gaussian()
    score = ZetaDPS(problem.diffusion, problem.likelihood, zeta=0.3)
    x, t = grid(), 0.3
    log_p = problem.diffusion.log_prob(x[:, None], t) + score.log_likelihood(x[:, None], t)
    truth = log_p.softmax(0) / (x[1] - x[0])
    # the score jumps: a rule that takes it for continuous is wrong by one spacing there
    assert_close(implied_density(score, x, t), truth, rtol=0, atol=0.01 * float(truth.max()))


def test_the_integral_is_of_fourth_order_in_the_spacing():
    posterior = problems.unequal().posterior
    points, errors = np.array([201, 401, 801, 1601]), []
    for n in points:
        x = grid(int(n), reach=4.0)
        truth = posterior.log_prob(x[:, None], 0.1).exp()
        errors.append(float((implied_density(posterior, x, 0.1) - truth).abs().max()))
    assert slope(points, errors) == pytest.approx(4.0, abs=0.3)


@pytest.mark.parametrize("method", [DPS, PiGDM, TMPD])
def test_the_density_integrates_to_one(method):
    problem = problems.trimodal()
    x = grid()
    p = implied_density(method(problem.diffusion, problem.likelihood), x, 0.2)
    assert float(p.sum() * (x[1] - x[0])) == pytest.approx(1.0, abs=1e-12)


@each_time
def test_implied_spread_of_dps_on_a_gaussian(t):
    s0, y, noise = 1.5, 0.7, 0.5
    problem = problems.gaussian(prior_std=s0, y=y, noise_std=noise)
    alpha, sigma = vp(t)
    marginal = alpha**2 * s0**2 + sigma**2
    gain = alpha * s0**2 / marginal  # m = gain x, and DPS adds the precision of y seen through m
    expected = (1 / marginal + gain**2 / noise**2) ** -0.5
    score = DPS(problem.diffusion, problem.likelihood)
    assert implied_spread(score, grid(), t) == pytest.approx(expected, rel=1e-8)
    truth = (alpha**2 / (1 / s0**2 + 1 / noise**2) + sigma**2) ** 0.5
    assert implied_spread(problem.posterior, grid(), t) == pytest.approx(truth, rel=1e-8)


@pytest.mark.usefixtures("unchecked")
def test_implied_density_answers_a_wrong_grid_with_the_right_call():
    posterior = problems.gaussian().posterior
    call = "Call it like this: implied_density"
    with pytest.raises(ValueError, match=rf"`x` must have shape \(G,\).*{call}"):
        implied_density(posterior, grid()[:, None], 0.3)
    with pytest.raises(TypeError, match=f"`x` must have a floating dtype.*{call}"):
        implied_density(posterior, torch.arange(-5, 5), 0.3)
    uneven = grid(101) ** 3 / 49
    with pytest.raises(ValueError, match=f"`x` must be evenly spaced.*{call}"):
        implied_density(posterior, uneven, 0.3)


# The error of a score


def errors_by_quadrature(posterior, score, t, points=20_001, reach=9.0):
    """Mean and variance of |score - exact score|^2 under p(x_t | y), and E |exact score|^2."""
    x = torch.linspace(-reach, reach, points, dtype=torch.float64)[:, None]
    mass = posterior.log_prob(x, t).exp()
    mass = mass / mass.sum()
    truth = posterior.score(x, t)
    square = (score(x, t) - truth).square().sum(-1)
    mean = float((mass * square).sum())
    size = float((mass * truth.square().sum(-1)).sum())
    return mean, float((mass * square**2).sum()) - mean**2, size


def test_the_exact_score_has_no_error():
    for problem in (problems.trimodal(), problems.one_coordinate()):
        t = times(problem.schedule, 20)
        found = score_error(problem.posterior, problem.posterior, t, n=50, generator=seeded(0))
        assert float(found.error.max()) == 0
        assert found.path_kl == Estimate(0.0, 0.0)


@pytest.mark.parametrize("method", [DPS, PiGDM, TMPD])
def test_score_error_is_what_quadrature_finds(method):
    problem = problems.unequal()
    score = method(problem.diffusion, problem.likelihood)
    t = torch.tensor([0.9, 0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    n = 4000
    found = score_error(score, problem.posterior, t, n=n, generator=seeded(1))
    for i, time in enumerate(t):
        mean, variance, size = errors_by_quadrature(problem.posterior, score, time)
        assert float(found.error[i]) == pytest.approx(mean, abs=4 * (variance / n) ** 0.5)
        # |exact score|^2 is about a chi-square of one degree: its own error is 2.3 %
        assert float(found.relative[i]) == pytest.approx(
            mean / size, abs=4 * (variance / n) ** 0.5 / size + 4 * 0.03 * mean / size
        )


def gaussian_error(t, s0, y, noise):
    """E |DPS score - exact score|^2 under p(x_t | y) for the prior N(0, s0^2): all is Gaussian."""
    alpha, sigma = vp(t)
    marginal = alpha**2 * s0**2 + sigma**2
    gain = alpha * s0**2 / marginal
    kalman = s0**2 / (s0**2 + noise**2)
    mean, variance = alpha * kalman * y, alpha**2 * kalman * noise**2 + sigma**2
    # both scores are lines in x: DPS's  a x + b,  the exact  (mean - x) / variance
    factor = -1 / marginal - gain**2 / noise**2 + 1 / variance
    constant = gain * y / noise**2 - mean / variance
    return (factor * mean + constant) ** 2 + factor**2 * variance


@pytest.mark.usefixtures("unchecked")
def test_score_error_and_path_kl_of_dps_on_a_gaussian_are_closed_forms():
    s0, y, noise, n = 1.5, 0.7, 0.5, 2000
    problem = problems.gaussian(prior_std=s0, y=y, noise_std=noise)
    t = times(problem.schedule, 200, stop=0.01)
    score = DPS(problem.diffusion, problem.likelihood)
    found = score_error(score, problem.posterior, t, n=n, generator=seeded(2))
    expected = np.array([gaussian_error(float(s), s0, y, noise) for s in t])
    # the square of a Gaussian varies by at most sqrt(2) of its mean (+ 4 sigma)
    assert_close(found.error, torch.from_numpy(expected), rtol=4 * (2 / n) ** 0.5, atol=0)
    rate = 0.01 + (20.0 - 0.01) * t.numpy()  # beta(t), by which VP diffuses
    density = 0.5 * rate * expected
    assert_close(found.path_kl_density, torch.from_numpy(density), rtol=4 * (2 / n) ** 0.5, atol=0)
    path_kl = -trapezoid(density, t.numpy())
    assert found.path_kl.value == pytest.approx(path_kl, abs=4 * found.path_kl.error)
    assert 0 < found.path_kl.error < 0.05 * path_kl
    fine = np.linspace(0.01, 1, 4001)
    whole = [gaussian_error(s, s0, y, noise) * 0.5 * (0.01 + 19.99 * s) for s in fine]
    assert path_kl == pytest.approx(trapezoid(whole, fine), rel=0.002)  # the grid was enough


@pytest.mark.usefixtures("unchecked")
def test_the_stated_error_of_path_kl_is_its_scatter_over_seeds():
    problem = problems.unequal()
    score = DPS(problem.diffusion, problem.likelihood)
    t = times(problem.schedule, 20, stop=0.02)
    found = [
        score_error(score, problem.posterior, t, n=200, generator=seeded(s)).path_kl
        for s in range(30)
    ]
    scatter = torch.tensor([f.value for f in found]).std()
    stated = torch.tensor([f.error for f in found]).mean()
    # the deviation of 30 numbers is known to 13 %
    assert float(scatter / stated) == pytest.approx(1.0, abs=4 * 0.13)


@pytest.mark.usefixtures("unchecked")
def test_path_kl_integrates_its_density_in_either_direction_of_time():
    problem = problems.trimodal()
    score = TMPD(problem.diffusion, problem.likelihood)
    t = times(problem.schedule, 30, stop=0.02)
    down, up = (
        score_error(score, problem.posterior, s, n=50, generator=seeded(0)) for s in (t, t.flip(0))
    )
    area = -torch.trapezoid(down.path_kl_density, t)
    assert down.path_kl.value == pytest.approx(float(area), rel=1e-12)
    assert up.path_kl.value == pytest.approx(down.path_kl.value, rel=1e-12)


def test_score_error_in_the_plane_sums_over_coordinates():
    problem = problems.one_coordinate()
    shifted = lambda x, t: problem.posterior.score(x, t) + torch.tensor([1.0, -2.0]).double()  # noqa: E731
    t = torch.tensor([0.5, 0.2], dtype=torch.float64)
    found = score_error(shifted, problem.posterior, t, n=10, generator=seeded(0))
    assert_close(found.error, torch.full_like(t, 5.0))
    assert found.path_kl.error == pytest.approx(0.0, abs=1e-12)


def test_a_score_that_diverges_is_seen():
    problem = problems.gaussian()
    t = torch.tensor([0.5, 0.2], dtype=torch.float64)
    broken = lambda x, t: x * math.nan  # noqa: E731
    found = score_error(broken, problem.posterior, t, n=10, generator=seeded(0))
    assert found.error.isnan().all()
    assert math.isnan(found.path_kl.value)


@pytest.mark.usefixtures("unchecked")
def test_wrong_numbers_of_draws_are_answered_with_the_right_call():
    problem = problems.gaussian()
    score = DPS(problem.diffusion, problem.likelihood)
    t = times(problem.schedule, 5)
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match="`n` must be a whole number.*score_error"):
            score_error(score, problem.posterior, t, n=wrong, generator=seeded(0))
        with pytest.raises(ValueError, match="`n` must be a whole number.*covariance_ratio"):
            covariance_ratio(score, problem.posterior, 0.3, n=wrong, generator=seeded(0))


# The covariance that a method assumes


def correlated():
    """A Gaussian prior and a measurement of which nothing is round."""
    _, means, covs = random_mixture_parts(7, k=1, d=3)
    prior = GaussianMixture(torch.zeros(1).double(), means, covs)
    matrix = torch.randn(2, 3, generator=seeded(8), dtype=torch.float64)
    likelihood = Likelihood(Linear(matrix), torch.tensor([0.3, -0.4]).double(), 0.5)
    return Diffusion(prior, VP()), likelihood


@each_time
def test_covariance_ratio_is_0_for_dps_1_for_tmpd_and_closed_form_for_pigdm(t):
    prior, likelihood = correlated()
    posterior = Diffusion(prior.prior.condition(likelihood), prior.schedule)

    def ratio(method):
        return covariance_ratio(method, posterior, t, n=20, generator=seeded(0))

    assert ratio(DPS(prior, likelihood)) == 0
    assert ratio(TMPD(prior, likelihood)) == 1
    alpha, sigma = vp(t)
    covariance, matrix = prior.prior.covs[0].numpy(), likelihood.operator.matrix.numpy()
    inside = np.linalg.inv(np.linalg.inv(covariance) + alpha**2 / sigma**2 * np.eye(3))
    assumed = 1 / (1 / 0.4 + alpha**2 / sigma**2) * matrix @ matrix.T
    expected = np.trace(assumed) / np.trace(matrix @ inside @ matrix.T)
    assert ratio(PiGDM(prior, likelihood, data_var=0.4)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.usefixtures("unchecked")
def test_covariance_ratio_averages_over_the_true_posterior():
    problem = problems.unequal()
    t, (alpha, sigma) = 0.2, vp(0.2)
    prior = Line.mixture((0.2, 0.8), (-1.0, 1.2), (0.5, 0.15))
    posterior = Line.mixture(
        (0.2, 0.8), (-1.0, 1.2), (0.5, 0.15), lambda x: gaussian_log_density(0.2, x, 0.36)
    )
    x = np.linspace(-4, 4, 81)
    mass = np.exp(posterior.at(x, alpha, sigma)[0])
    variance = prior.at(x, alpha, sigma)[3]
    r2 = 1 / (1 + alpha**2 / sigma**2)
    expected = r2 / (mass @ variance / mass.sum())
    method = PiGDM(problem.diffusion, problem.likelihood)
    found = [
        covariance_ratio(method, problem.posterior, t, n=500, generator=seeded(s))
        for s in range(20)
    ]
    error = float(torch.tensor(found).std()) / 20**0.5
    assert np.mean(found) == pytest.approx(expected, abs=4 * error + 0.002 * expected)


def test_covariance_ratio_needs_a_matrix():
    problem = problems.square()
    score = DPS(problem.diffusion, problem.likelihood)
    with pytest.raises(ValueError, match="Linear operator"):
        covariance_ratio(score, problem.posterior, 0.3, n=10, generator=seeded(0))
