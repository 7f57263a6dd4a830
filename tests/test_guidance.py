"""Guided scores against their definition: moments by quadrature, derivatives by differences.

The definition knows nothing of the library. It holds the covariance V of a method fixed at x and
differentiates log N(y; A(m), A V A' + noise) through the mean m = E[x_0 | x_t] alone.
"""

import functools
import math
import warnings

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import cg
from torch.testing import assert_close

from fsps_lite import (
    DPS,
    TMPD,
    VP,
    Denoiser,
    DiagonalTMPD,
    Diffusion,
    Empirical,
    GaussianMixture,
    Likelihood,
    Linear,
    Nonlinear,
    PiGDM,
    StepDPS,
    ZetaDPS,
    ddpm,
    diagnose,
    euler_maruyama,
    matched_log_likelihood,
    matched_score,
    problems,
    times,
)
from fsps_lite.types import PosteriorScore
from tests.oracles import (
    Line,
    assert_near,
    at_length,
    atoms_at,
    condition,
    mixture_at,
    random_mixture_parts,
    rounding,
    seeded,
    vp,
)

TIMES = (0.02, 0.05, 0.15, 0.35, 0.6, 0.95)
SLOPE, OFFSET, Y, NOISE = 1.3, 0.4, 0.7, 0.45
WEIGHTS, MEANS, STDS = (0.15, 0.6, 0.25), (-1.1, 0.3, 1.2), (0.35, 0.15, 0.25)

METHODS = {
    "DPS": DPS,
    "PiGDM, 1": PiGDM,
    "PiGDM, 0.3": lambda *a: PiGDM(*a, data_var=0.3),
    "PiGDM, inf": lambda *a: PiGDM(*a, data_var=math.inf),
    "TMPD": TMPD,
    "DiagonalTMPD": DiagonalTMPD,
    "ZetaDPS": lambda *a: ZetaDPS(*a, zeta=0.4),
}
OF_ANY_OPERATOR = ("DPS", "ZetaDPS")
STATED = [name for name in METHODS if "TMPD" not in name]  # whose V does not depend on x
each_method = pytest.mark.parametrize("method", METHODS)
each_time = pytest.mark.parametrize("t", at_length(TIMES, TIMES[::2]))


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


# The definition, in NumPy


def spread(method, t, cov, matrix):
    """A V A', by what each method says V is."""
    alpha, sigma = vp(t)
    if method == "DPS":
        return np.zeros((len(matrix), len(matrix)))
    if "PiGDM" in method:
        data_var = float(method.split(", ")[1])
        # a Gaussian of this variance, seen through alpha x_0 + sigma eps
        V = 1 / (1 / data_var + alpha**2 / sigma**2) * np.eye(len(cov))
        return matrix @ V @ matrix.T
    full = matrix @ cov @ matrix.T
    return np.diag(full.sum(1)) if method == "DiagonalTMPD" else full


def brute_force(method, t, x, moments, likelihood, reach):
    """The likelihood score at one x: central differences of fourth order, V held fixed."""
    matrix = np.asarray(likelihood.operator.matrix)
    offset = 0.0 if likelihood.operator.offset is None else np.asarray(likelihood.operator.offset)
    y, noise = np.asarray(likelihood.y), np.asarray(likelihood.noise_cov)
    inverse = np.linalg.inv(spread(method, t, moments(x)[1], matrix) + noise)

    def log_guess(x):
        r = y - matrix @ moments(x)[0] - offset
        if method == "ZetaDPS":
            return -2 * 0.4 * np.sqrt(r @ r) / noise[0, 0]
        return -0.5 * r @ inverse @ r

    return differences(log_guess, x, reach)


def differences(fn, x, h):
    """The gradient of ``fn`` at ``x``, to h^4."""
    return np.array(
        [
            (8 * (fn(x + e) - fn(x - e)) - fn(x + 2 * e) + fn(x - 2 * e)) / (12 * h)
            for e in h * np.eye(len(x))
        ]
    )


