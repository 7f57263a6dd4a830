"""The score at every time: against quadrature, automatic differentiation and each other."""

import math

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
    Denoiser,
    Diffusion,
    Empirical,
    FlowMatching,
    GaussianMixture,
    Likelihood,
    Linear,
)
from fsps_lite.engine.mixtures import MixturePosterior
from fsps_lite.types import PosteriorScore
from tests.oracles import Line, assert_near, atoms_at, random_mixture_parts, rounding, seeded, vp

SCHEDULES = [VP(), Cosine(), VE(10.0, 2.0), FlowMatching()]
schedules = st.sampled_from(SCHEDULES)
seeds = st.integers(0, 10_000)
dims = st.sampled_from([1, 2, 5])
few = settings(max_examples=15)


def mixture(seed, d, schedule=SCHEDULES[0]):
    return Diffusion(GaussianMixture(*random_mixture_parts(seed, 3, d)), schedule)


def atoms(seed, d, schedule=SCHEDULES[0], n=25):
    log_weights, points, _ = random_mixture_parts(seed, n, d)
    return Diffusion(Empirical(points, log_weights), schedule)


def pair(seed, d, schedule=SCHEDULES[0]):
    return mixture(seed, d, schedule), atoms(seed, d, schedule)


# Quadrature, from t = 1e-3 to 1


@few
@given(seed=seeds, t=st.floats(-3, 0).map(lambda e: 10.0**e))
def test_mixture_against_quadrature(seed, t):
    diffusion = mixture(seed, 1)
    prior = diffusion.prior
    line = Line.mixture(prior.weights, prior.means[:, 0], prior.covs[:, 0, 0].sqrt())
    alpha, sigma = vp(t)
    x = alpha * prior.means + torch.linspace(-2, 2, 5, dtype=torch.float64).unsqueeze(-1).mT
    x = x.reshape(-1, 1)
    log_prob, score, mean, variance = (torch.tensor(v) for v in line.at(x, alpha, sigma))
    assert_close(diffusion.log_prob(x, t), log_prob, rtol=1e-6, atol=1e-6)
    assert_close(diffusion.score(x, t)[:, 0], score, rtol=1e-6, atol=1e-6)
    assert_close(diffusion.denoise(x, t)[:, 0], mean, rtol=1e-6, atol=1e-6)
    assert_close(diffusion.denoise_cov(x, t)[:, 0, 0], variance, rtol=1e-6, atol=1e-9)


@few
@given(seed=seeds, d=dims, t=st.floats(-3, 0).map(lambda e: 10.0**e))
def test_atoms_against_sums(seed, d, t):
    diffusion = atoms(seed, d)
    alpha, sigma = vp(t)
    x = diffusion.sample(6, t, generator=seeded(seed))
    wanted = [
        atoms_at(row, diffusion.prior.atoms, diffusion.prior.log_weights, alpha, sigma) for row in x
    ]
    log_prob, score, mean, cov = (torch.tensor(np.array(v)) for v in zip(*wanted, strict=True))
    assert_close(diffusion.log_prob(x, t), log_prob, rtol=1e-9, atol=1e-9)
    assert_close(diffusion.score(x, t), score, rtol=1e-6, atol=1e-6)
    assert_close(diffusion.denoise(x, t), mean, rtol=1e-9, atol=1e-9)
    assert_close(diffusion.denoise_cov(x, t), cov, rtol=1e-8, atol=1e-8)


# Automatic differentiation


@few
@given(seed=seeds, d=dims, t=st.floats(0.005, 0.95), schedule=schedules)
def test_score_is_the_gradient_of_log_prob(seed, d, t, schedule):
    for diffusion in pair(seed, d, schedule):
        x = diffusion.sample(5, t, generator=seeded(seed)).requires_grad_()
        (slope,) = torch.autograd.grad(diffusion.log_prob(x, t).sum(), x)
        assert_close(diffusion.score(x.detach(), t), slope, rtol=1e-8, atol=1e-8)
        assert torch.equal(diffusion(x.detach(), t), diffusion.score(x.detach(), t))


