"""Priors that cover what lies between data: smoothed atoms, and Gaussians for each label."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from fsps_lite import (
    VP,
    Diffusion,
    Empirical,
    GaussianMixture,
    Likelihood,
    Linear,
    Nonlinear,
    Partition,
    Problem,
    Smoothed,
    digits,
    fit_classes,
    mask,
)
from tests.oracles import seeded

F64 = {"dtype": torch.float64}


def normal(seed, *shape):
    return torch.randn(*shape, generator=seeded(seed), **F64)


def pair(n, d, h, seed=0):
    """Smoothed atoms, and the general mixture that they are."""
    atoms, log_weights = normal(seed, n, d), normal(seed + 1, n)
    covs = h**2 * torch.eye(d, **F64).repeat(n, 1, 1)
    other = covs + 1e-13 * torch.arange(n, **F64)[:, None, None] * torch.eye(d, **F64)  # not round
    return (
        Smoothed(Empirical(atoms, log_weights), h),
        GaussianMixture(log_weights, atoms, other),
    )


@settings(max_examples=8)
@given(
    n=st.integers(1, 40),
    d=st.integers(1, 5),
    h=st.floats(0.05, 2.0),
    t=st.sampled_from([1e-3, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_smoothed_atoms_are_the_mixture_that_they_say(n, d, h, t, seed):
    smoothed, mixture = (Diffusion(prior, VP()) for prior in pair(n, d, h, seed))
    x, v = smoothed.sample(20, t, generator=seeded(seed)), normal(seed + 2, 20, d)
    one, other = smoothed.at(x, t), mixture.at(x, t)
    matrix = normal(seed + 3, 2, d)
    for found, wanted in (
        (one.log_evidence, other.log_evidence),
        (one.mean, other.mean),
        (one.score, other.score),
        (one.cov_product(v), other.cov_product(v)),
        (one.projected_cov(matrix), other.projected_cov(matrix)),
    ):
        scale = 1 + float(wanted.abs().max())
        assert_close(found, wanted, rtol=0, atol=1e-9 * scale)
    total = mixture.prior.total_variance
    assert_close(smoothed.prior.total_variance, total, rtol=1e-9, atol=0)


def test_smoothed_atoms_are_conditioned_as_the_mixture():
    smoothed, mixture = pair(30, 4, 0.4)
    likelihood = Likelihood(Linear(normal(5, 2, 4)), normal(6, 2), 0.3)
    found, wanted = smoothed.condition(likelihood), mixture.condition(likelihood)
    for name in ("means", "covs", "weights"):
        assert_close(getattr(found, name), getattr(wanted, name), rtol=1e-9, atol=1e-9)
    assert_close(smoothed.covs, smoothed.mixture.covs)
    problem = Problem("smoothed", smoothed, likelihood)
    x = problem.posterior.sample(10, 0.4, generator=seeded(0))
    assert_close(problem.posterior.score(x, 0.4), Diffusion(wanted, VP()).score(x, 0.4))
    both = replace(likelihood, y=torch.stack([likelihood.y, 2 * likelihood.y]))
    each = smoothed.condition_each(both)
    y = x.unsqueeze(-2).expand(10, 2, 4)
    assert_close(Diffusion(each, VP()).score(y, 0.4)[:, 0], Diffusion(wanted, VP()).score(x, 0.4))
    with pytest.raises(ValueError, match="conditions on a Likelihood with a Linear operator"):
        smoothed.condition(Likelihood(Nonlinear(torch.square, "square"), normal(6, 4), 0.3))


def test_draws_have_the_mean_and_the_covariance_that_are_told():
    prior = pair(6, 2, 0.5)[0]
    x = torch.tensor([[0.3, -0.2]], **F64)
    at = prior.given(x.expand(40_000, 2), 0.8, 0.6)
    drawn = at.sample(generator=seeded(0))
    error = (at.cov[0].diagonal() / 40_000).sqrt()
    assert float(((drawn.mean(0) - at.mean[0]) / error).abs().max()) < 4
    assert_close(drawn.mT.cov(), at.cov[0], rtol=0, atol=5 * float(at.cov[0].max()) / 200)
    clean = prior.sample(40_000, generator=seeded(1))
    spread = float(clean.var(0).sum() / prior.total_variance)
    assert spread == pytest.approx(1.0, abs=0.05)


def test_float32_answers_are_near_those_of_float64():
    prior = pair(50, 3, 0.3)[0]
    x = prior.sample(20, generator=seeded(0))
    single = prior.to(torch.float32).denoise(x.float(), 0.7, 0.5)
    # float32 atoms and x are each off by 6e-8, and sigma^2 = .25 + .7^2 .3^2 divides twice
    assert_close(single.double(), prior.denoise(x, 0.7, 0.5), rtol=0, atol=1e-5)


def clusters(seed=0):
    labels = torch.arange(3).repeat_interleave(torch.tensor([40, 60, 80]))
    x = normal(seed, 180, 3) @ normal(seed + 1, 3, 3) + 3.0 * normal(seed + 2, 3, 3)[labels]
    return x, labels


def test_em_keeps_the_mean_and_the_covariance_of_each_label():
    x, labels = clusters()
    prior = fit_classes(x, labels, components=2, regularisation=0.05)
    assert_close(
        prior.weights.unflatten(0, (3, 2)).sum(-1), torch.tensor([40, 60, 80.0], **F64) / 180
    )
    for k in range(3):
        rows, own = x[labels == k], slice(2 * k, 2 * k + 2)
        w = prior.weights[own] / prior.weights[own].sum()
        mean = w @ prior.means[own]
        assert_close(mean, rows.mean(0), rtol=1e-6, atol=1e-6)
        apart = prior.means[own] - mean
        total = (w[:, None, None] * (prior.covs[own] + apart[:, :, None] * apart[:, None])).sum(0)
        wanted = rows.mT.cov(correction=0) + 0.05 * torch.eye(3, **F64)
        assert_close(total, wanted, rtol=1e-6, atol=1e-6)


def test_the_posterior_of_a_label_is_a_sum_over_its_components():
    x, labels = clusters()
    prior = fit_classes(x, labels)
    likelihood = Likelihood(mask([True, False, True]), torch.tensor([0.5, -0.3], **F64), 0.4)
    found = prior.condition(likelihood).weights.unflatten(0, (3, 2)).sum(-1)
    log_p = []
    for k in range(3):
        own = slice(2 * k, 2 * k + 2)
        seen = prior.means[own][:, [0, 2]]
        covs = prior.covs[own][:, [0, 2]][:, :, [0, 2]] + 0.16 * torch.eye(2, **F64)
        each = torch.distributions.MultivariateNormal(seen, covs).log_prob(likelihood.y)
        log_p.append(torch.logsumexp(prior.weights[own].log() + each, 0))
    assert_close(found, torch.stack(log_p).softmax(0))
    parts = Partition.of_components(prior, torch.arange(6) // 2, names=["a", "b", "c"])
    by_hand = prior.responsibilities(x).unflatten(-1, (3, 2)).sum(-1).argmax(-1)
    assert torch.equal(parts.members(x), by_hand)


def test_two_gaussians_for_each_digit_cover_digits_that_they_have_not_seen():
    data = digits.load()
    prior = fit_classes(data.images, data.labels)
    smoothed = Smoothed(data.prior, 0.45)
    seen = [float(p.log_prob(data.held_out).mean()) for p in (prior, smoothed)]
    assert seen[0] == pytest.approx(-24.6, abs=0.5)
    assert seen[1] == pytest.approx(-50.0, abs=0.5)
    parts = Partition.of_components(prior, torch.arange(20) // 2, names=list("0123456789"))
    right = parts.members(data.held_out) == data.held_out_labels
    assert float(right.double().mean()) > 0.96


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x, k: Smoothed(Empirical.from_samples(x), 0.0), "`bandwidth` must be positive"),
        (lambda x, k: fit_classes(x, k[1:]), "`labels` must have shape"),
        (lambda x, k: fit_classes(x, k, components=41), "each of the labels 0 to 2 must have 41"),
        (lambda x, k: fit_classes(x, 2 * k), "each of the labels 0 to 4 must have 2 rows"),
        (lambda x, k: fit_classes(x, k, regularisation=-1.0), "`regularisation` must be"),
        (
            lambda x, k: Partition.of_components(
                fit_classes(x, k), torch.arange(6), names=["a", "b"]
            ),
            "`labels` must lie between 0 and 1",
        ),
    ],
)
def test_wrong_calls_are_answered(call, says):
    with pytest.raises(ValueError, match=says):
        call(*clusters())