def scale(t, apart=3.0):
    """A step that is small against sigma, and against the width of the change between modes."""
    alpha, sigma = vp(t)
    return 0.02 * min(sigma, sigma**2 / (alpha * apart))


def places(diffusion, t, n):
    """Points that x_t visits, and points of another spread."""
    x = diffusion.sample(n, t, generator=seeded(1))
    return torch.cat([x, 1.5 * x + 0.1])


def between(atoms, t):
    """Points halfway between atoms, where x_0 given x_t is in doubt also at small t."""
    alpha, sigma = vp(t)
    return alpha * (atoms + atoms.roll(1, 0)) / 2 + 0.02 * sigma**2


def close(actual, expected):
    """To 1e-5 of each entry, and of the largest where an entry crosses 0."""
    expected = torch.as_tensor(np.asarray(expected))
    assert_close(actual, expected, rtol=1e-5, atol=1e-7 * float(expected.abs().max()))


# Against the definition


@pytest.fixture(scope="module")
def line():
    """A problem on the line with unequal weights and an offset, and its quadrature."""
    prior = GaussianMixture.isotropic(
        tensor(*MEANS)[:, None], std=tensor(*STDS), weights=tensor(*WEIGHTS)
    )
    operator = Linear(tensor([SLOPE]), offset=tensor(OFFSET))
    likelihood = Likelihood(operator, tensor(Y), NOISE)
    return Diffusion(prior, VP()), likelihood, Line.mixture(WEIGHTS, MEANS, STDS)


def moments_by(quadrature, t):
    @functools.cache
    def at(x):
        mean, variance = quadrature.at(x, *vp(t))[2:]
        return mean, variance[:, None]

    return lambda x: at(x.item())


@each_time
def test_scores_are_their_definition_on_the_line(line, t):
    diffusion, likelihood, quadrature = line
    x, moments = places(diffusion, t, 3), moments_by(quadrature, t)
    for name, method in METHODS.items():
        expected = [brute_force(name, t, row, moments, likelihood, scale(t)) for row in x.numpy()]
        close(method(diffusion, likelihood).likelihood_score(x, t), expected)


@each_time
def test_a_nonlinear_operator_on_the_line(line, t):
    diffusion, _, quadrature = line
    likelihood = Likelihood(Nonlinear(lambda x: x**2 + 0.5 * x, "bent"), tensor(Y), NOISE)
    x, moments = places(diffusion, t, 3), moments_by(quadrature, t)

    def misfit(x):
        m = moments(x)[0]
        return (Y - m**2 - 0.5 * m).item()

    guesses = {
        "DPS": lambda x: -(misfit(x) ** 2) / (2 * NOISE**2),
        "ZetaDPS": lambda x: -2 * 0.4 * abs(misfit(x)) / NOISE**2,
    }
    for name, guess in guesses.items():
        expected = [differences(guess, row, scale(t)) for row in x.numpy()]
        close(METHODS[name](diffusion, likelihood).likelihood_score(x, t), expected)


def plane(m, *, atoms=False, correlated=True):
    """A problem in the plane, m measurements with an offset, and its moments as matrix inverses."""
    log_weights, means, covs = random_mixture_parts(3, k=3, d=2)
    matrix = tensor([0.8, -0.5], [0.3, 1.1])[:m]
    operator = Linear(matrix, offset=tensor(0.2, -0.4)[:m])
    noise = tensor([0.3, 0.1], [0.1, 0.2])[:m, :m]
    likelihood = Likelihood.with_cov(operator, tensor(0.5, -0.3)[:m], noise)
    if not correlated:
        likelihood = Likelihood(operator, likelihood.y, 0.5)
    if atoms:
        prior = Empirical(means, log_weights)
        return prior, likelihood, lambda x, *s: atoms_at(x, means, log_weights, *s)[2:]
    prior = GaussianMixture(log_weights, means, covs)
    return prior, likelihood, lambda x, *s: mixture_at(x, log_weights, means, covs, *s)[2:]


