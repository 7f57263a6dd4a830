"""LGD, MMPS, DMPS and SDA: exact where one is another method, and gradients of what they say."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from fsps_lite import (
    DMPS,
    DPS,
    LGD,
    MMPS,
    SDA,
    TMPD,
    VP,
    Denoiser,
    Diffusion,
    GaussianMixture,
    Likelihood,
    Linear,
    PiGDM,
    problems,
)
from fsps_lite.guidance.mmps import unfinished
from tests.oracles import random_mixture_parts, seeded, vp

TIMES = (0.05, 0.3, 0.8)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def plane(seed=3):
    """Three components, two measurements, correlated noise, an offset."""
    prior = GaussianMixture(*random_mixture_parts(seed, k=3, d=3))
    matrix = torch.randn(2, 3, generator=seeded(seed + 1), dtype=torch.float64)
    noise = tensor([0.3, 0.1], [0.1, 0.2])
    operator = Linear(matrix, tensor(0.3, -0.2))
    return Diffusion(prior, VP()), Likelihood.with_cov(operator, tensor(1.0, -0.5), noise)


def cloud(prior, t, n=6):
    x = prior.sample(n, t, generator=seeded(1))
    return torch.cat([x, 1.5 * x + 0.1])


def near(actual, expected, bound):
    """To ``bound`` of the largest entry."""
    assert float((actual - expected).abs().max()) <= bound * float(expected.abs().max())


@pytest.mark.parametrize("make", [problems.square, problems.two_atoms, problems.one_coordinate])
def test_lgd_without_spread_is_dps(make):
    p = make()
    for t in TIMES:
        x = cloud(p.diffusion, t)
        lgd = LGD(p.diffusion, p.likelihood, draws=7, data_var=0.0)
        dps = DPS(p.diffusion, p.likelihood)
        # an average of seven equal numbers rounds seven times
        near(lgd.likelihood_score(x, t), dps.likelihood_score(x, t), 1e-14)


@dataclass(frozen=True)
class ByQuadrature(LGD):
    """Gauss-Hermite nodes in one dimension in place of draws."""

    def nodes(self, x, t):
        places, weights = np.polynomial.hermite_e.hermegauss(self.draws)
        e = torch.as_tensor(places).reshape(-1, *[1] * x.ndim).expand(-1, *x.shape)
        return e, torch.as_tensor(weights / weights.sum()).log()


@pytest.mark.parametrize("data_var", [1.0, 0.3])
def test_lgd_by_quadrature_is_pigdm(data_var):
    """N(y; m + r e, noise^2) averaged over e is N(y; m, r^2 + noise^2)."""
    p = problems.two_atoms()
    for t in TIMES:
        x = cloud(p.diffusion, t)
        exact = PiGDM(p.diffusion, p.likelihood, data_var)
        lgd = ByQuadrature(p.diffusion, p.likelihood, draws=80, data_var=data_var)
        near(lgd(x, t), exact(x, t), 1e-11)
        assert_close(lgd.log_likelihood(x, t), exact.log_likelihood(x, t), rtol=1e-11, atol=1e-11)


def test_lgd_of_many_draws_comes_near_pigdm_at_the_rate_of_monte_carlo():
    p, t = problems.one_coordinate(), 0.3
    x = p.diffusion.sample(1, t, generator=seeded(1)).expand(200, -1)  # 200 times the same place
    exact = PiGDM(p.diffusion, p.likelihood).likelihood_score(x, t)
    few, many = (LGD(p.diffusion, p.likelihood, draws=k) for k in (200, 5000))
    off = [(lgd.likelihood_score(x, t) - exact)[:, 0] for lgd in (few, many)]
    # 25 times the draws, a fifth of the error; each is known to 5 % from 200 numbers
    assert float(off[0].std() / off[1].std()) == pytest.approx(5, rel=4 * 0.05 * 2**0.5)
    assert abs(float(off[1].mean())) < 4 * float(off[1].std()) / 200**0.5


def test_lgd_draws_the_same_numbers_at_every_call_and_others_at_each_time_and_row():
    p = problems.trimodal()
    lgd = LGD(p.diffusion, p.likelihood, draws=3)
    x = torch.zeros(4, 1, dtype=torch.float64)
    one = lgd(x, 0.3)
    assert torch.equal(lgd(x, torch.tensor(0.3, dtype=torch.float64)), one)
    assert len(one.unique()) == 4
    other = LGD(p.diffusion, p.likelihood, draws=3, seed=1)
    assert not torch.equal(other(x, 0.3), one)
    assert not torch.equal(lgd.nodes(x, 0.3)[0], lgd.nodes(x, 0.31)[0])


def test_mmps_of_as_many_iterations_as_measurements_is_tmpd():
    prior, likelihood = plane()
    for t in TIMES:
        x = cloud(prior, t)
        tmpd = TMPD(prior, likelihood)(x, t)
        near(MMPS(prior, likelihood, iterations=2)(x, t), tmpd, 1e-10)
        near(MMPS(prior, likelihood, iterations=5)(x, t), tmpd, 1e-10)  # and stays there


@pytest.mark.long
def test_mmps_of_twenty_iterations_is_tmpd_on_digits_and_of_one_it_is_not():
    p, t = problems.digits_downsampled(), 0.3
    x = p.posterior.sample(5, t, generator=seeded(0))
    guess = {k: MMPS(p.diffusion, p.likelihood, k).likelihood_score(x, t) for k in (1, 20)}
    tmpd = TMPD(p.diffusion, p.likelihood).likelihood_score(x, t)
    near(guess[20], tmpd, 1e-9)
    off = (guess[1] - tmpd).norm() / tmpd.norm()
    assert float(off) > 0.2


def test_one_iteration_is_the_residual_times_a_number():
    root = torch.randn(5, 4, 4, generator=seeded(0), dtype=torch.float64)
    matrix = root @ root.mT + torch.eye(4, dtype=torch.float64)
    r = torch.randn(5, 4, generator=seeded(1), dtype=torch.float64)

    def product(u):
        return (matrix @ u.unsqueeze(-1)).squeeze(-1)

    step = (r * r).sum(-1) / (r * product(r)).sum(-1)
    assert_close(unfinished(product, r, 1), step[:, None] * r)
    assert_close(product(unfinished(product, r, 4)), r)
    r[2] = 0
    assert_close(product(unfinished(product, r, 9)), r)
    bent = unfinished(lambda u: -product(u), r, 2)
    assert bent[[0, 1, 3, 4]].isnan().all()
    assert (bent[2] == 0).all()


def gradient(log_likelihood, x, t):
    """By autograd, through the whole of a guess that holds nothing fixed."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(log_likelihood(x, t).sum(), x)[0]