@few
@given(seed=seeds, d=dims, t=st.floats(0.02, 0.95), schedule=schedules)
def test_denoising_covariance_is_the_slope_of_the_denoiser(seed, d, t, schedule):
    """Cov[x_0 | x_t] = (sigma^2 / alpha) dE[x_0 | x_t] / dx_t."""
    scale = schedule.variance(t) / schedule.alpha(t)
    for diffusion in pair(seed, d, schedule):
        x = diffusion.sample(3, t, generator=seeded(seed))
        cov = diffusion.denoise_cov(x, t)
        for i, row in enumerate(x):
            jacobian = torch.autograd.functional.jacobian(
                lambda r, p=diffusion: p.denoise(r.unsqueeze(0), t)[0], row
            )
            assert_close(cov[i], scale * jacobian, rtol=1e-7, atol=1e-9)
        assert_close(cov, cov.mT, rtol=1e-8, atol=1e-11)
        v = torch.randn(x.shape, generator=seeded(1), dtype=torch.float64)
        wanted = torch.einsum("nij,nj->ni", cov, v)
        assert_close(diffusion.denoise_cov_product(x, t, v), wanted, rtol=1e-9, atol=1e-11)


@few
@given(seed=seeds, d=dims, t=st.floats(0.005, 0.95), schedule=schedules)
def test_tweedie(seed, d, t, schedule):
    for diffusion in pair(seed, d, schedule):
        x = diffusion.sample(5, t, generator=seeded(seed))
        denoised = (x + schedule.variance(t) * diffusion.score(x, t)) / schedule.alpha(t)
        assert_close(diffusion.denoise(x, t), denoised, rtol=1e-8, atol=1e-8)


# The underflow trap


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_far_atom_stays_far(dtype):
    """Atoms -2 and 2, y = 2, x_t = -2 at t = 0.03: 1.002, where a clamped weight gives 431."""
    prior = Empirical.from_samples(torch.tensor([[-2.0], [2.0]], dtype=dtype))
    likelihood = Likelihood(
        Linear(torch.eye(1, dtype=dtype)), torch.tensor([2.0], dtype=dtype), 0.1
    )
    posterior = Diffusion(prior.condition(likelihood), VP())
    score = posterior.score(torch.tensor([[-2.0]], dtype=dtype), 0.03)
    assert score.dtype == dtype
    assert round(score.item(), 3) == 1.002

    mpmath.mp.dps = 60
    t = mpmath.mpf(0.03)
    exponent = mpmath.mpf(0.01) * t + (20 - mpmath.mpf(0.01)) * t**2 / 2
    alpha, variance = mpmath.exp(-exponent / 2), -mpmath.expm1(-exponent)
    masses = {
        a: mpmath.exp(-((2 - a) ** 2) / mpmath.mpf(2 * 0.1**2))
        * mpmath.exp(-((-2 - alpha * a) ** 2) / (2 * variance))
        for a in (-2, 2)
    }
    mean = sum(a * m for a, m in masses.items()) / sum(masses.values())
    wanted = float((alpha * mean + 2) / variance)
    # float64 takes alpha m from x, both close to 2; the answer is rounded to the caller's dtype
    terms = float((abs(alpha * mean) + 2) / variance)
    bound = rounding(torch.float64, terms, operations=4) + rounding(dtype, wanted, operations=1)
    assert_near(score, torch.tensor([[wanted]], dtype=torch.float64), bound)


@pytest.mark.parametrize(
    ("t", "noise_std", "dtype", "wanted"),
    [(0.01, 0.04, torch.float64, -8.6), (0.03, 0.12, torch.float32, -0.58)],
)
def test_the_published_failures(t, noise_std, dtype, wanted):
    """Atoms -1 and 1, y = 1, x_t = -0.99: a clamped weight gives +1810 and +215."""
    prior = Empirical.from_samples(torch.tensor([[-1.0], [1.0]], dtype=dtype))
    operator, y = Linear(torch.eye(1, dtype=dtype)), torch.ones(1, dtype=dtype)
    posterior = Diffusion(prior.condition(Likelihood(operator, y, noise_std)), VP())
    score = posterior.score(torch.tensor([[-0.99]], dtype=dtype), t).item()
    assert abs(score - wanted) < 0.05


# Precision and shape