@each_time
@pytest.mark.parametrize("m", [1, 2])
@pytest.mark.parametrize("atoms", [False, True])
def test_scores_are_their_definition_in_the_plane(t, m, atoms):
    for name, method in METHODS.items():
        one_noise = name in ("ZetaDPS", "DiagonalTMPD")  # these know no correlated noise
        prior, likelihood, moments = plane(m, atoms=atoms, correlated=not one_noise)
        x = places(Diffusion(prior, VP()), t, 2)
        if atoms:
            x = torch.cat([x, between(prior.atoms, t)])
        at_t = lambda x: moments(x, *vp(t))  # noqa: E731, B023
        expected = [
            brute_force(name, t, row, at_t, likelihood, scale(t, apart=5.0)) for row in x.numpy()
        ]
        close(method(Diffusion(prior, VP()), likelihood).likelihood_score(x, t), expected)


# Against their own stated density


@each_time
@pytest.mark.parametrize("method", STATED)
@pytest.mark.parametrize("m", [1, 2])
def test_scores_are_the_gradient_of_their_stated_density(t, method, m):
    prior, likelihood, _ = plane(m, correlated=method != "ZetaDPS")
    guidance = METHODS[method](Diffusion(prior, VP()), likelihood)
    x = places(guidance.prior, t, 5).requires_grad_()
    (gradient,) = torch.autograd.grad(guidance.log_likelihood(x, t).sum(), x)
    assert_close(guidance.likelihood_score(x.detach(), t), gradient, rtol=1e-8, atol=1e-9)


@each_time
def test_tmpd_is_the_gradient_with_its_covariance_held_fixed_and_only_so(t):
    prior, likelihood, _ = plane(2)
    guidance = TMPD(Diffusion(prior, VP()), likelihood)
    x = places(guidance.prior, t, 5)
    held = x.clone().requires_grad_()
    fixed = matched_log_likelihood(
        guidance.prior, likelihood, held, t, guidance.prior.denoise_cov(x, t)
    )
    (gradient,) = torch.autograd.grad(fixed.sum(), held)
    score = guidance.likelihood_score(x, t)
    assert_close(score, gradient, rtol=1e-8, atol=1e-9)
    free = x.clone().requires_grad_()
    (whole,) = torch.autograd.grad(guidance.log_likelihood(free, t).sum(), free)
    # the derivative that TMPD drops is not small: on two atoms it is most of TMPD's error
    assert (whole - score).norm() > 1e-4 * score.norm()


@pytest.mark.parametrize("method", [n for n in METHODS if n != "ZetaDPS"])
def test_log_likelihood_is_a_normalised_gaussian(line, method):
    diffusion, likelihood, quadrature = line
    x, t = places(diffusion, 0.2, 3), 0.2
    mean, variance = quadrature.at(x.numpy(), *vp(t))[2:]
    for row, m, v in zip(x, mean, variance, strict=True):
        total = spread(method, t, np.array([[v]]), np.array([[SLOPE]])).item() + NOISE**2
        expected = -((Y - SLOPE * m - OFFSET) ** 2) / (2 * total)
        expected -= math.log(2 * math.pi * total) / 2
        guess = METHODS[method](diffusion, likelihood).log_likelihood(row, t)
        assert float(guess) == pytest.approx(expected, rel=1e-9)


def test_log_likelihood_in_the_plane_knows_its_determinant():
    prior, likelihood, moments = plane(2)
    x, t = tensor(0.3, -0.2), 0.3
    mean, cov = moments(x.numpy(), *vp(t))
    matrix = likelihood.operator.matrix
    centre = matrix @ torch.from_numpy(mean) + likelihood.operator.offset
    total = matrix @ torch.from_numpy(cov) @ matrix.mT + likelihood.noise_cov
    normal = torch.distributions.MultivariateNormal(centre, total)
    guess = TMPD(Diffusion(prior, VP()), likelihood).log_likelihood(x, t)
    assert_close(guess, normal.log_prob(likelihood.y), rtol=1e-10, atol=1e-10)