@pytest.mark.parametrize(
    "make", [LGD, SDA, DMPS, lambda *a: SDA(*a, gamma=0.3)], ids=["LGD", "SDA", "DMPS", "SDA .3"]
)
def test_the_guidance_is_the_gradient_of_its_log_likelihood(make):
    prior, likelihood = plane()
    for t in TIMES:
        x = cloud(prior, t)
        method = make(prior, likelihood)
        near(method.likelihood_score(x, t), gradient(method.log_likelihood, x, t), 1e-8)


def test_dmps_is_exact_for_a_prior_that_is_nearly_flat():
    _, likelihood = plane()
    eye = torch.eye(3, dtype=torch.float64)
    broad = GaussianMixture(tensor(0.0), tensor([0.0, 0.0, 0.0]), 1e4 * eye[None])
    prior = Diffusion(broad, VP())
    truth = Diffusion(broad.condition(likelihood), VP())
    for t in TIMES:
        x = cloud(prior, t)
        s2 = float((-VP().log_snr(t)).exp())  # s2 / 1e4 is what such a prior still knows
        near(DMPS(prior, likelihood)(x, t), truth(x, t), 10 * s2 / 1e4)


def test_sda_without_gamma_is_dps():
    prior, likelihood = plane()
    x = cloud(prior, 0.3)
    near(SDA(prior, likelihood, gamma=0)(x, 0.3), DPS(prior, likelihood)(x, 0.3), 1e-13)


def test_sda_is_dps_under_more_noise():
    """Of the variance noise_std^2 + gamma sigma^2 / alpha^2."""
    p, gamma = problems.square(), 0.2
    for t in TIMES:
        alpha, sigma = vp(t)
        noise_std = (0.3**2 + gamma * sigma**2 / alpha**2) ** 0.5
        noisier = Likelihood(p.likelihood.operator, p.likelihood.y, noise_std)
        x = cloud(p.diffusion, t)
        sda = SDA(p.diffusion, p.likelihood, gamma=gamma)
        near(sda(x, t), DPS(p.diffusion, noisier)(x, t), 1e-12)


@pytest.mark.parametrize("make", [LGD, MMPS, SDA])
def test_without_the_jacobian_the_score_in_the_denoiser_is_held_constant(make):
    """m = (x + sigma^2 score) / alpha, with a score that does not depend on x."""
    prior, likelihood = plane()
    x = cloud(prior, 0.3)
    free = make(prior, likelihood, jacobian=False).likelihood_score(x, 0.3)
    at = prior.at(x, 0.3)
    near(at.vjp(at.alpha * free), make(prior, likelihood).likelihood_score(x, 0.3), 1e-12)
    if make is not MMPS:  # whose covariance needs the Jacobian
        score = tensor(0.4, -0.3, 0.2)
        held = Denoiser(lambda z, alpha, sigma: (z + sigma**2 * score) / alpha, dim=3)
        both = (make(Diffusion(held, VP()), likelihood, jacobian=j) for j in (True, False))
        with_it, without = (method.likelihood_score(x, 0.3) for method in both)
        near(with_it, without, 1e-12)


@pytest.mark.usefixtures("unchecked")
def test_wrong_parameters_are_answered_with_the_right_call():
    p = problems.two_atoms()
    known = p.diffusion, p.likelihood
    for make, message in (
        (lambda: LGD(*known, draws=0), r"draws.*LGD\(prior"),
        (lambda: LGD(*known, data_var=-1.0), r"data_var.*LGD\(prior"),
        (lambda: MMPS(*known, iterations=0), r"iterations.*MMPS\(prior"),
        (lambda: SDA(*known, gamma=math.nan), r"gamma.*SDA\(prior"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    square = problems.square()
    for linear in (MMPS, DMPS):
        with pytest.raises(ValueError, match=r"needs a Linear operator.*square.*DPS.*LGD.*SDA"):
            linear(square.diffusion, square.likelihood)