@pytest.mark.parametrize("t", [1e-4, 1e-3, 1e-2, 0.5])
def test_float32_clouds_are_answered_with_float64_arithmetic(t):
    """Float32 arithmetic is wrong by 100 % at t = 1e-3. Here only the input is rounded."""
    for diffusion in pair(3, 2):
        single = Diffusion(diffusion.prior.to(torch.float32), VP())
        exact = Diffusion(single.prior.to(torch.float64), VP())
        x = single.sample(20, t, generator=seeded(0))
        for name in ("score", "denoise", "log_prob", "denoise_cov"):
            low = getattr(single, name)(x, t)
            assert low.dtype == torch.float32
            wanted = getattr(exact, name)(x.double(), t)
            # one rounding, that of the answer, which may be too small for float32
            rtol = rounding(torch.float32, 1.0, operations=1)
            assert_close(low.double(), wanted, rtol=rtol, atol=torch.finfo(torch.float32).tiny)
        assert single.sample_denoised(x, t, generator=seeded(0)).dtype == torch.float32


@pytest.mark.parametrize("which", [0, 1], ids=["mixture", "atoms"])
def test_shapes(which):
    diffusion = pair(3, 2)[which]
    x = diffusion.sample(12, 0.3, generator=seeded(0))
    score, cov = diffusion.score(x, 0.3), diffusion.denoise_cov(x, 0.3)
    assert_close(diffusion.score(x.reshape(2, 6, 2), 0.3).reshape(12, 2), score)
    assert_close(diffusion.denoise_cov(x.reshape(2, 6, 2), 0.3).reshape(12, 2, 2), cov)
    assert_close(diffusion.score(x[4], 0.3), score[4])
    assert_close(diffusion.denoise_cov(x[4], 0.3), cov[4])
    assert diffusion.log_prob(x[4], 0.3).shape == ()
    assert torch.equal(diffusion.score(x, torch.tensor(0.3, dtype=torch.float64)), score)
    assert isinstance(diffusion, PosteriorScore)


@pytest.mark.parametrize("which", [0, 1], ids=["mixture", "atoms"])
def test_a_row_that_is_lost_stays_lost(which):
    diffusion = pair(3, 2)[which]
    x = diffusion.sample(4, 0.3, generator=seeded(0))
    whole = diffusion.score(x, 0.3)
    x[1] = math.nan
    x[2] = math.inf
    for answer in (
        diffusion.score(x, 0.3),
        diffusion.denoise(x, 0.3),
        diffusion.sample_denoised(x, 0.3, generator=seeded(0)),
    ):
        assert answer.isfinite().all(-1).tolist() == [True, False, False, True]
    assert_close(diffusion.score(x, 0.3)[[0, 3]], whole[[0, 3]])


# Projections


@few
@given(seed=seeds, d=dims, m=st.integers(1, 6), t=st.floats(0.02, 0.95), schedule=schedules)
def test_projected_covariance_is_the_covariance_projected(seed, d, m, t, schedule):
    matrix = torch.randn(m, d, generator=seeded(seed), dtype=torch.float64)
    for diffusion in (*pair(seed, d, schedule), round_mixture(seed, d, schedule)):
        x = diffusion.sample(6, t, generator=seeded(seed)).reshape(2, 3, d)
        wanted = matrix @ diffusion.denoise_cov(x, t) @ matrix.mT
        found = diffusion.projected_cov(x, t, matrix)
        assert_close(found, wanted, rtol=1e-9, atol=1e-11)
        learned = Diffusion(Denoiser(diffusion.prior.denoise, dim=d), schedule)
        assert_close(learned.projected_cov(x, t, matrix), wanted, rtol=1e-7, atol=1e-9)
        assert_close(diffusion.projected_cov(x[0, 0], t, matrix), found[0, 0])


def test_many_measurements_need_no_more_than_a_block_of_products():
    """m = 40: 820 pairs, more than are multiplied at once."""
    diffusion = atoms(1, 50, n=300)
    matrix = torch.randn(40, 50, generator=seeded(0), dtype=torch.float64)
    x = diffusion.sample(3, 0.4, generator=seeded(1))
    wanted = matrix @ diffusion.denoise_cov(x, 0.4) @ matrix.mT
    assert_close(diffusion.projected_cov(x, 0.4, matrix), wanted, rtol=1e-9, atol=1e-10)


# Round components of one width


def round_mixture(seed, d, schedule=SCHEDULES[0]):
    log_weights, means, _ = random_mixture_parts(seed, 4, d)
    covs = 0.09 * torch.eye(d, dtype=torch.float64).expand(4, d, d)
    return Diffusion(GaussianMixture(log_weights, means, covs), schedule)