def test_a_zeta_score_has_the_likelihood_of_laplace_noise(line):
    diffusion, likelihood, quadrature = line
    x = places(diffusion, 0.2, 3)
    m = quadrature.at(x.numpy(), *vp(0.2))[2]
    expected = -2 * 0.4 / NOISE**2 * np.abs(Y - SLOPE * m - OFFSET)
    guess = ZetaDPS(diffusion, likelihood, zeta=0.4).log_likelihood(x, 0.2)
    assert_close(guess, torch.from_numpy(expected), rtol=1e-9, atol=1e-9)


# One family, two paths


@each_method
@each_time
@pytest.mark.parametrize("atoms", [False, True])
def test_the_closed_form_and_the_backward_pass_agree(method, t, atoms):
    prior, likelihood, _ = plane(2, atoms=atoms, correlated="PiGDM" in method or method == "TMPD")
    learned = Denoiser(prior.denoise, dim=2)
    x = places(Diffusion(prior, VP()), t, 10)
    closed, backward = (
        METHODS[method](Diffusion(p, VP()), likelihood).likelihood_score(x, t)
        for p in (prior, learned)
    )
    # a Jacobian that vanishes is a difference of larger numbers on both paths
    atol = 1e-10 * max(1.0, float(closed.abs().max()))
    assert_close(backward, closed, rtol=1e-10, atol=atol)


def test_the_three_published_methods_are_choices_of_one_covariance():
    prior, likelihood, _ = plane(2)
    diffusion = Diffusion(prior, VP())
    for t in TIMES:
        x = places(diffusion, t, 5)
        alpha, sigma = vp(t)
        choices = {
            "DPS": 0.0,
            "PiGDM, 1": sigma**2 / (sigma**2 + alpha**2),
            "PiGDM, inf": sigma**2 / alpha**2,
            "TMPD": diffusion.denoise_cov(x, t),
        }
        for name, V in choices.items():
            score = matched_score(diffusion, likelihood, x, t, V)
            method = METHODS[name](diffusion, likelihood)
            assert_close(method.likelihood_score(x, t), score, rtol=1e-13, atol=0)
            assert_close(method(x, t), diffusion.score(x, t) + score, rtol=1e-13, atol=0)
        as_matrix = matched_score(diffusion, likelihood, x, t, 0.7 * torch.eye(2).double())
        as_number = matched_score(diffusion, likelihood, x, t, 0.7)
        assert_close(as_number, as_matrix, rtol=1e-12, atol=0)


def test_diagonal_tmpd_is_tmpd_for_one_measurement_and_not_for_two():
    for m in (1, 2):
        prior, likelihood, _ = plane(m, correlated=False)
        diffusion = Diffusion(prior, VP())
        x = places(diffusion, 0.2, 5)
        diagonal, full = (k(diffusion, likelihood) for k in (DiagonalTMPD, TMPD))
        scores = diagonal.likelihood_score(x, 0.2), full.likelihood_score(x, 0.2)
        logs = diagonal.log_likelihood(x, 0.2), full.log_likelihood(x, 0.2)
        if m == 1:
            assert_close(*scores, rtol=1e-12, atol=1e-12)
            assert_close(*logs, rtol=1e-12, atol=1e-12)
        else:
            assert (scores[0] - scores[1]).norm() > 0.01 * scores[1].norm()


def test_diagonal_tmpd_refuses_noise_that_its_diagonal_would_forget():
    prior, likelihood, _ = plane(2)
    with pytest.raises(ValueError, match=r"DiagonalTMPD.*TMPD\(prior, likelihood\)"):
        DiagonalTMPD(Diffusion(prior, VP()), likelihood)


# Where a method is right


@each_time
def test_on_a_gaussian_prior_tmpd_is_exact_and_so_is_pigdm_with_its_variance(t):
    for std in (0.5, 1.0, 2.0):
        problem = problems.gaussian(prior_std=std)
        x = places(problem.posterior, t, 10)
        truth = problem.posterior.score(x, t)
        for method in (TMPD, lambda *a, v=std**2: PiGDM(*a, data_var=v)):
            score = method(problem.diffusion, problem.likelihood)(x, t)
            assert_close(score, truth, rtol=1e-12, atol=1e-12)
        song = PiGDM(problem.diffusion, problem.likelihood)(x, t)
        exact = bool(((song - truth).abs() < 1e-10 * truth.abs().max()).all())
        assert exact == (std == 1.0)


@each_time
def test_on_a_correlated_gaussian_prior_tmpd_is_exact(t):
    _, means, covs = random_mixture_parts(5, k=1, d=3)
    prior = GaussianMixture(tensor(0.0), means, covs)
    matrix = torch.randn(2, 3, generator=seeded(6), dtype=torch.float64)
    noise = tensor([0.3, 0.1], [0.1, 0.2])
    likelihood = Likelihood.with_cov(Linear(matrix, tensor(0.3, -0.2)), tensor(1.0, -1.0), noise)
    x = places(Diffusion(prior, VP()), t, 10)
    truth = Diffusion(prior.condition(likelihood), VP()).score(x, t)
    score = TMPD(Diffusion(prior, VP()), likelihood)(x, t)
    assert_close(score, truth, rtol=1e-11, atol=1e-11 * float(truth.abs().max()))


# zeta


def test_the_norm_of_zeta_dps_is_taken_for_each_particle():
    prior, likelihood, _ = plane(2, correlated=False)
    method = ZetaDPS(Diffusion(prior, VP()), likelihood, zeta=0.3)
    x = places(method.prior, 0.3, 5)
    together = method(x, 0.3)
    alone = torch.cat([method(row[None], 0.3) for row in x])
    assert_close(together, alone, rtol=1e-13, atol=1e-13)
    moved = x.clone()
    moved[0] += 100.0
    assert_close(method(moved, 0.3)[1:], together[1:], rtol=0, atol=0)


def test_zeta_is_a_plain_factor():
    prior, likelihood, _ = plane(2, correlated=False)
    x = places(Diffusion(prior, VP()), 0.3, 5)
    one, three = (ZetaDPS(Diffusion(prior, VP()), likelihood, zeta=z) for z in (1, 3))
    assert_close(3 * one.likelihood_score(x, 0.3), three.likelihood_score(x, 0.3))
    assert ZetaDPS(Diffusion(prior, VP()), likelihood).zeta == 1.0


def displacement(guidance, x, t):
    """J'A'r/|r|: minus the gradient of the misfit's norm, by one backward pass through all."""
    x = x.clone().requires_grad_()
    residual = guidance.likelihood.y - guidance.likelihood.operator(guidance.prior.denoise(x, t))
    return -torch.autograd.grad(residual.norm(dim=-1).sum(), x)[0]


@pytest.mark.parametrize("spacing", ["log_snr", "time"])
@pytest.mark.parametrize("nonlinear", [False, True])
def test_step_dps_displaces_each_euler_maruyama_step_by_zeta_and_nothing_else(spacing, nonlinear):
    prior, likelihood, _ = plane(2, correlated=False)
    if nonlinear:
        operator = Nonlinear(lambda x: x[..., :1] * x[..., 1:] + x[..., :1], "product")
        likelihood = Likelihood(operator, tensor(0.5), 0.5)
    schedule = VP()
    grid = times(schedule, 12, stop=0.02, spacing=spacing)
    method = StepDPS(Diffusion(prior, schedule), likelihood, zeta=0.05, grid=grid)
    start = schedule.noise(20, 2, generator=seeded(2))
    path = euler_maruyama(method, schedule, start, grid, generator=seeded(3))
    noise = seeded(3)
    for i, (t, s) in enumerate(zip(grid[:-1], grid[1:], strict=True)):
        x = path.x[i]
        z = torch.randn(x.shape, generator=noise, dtype=x.dtype)
        drift, diffusion = schedule.drift(t), schedule.diffusion(t)
        plain = x + (diffusion * method.prior.score(x, t) - drift * x) * (t - s)
        plain = plain + (diffusion * (t - s)).sqrt() * z
        expected = 0.05 * displacement(method, x, t)
        assert_close(path.x[i + 1] - plain, expected, rtol=1e-8, atol=1e-10)