@few
@given(seed=seeds, d=dims, t=st.floats(1e-3, 0.99), schedule=schedules)
def test_round_components_of_one_width_are_atoms_under_more_noise(seed, d, t, schedule):
    diffusion = round_mixture(seed, d, schedule)
    prior, scales = diffusion.prior, (schedule.alpha(t), schedule.sigma(t))
    assert prior._round is not None
    assert mixture(seed, d).prior._round is None or d == 0
    x = diffusion.sample(6, t, generator=seeded(seed))
    v = torch.randn(x.shape, generator=seeded(1), dtype=torch.float64)
    general = MixturePosterior(x, *scales, prior._components)
    assert_close(diffusion.denoise(x, t), general.mean, rtol=1e-9, atol=1e-10)
    assert_close(diffusion.log_prob(x, t), general.log_evidence, rtol=1e-9, atol=1e-9)
    wanted = general.cov_product(v)
    assert_close(diffusion.denoise_cov_product(x, t, v), wanted, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("change", ["one wider", "one stretched", "one correlated"])
def test_components_that_are_not_round_or_not_alike_are_seen(change):
    covs = 0.09 * torch.eye(2, dtype=torch.float64).repeat(3, 1, 1)
    covs[2] = {
        "one wider": 0.1 * torch.eye(2),
        "one stretched": torch.diag(torch.tensor([0.09, 0.1])),
        "one correlated": torch.tensor([[0.09, 0.01], [0.01, 0.09]]),
    }[change]
    log_weights, means, _ = random_mixture_parts(0, 3, 2)
    prior = GaussianMixture(log_weights, means, covs)
    diffusion, scales = Diffusion(prior, VP()), (VP().alpha(0.3), VP().sigma(0.3))
    x = diffusion.sample(6, 0.3, generator=seeded(0))
    general = MixturePosterior(x, *scales, prior._components)
    assert_close(diffusion.denoise(x, 0.3), general.mean, rtol=1e-12, atol=1e-13)


# Samples


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("which", [0, 1], ids=["mixture", "atoms"])
def test_samples_have_the_moments_of_the_diffused_prior(which, schedule):
    """Mean and covariance of 20,000 draws, within 4.5 standard errors."""
    n, t = 20_000, 0.4
    diffusion = pair(2, 2, schedule)[which]
    prior = diffusion.prior
    means = prior.atoms if which else prior.means
    inner = torch.zeros(len(means), 2, 2, dtype=torch.float64) if which else prior.covs
    mean = prior.weights @ means
    cov = torch.einsum("k,kij->ij", prior.weights, inner)
    cov = cov + (prior.weights * (means - mean).mT) @ (means - mean)
    alpha, variance = schedule.alpha(t), schedule.variance(t)
    mean, cov = alpha * mean, alpha**2 * cov + variance * torch.eye(2, dtype=torch.float64)
    x = diffusion.sample(n, t, generator=seeded(0))
    assert ((x.mean(0) - mean).abs() < 4.5 * (cov.diagonal() / n).sqrt()).all()
    products = torch.einsum("ni,nj->nij", x - mean, x - mean)
    assert ((products.mean(0) - cov).abs() < 4.5 * products.std(0) / n**0.5).all()
    assert torch.equal(x, diffusion.sample(n, t, generator=seeded(0)))


def test_draws_of_both_ends_come_in_pairs():
    """(x_0, x_t) and (a draw of x_0 given x_t, x_t) have one law: their covariances agree."""
    n, t = 40_000, 0.25
    diffusion = mixture(5, 1)
    prior, schedule = diffusion.prior, diffusion.schedule
    x0 = prior.sample(n, generator=seeded(0))
    noise = torch.randn(n, 1, generator=seeded(1), dtype=torch.float64)
    x = schedule.alpha(t) * x0 + schedule.sigma(t) * noise
    again = diffusion.sample_denoised(x, t, generator=seeded(2))
    for f in (lambda z: z, torch.square, lambda z: z * x, lambda z: z**2 * x):
        difference = f(again) - f(x0)
        assert difference.mean().abs() < 4.5 * difference.std() / n**0.5


def test_at_time_zero_the_denoiser_is_the_identity():
    diffusion = mixture(1, 2)
    x = diffusion.sample(5, 0.0, generator=seeded(0))
    assert_close(diffusion.denoise(x, 0.0), x)
    assert_close(diffusion.log_prob(x, 0.0), diffusion.prior.log_prob(x))