def test_the_published_algorithm_moves_twice_as_far_as_the_published_code():
    prior, likelihood, _ = plane(2, correlated=False)
    grid = times(VP(), 12)
    diffusion = Diffusion(prior, VP())
    x, t = places(diffusion, 0.3, 5), grid[4]
    code = StepDPS(diffusion, likelihood, zeta=0.3, grid=grid)
    algorithm = StepDPS.as_in_the_algorithm(diffusion, likelihood, 0.3, grid)
    assert_close(algorithm.likelihood_score(x, t), 2 * code.likelihood_score(x, t))
    # Algorithm 1: (zeta / |r|) times the gradient of |r|^2
    moving = x.clone().requires_grad_()
    residual = likelihood.y - likelihood.operator(diffusion.denoise(moving, t))
    square = residual.square().sum(-1)
    step = 0.3 / residual.norm(dim=-1, keepdim=True) * torch.autograd.grad(square.sum(), moving)[0]
    per_score = VP().diffusion(t) * (grid[4] - grid[5])
    assert_close(per_score * algorithm.likelihood_score(x, t), -step.detach())


def test_step_dps_belongs_to_its_grid():
    prior, likelihood, _ = plane(1)
    grid = times(VP(), 12)
    method = StepDPS(Diffusion(prior, VP()), likelihood, zeta=0.3, grid=grid)
    x = torch.zeros(3, 2, dtype=torch.float64)
    for wrong in (0.123, float(grid[-1])):
        with pytest.raises(ValueError, match="time of the grid, before its last"):
            method(x, wrong)


# Conformance


@each_method
def test_every_method_keeps_the_contract(method):
    prior, likelihood, _ = plane(2, correlated=False)
    guidance = METHODS[method](Diffusion(prior, VP()), likelihood)
    assert isinstance(guidance, PosteriorScore)
    x = places(guidance.prior, 0.3, 6)
    whole = guidance(x, 0.3)
    assert_close(guidance(x, torch.tensor(0.3, dtype=torch.float64)), whole)
    assert_close(guidance(x.reshape(3, 4, 2), 0.3), whole.reshape(3, 4, 2))
    assert_close(guidance(x[0], 0.3), whole[0])
    assert not whole.requires_grad
    assert guidance.log_likelihood(x, 0.3).shape == (12,)
    half = METHODS[method](Diffusion(prior.to(torch.float32), VP()), likelihood.to(torch.float32))
    assert half(x.float(), 0.3).dtype == torch.float32
    assert_near(half(x.float(), 0.3), whole, float32_bound(METHODS[method], prior, likelihood, x))


def float32_bound(method, prior, likelihood, x):
    """What five roundings move in a score at t = 0.3: inputs, and four results that are like them.

    These are the mean, the residual, what solves for it, and the answer. Rounding the mean is like
    rounding the matrix that multiplies it, rounding the residual like rounding y or the matrix.
    """

    def score(x, log_weights, means, width, matrix, offset, y, noise_std):
        prior_moved = GaussianMixture(log_weights, means, prior.covs * width)
        seen = Likelihood(Linear(matrix, offset), y, noise_std)
        return method(Diffusion(prior_moved, VP()), seen)(x, 0.3)

    one = torch.tensor(1.0)
    operator = likelihood.operator
    inputs = x, prior.log_weights, prior.means, one, operator.matrix, operator.offset
    size = condition(score, *inputs, likelihood.y, likelihood.noise_std)
    return rounding(torch.float32, size, operations=5)


@each_method
def test_a_diverged_particle_stays_nan_and_troubles_nobody(method):
    prior, likelihood, _ = plane(2, correlated=False)
    guidance = METHODS[method](Diffusion(prior, VP()), likelihood)
    x = places(guidance.prior, 0.3, 3)
    lost = x.clone()
    lost[2] = math.nan
    scores = guidance(lost, 0.3)
    assert scores[2].isnan().all()
    keep = [0, 1, 3, 4, 5]
    assert_close(scores[keep], guidance(x, 0.3)[keep], rtol=1e-13, atol=1e-13)


@each_method
def test_linear_only_methods_refuse_others_and_name_those_that_take_them(method):
    problem = problems.square()
    if method in OF_ANY_OPERATOR:
        score = METHODS[method](problem.diffusion, problem.likelihood)
        assert score(torch.ones(4, 1, dtype=torch.float64), 0.3).isfinite().all()
        return
    with pytest.raises(ValueError, match=r"needs a Linear operator.*square.*DPS.*ZetaDPS"):
        METHODS[method](problem.diffusion, problem.likelihood)


def test_a_spread_cannot_be_carried_through_a_nonlinear_operator():
    problem = problems.square()
    x = torch.ones(4, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match="DPS"):
        matched_score(problem.diffusion, problem.likelihood, x, 0.3, 0.5)


@pytest.mark.usefixtures("unchecked")
def test_wrong_parameters_are_answered_with_the_right_call():
    problem = problems.gaussian()
    for wrong in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=r"data_var.*PiGDM\(prior, likelihood, data_var=1"):
            PiGDM(problem.diffusion, problem.likelihood, data_var=wrong)
        with pytest.raises(ValueError, match=r"zeta.*ZetaDPS\(prior, likelihood, zeta=1"):
            ZetaDPS(problem.diffusion, problem.likelihood, zeta=wrong)
    with pytest.raises(ValueError, match=r"zeta.*StepDPS"):
        StepDPS(problem.diffusion, problem.likelihood, 0.0, times(VP(), 5))
    prior, likelihood, _ = plane(2)
    zeta = ZetaDPS(Diffusion(prior, VP()), likelihood)
    with pytest.raises(ValueError, match="one `noise_std` for all measurements"):
        zeta(torch.zeros(3, 2, dtype=torch.float64), 0.3)


def test_a_measurement_that_is_hit_exactly_pulls_nowhere():
    """r / |r| is 0/0 there, and its limit 0: particles were lost by it."""
    problem = problems.two_atoms(y=1.0)
    score = ZetaDPS(problem.diffusion, problem.likelihood)
    x = torch.tensor([[1.0], [0.9]], dtype=torch.float64)
    at = problem.diffusion.at(x, 1e-4)
    assert float(at.mean[0]) == 1.0
    assert_close(score(x, 1e-4)[0], problem.diffusion(x, 1e-4)[0])
    assert diagnose(problem, ZetaDPS, n=100, steps=20)["diverged"].value.value == 0


@pytest.mark.parametrize("fn", [lambda x: x.detach().abs(), lambda x: x.detach().round()])
def test_an_operator_without_a_gradient_is_named(fn):
    problem = problems.absolute()
    blind = Likelihood(Nonlinear(fn, "blind"), problem.likelihood.y, 0.3)
    with pytest.raises(ValueError, match="an `operator` that can be differentiated.*blind"):
        DPS(problem.diffusion, blind)(torch.ones(3, 1, dtype=torch.float64), 0.3)


@pytest.mark.parametrize("name", ["DPS", "ZetaDPS"])
def test_guidance_through_a_nonlinear_operator_in_inference_mode(name):
    problem = problems.absolute()
    score = METHODS[name](problem.diffusion, problem.likelihood)
    x = problem.posterior.sample(5, 0.3, generator=seeded(0))
    wanted = score(x, 0.3)
    with torch.inference_mode():
        assert_close(score(x.clone(), 0.3), wanted, rtol=0, atol=0)


def off_by_a_little(prior, by=0.005):
    """A denoiser that errs by half a hundredth, in waves: its slopes are no covariance."""
    return Denoiser(lambda x, a, s: prior.denoise(x, a, s) + by * torch.sin(60 * x), dim=prior.dim)


def test_tmpd_of_a_denoiser_that_errs_loses_no_particle():
    """A C A' + noise has no factor there: 279 of 300 particles were lost."""
    problem = problems.one_coordinate()
    learned = Diffusion(off_by_a_little(problem.prior), problem.schedule)
    grid = times(problem.schedule, 40)
    for indefinite, lost in (("step", False), ("diagonal", False), ("clip", False), ("keep", True)):
        score = TMPD(learned, problem.likelihood, indefinite)
        x = problem.schedule.noise(200, 2, generator=seeded(0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = ddpm(score, problem.schedule, x, grid, generator=seeded(1))
        assert bool(path.diverged().any()) == lost
    found = diagnose(problem, lambda prior, likelihood: TMPD(learned, likelihood), n=100, steps=20)
    assert found["diverged"].value.value == 0
    assert found["mended"].value.value > 0.1
    exact = diagnose(problem, TMPD, n=100, steps=20)  # of which a covariance is one
    assert "mended" not in [finding.id for finding in exact.findings]


def test_clipping_is_the_nearest_covariance():
    """Of a symmetric matrix it sets the negative eigenvalues to 0, and of others nothing."""
    problem = problems.one_coordinate()
    method = TMPD(problem.diffusion, problem.likelihood)
    root = torch.randn(6, 3, 3, generator=seeded(0), dtype=torch.float64)
    good, bad = root @ root.mT, root + root.mT
    fixed, below = method.clipped(torch.cat([good, bad]))
    assert below.tolist() == [False] * 6 + [True] * 6
    assert_close(fixed[:6], good)
    values, vectors = torch.linalg.eigh(bad)
    wanted = (vectors * values.clamp(min=0).unsqueeze(-2)) @ vectors.mT
    assert_close(fixed[6:], wanted)
    lost = torch.full((1, 3, 3), math.nan, dtype=torch.float64)
    assert method.clipped(torch.cat([bad, lost]))[0][-1].isnan().all()


def test_a_treatment_that_is_none_is_named(unchecked):
    problem = problems.one_coordinate()
    with pytest.raises(ValueError, match="`indefinite` must be one of step, clip, diagonal, keep"):
        TMPD(problem.diffusion, problem.likelihood, "drop")


@pytest.mark.parametrize("correlated", [False, True])
def test_one_step_is_that_of_conjugate_gradients(correlated):
    """By SciPy's iteration, preconditioned by the noise and stopped after the first."""
    prior, likelihood, _ = plane(2, correlated=correlated)
    learned = Diffusion(Denoiser(prior.denoise, dim=2), VP())
    x, A = places(Diffusion(prior, VP()), 0.4, 6)[:6], likelihood.operator.matrix
    at = learned.at(x, 0.4)
    noise = likelihood.noise.cov.numpy()
    inverse = np.linalg.inv(noise)
    wanted = []
    for i in range(6):
        r = (likelihood.y - likelihood.operator(at.mean[i])).numpy()
        M = at.projected_cov(A)[i].detach().numpy() + noise
        u, _ = cg((M + M.T) / 2, r, M=inverse, maxiter=1)
        wanted.append(torch.from_numpy(u))
    found = TMPD(learned, likelihood, "step").guide(at, 0.4)
    assert_close(found, at.vjp(torch.stack(wanted) @ A), rtol=1e-9, atol=1e-9)


def test_the_diagonal_is_that_of_the_covariance():
    problem = problems.one_coordinate()
    method = TMPD(problem.diffusion, problem.likelihood, "diagonal")
    spread = torch.tensor([[[2.0, 1.0], [3.0, -1.0]]], dtype=torch.float64)
    wanted = torch.tensor([[[2.0, 0.0], [0.0, 0.0]]], dtype=torch.float64)
    assert torch.equal(method.treated(spread), wanted)
