"""One place and time, asked once: what is shared, and what is never answered from memory."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from fsps_lite import (
    DPS,
    TMPD,
    VP,
    Cosine,
    Denoiser,
    DiagonalTMPD,
    Diffusion,
    Empirical,
    GaussianMixture,
    Guidance,
    Likelihood,
    Linear,
    MatchedGaussian,
    PiGDM,
    ZetaDPS,
    covariance_ratio,
    early_stopping,
    matched_score,
)
from fsps_lite.engine import atoms as engine
from fsps_lite.samplers import Trajectory
from tests.oracles import random_mixture_parts, seeded, vp

METHODS = (DPS, PiGDM, TMPD, DiagonalTMPD, ZetaDPS)
T = 0.3


def atoms():
    # more than the handful that is answered by products the other way round, in one pass of its own
    log_weights, means, _ = random_mixture_parts(3, k=40, d=2)
    return Empirical(means.clone(), log_weights)


def mixture():
    return GaussianMixture(*random_mixture_parts(3, k=3, d=2))


def measured():
    matrix = torch.tensor([[1.0, 0.5], [-0.2, 1.0]], dtype=torch.float64)
    return Likelihood(Linear(matrix), torch.ones(2, dtype=torch.float64), 0.5)


def cloud(diffusion, n=5):
    return diffusion.sample(n, T, generator=seeded(0))


# Passes over the atoms


@pytest.fixture
def passes(monkeypatch):
    """Counts the passes over the atoms: those for a mean, and those for a product."""
    calls, attend, weights = [], engine.attend_in_runs, engine.attention.weights
    monkeypatch.setattr(engine, "attend_in_runs", lambda *a: calls.append("mean") or attend(*a))
    monkeypatch.setattr(
        engine.attention, "weights", lambda *a: calls.append("product") or weights(*a)
    )
    return calls


def counted(passes, call):
    passes.clear()
    call()
    return passes.count("mean"), passes.count("product")


PASSES = {DPS: (1, 1), PiGDM: (1, 1), ZetaDPS: (1, 1), TMPD: (1, 2), DiagonalTMPD: (1, 2)}


@pytest.mark.parametrize("method", METHODS)
def test_a_score_and_its_guidance_share_one_pass(passes, method):
    score = method(Diffusion(atoms(), VP()), measured())
    x = cloud(score.prior)
    assert counted(passes, lambda: score(x, T)) == PASSES[method]
    assert counted(passes, lambda: score.likelihood_score(x, T)) == PASSES[method]
    # and nothing is remembered: the same again costs the same
    assert counted(passes, lambda: score(x, T)) == PASSES[method]


def test_all_parts_of_one_answer_cost_one_pass(passes):
    diffusion = Diffusion(atoms(), VP())
    at = diffusion.at(cloud(diffusion), T)
    assert passes == []
    reads = (lambda: at.mean, lambda: at.score, lambda: at.log_evidence, lambda: at.cov)
    assert counted(passes, lambda: [read() for read in reads]) == (1, 2)


def test_early_stopping_and_ratios_ask_once(passes):
    prior, g = Diffusion(atoms(), VP()), seeded(1)
    x = cloud(prior)
    path = Trajectory(torch.tensor([0.4, T], dtype=torch.float64), torch.stack([x, x]))
    assert counted(passes, lambda: early_stopping(path, prior, x, generator=g)) == (2, 0)
    posterior = Diffusion(atoms().condition(measured()), VP())
    method = TMPD(prior, measured())
    assert counted(passes, lambda: covariance_ratio(method, posterior, T, generator=g)) == (1, 2)


class Counted:
    """A network, and how often it was called."""

    def __init__(self):
        self.layer = torch.nn.Linear(2, 2).double()
        torch.nn.init.eye_(self.layer.weight)  # so that its slopes are those of a covariance
        self.calls = 0

    def __call__(self, x, alpha, sigma):
        self.calls += 1
        return self.layer(x).tanh()


@pytest.mark.parametrize("method", METHODS)
def test_a_network_is_called_once_for_one_guided_score(method):
    network = Counted()
    score = method(Diffusion(Denoiser(network, dim=2), VP()), measured())
    x = torch.randn(5, 2, generator=seeded(0), dtype=torch.float64)
    score(x, T)  # for the first time: a few rows are asked too, to see that it is a denoiser
    assert network.calls == 4
    network.calls = 0
    value = score(x, T)
    assert network.calls == 1
    assert not value.requires_grad  # in the weights of the network
    with torch.no_grad():  # where nothing is kept, for it may be much
        assert_close(score(x, T), value, rtol=1e-13, atol=1e-13)
    assert network.calls == 3
    if method is not TMPD:
        rows = torch.func.vmap(lambda row: score(row, T))(x)
        assert_close(rows, value, rtol=1e-10, atol=1e-10)


def test_a_network_is_asked_again_for_it_may_have_learned():
    factor = [1.0]
    diffusion = Diffusion(Denoiser(lambda x, alpha, sigma: factor[0] * x, dim=2), VP())
    x = torch.ones(3, 2, dtype=torch.float64)
    before = diffusion.denoise(x, T)
    factor[0] = 2.0
    assert torch.equal(diffusion.denoise(x, T), 2 * before)


def test_a_network_is_pulled_back_through_also_where_no_signal_is_left():
    """At t = 1 alpha is 0, and a covariance divided by it would be none."""
    diffusion = Diffusion(Denoiser(lambda x, alpha, sigma: 0.5 * x, dim=2), Cosine())
    x = torch.ones(3, 2, dtype=torch.float64)
    assert_close(diffusion.denoise_vjp(x, 1.0, x), 0.5 * x)


# Methods of one's own


def own(base, name, value):
    return type("Own", (base,), {name: value})


@pytest.mark.parametrize("base", [Guidance, DPS, TMPD, DiagonalTMPD, ZetaDPS])
def test_a_method_is_written_as_guide(passes, base):
    """Whoever it inherits from; with one pass for the score, the mean and what else it reads."""

    def guide(self, at, t):
        return 2 * at.x.flip(-1) + torch.ones(2).to(at.x).expand_as(at.x) * at.mean

    prior = Diffusion(atoms(), VP())
    x = cloud(prior)
    score = own(base, "guide", guide)(prior, measured())
    wanted = prior.score(x, T) + 2 * x.flip(-1) + prior.denoise(x, T)
    assert_close(score(x, T), wanted, rtol=1e-13, atol=1e-13)
    assert_close(score.likelihood_score(x, T), wanted - prior.score(x, T), rtol=1e-12, atol=1e-12)
    assert counted(passes, lambda: score(x, T)) == (1, 0)


@pytest.mark.parametrize("base", [Guidance, DPS, TMPD, ZetaDPS])
def test_a_likelihood_score_of_ones_own_is_refused_by_a_sentence(base):
    with pytest.raises(TypeError, match=r"guide\(self, at, t\).*got Own.likelihood_score"):
        own(base, "likelihood_score", lambda self, x, t: x)


@pytest.mark.filterwarnings("ignore:.*jit.script:DeprecationWarning")  # inside torch.func.jvp
@pytest.mark.parametrize("make", [atoms, mixture])
def test_guided_scores_can_be_transformed_and_differentiated(make):
    prior = Diffusion(make(), VP())
    x = cloud(prior)
    for method in (DPS, PiGDM):
        score = method(prior, measured())
        value = score(x, T)
        rows = torch.func.vmap(lambda row, score=score: score(row, T))(x)
        assert_close(rows, value, rtol=1e-9, atol=1e-9)
        forward = torch.func.jvp(lambda z, score=score: score(z, T), (x,), (torch.ones_like(x),))[1]
        leaf = x.clone().requires_grad_()
        (back,) = torch.autograd.grad((score(leaf, T) * x).sum(), leaf)
        assert_close((forward * x).sum(), back.sum(), rtol=1e-9, atol=1e-9)
        with torch.inference_mode():
            assert_close(score(x.clone(), T), value, rtol=1e-12, atol=1e-12)


def test_a_member_of_the_family_speaks_of_its_covariance_only(passes):
    """Also one that inherits from TMPD, whose A C A' would else be taken."""

    def half(self, at, t):
        return 0.5 * at.cov

    prior = Diffusion(atoms(), VP())
    x = cloud(prior)
    for base in (MatchedGaussian, TMPD):
        score = own(base, "assumed_cov", half)(prior, measured())
        wanted = matched_score(prior, measured(), x, T, 0.5 * prior.denoise_cov(x, T))
        assert_close(score.likelihood_score(x, T), wanted, rtol=1e-12, atol=1e-12)
        assert counted(passes, lambda score=score: score(x, T)) == (1, 3)  # two rows of C, and J'


# What is never answered from memory


@pytest.mark.parametrize("make", [atoms, mixture])
def test_an_answer_is_about_the_cloud_as_it_was(make):
    diffusion = Diffusion(make(), VP())
    array = np.random.default_rng(0).standard_normal((5, 2))
    x = torch.from_numpy(array)
    before, at = diffusion.score(x, T), diffusion.at(x, T)
    array[0] = 3.0
    assert torch.equal(at.score, before)
    for change in (lambda: x.add_(0.1), lambda: array.__setitem__(0, 2.0)):
        change()
        for t in (0.31, T, 0.31):
            want = make().denoise(x.clone(), *vp(t))
            assert_close(diffusion.denoise(x, t), want, rtol=1e-13, atol=1e-13)
    again = pickle.loads(pickle.dumps(diffusion))
    assert_close(again.denoise(x, T), diffusion.denoise(x, T), rtol=0, atol=0)
    diffusion.denoise(x, T).zero_()
    assert diffusion.denoise(x, T).abs().min() > 0


@pytest.mark.parametrize("make", [atoms, mixture])
def test_a_prior_that_was_asked_may_not_be_written_into(make):
    """0.0 where 4.0 is right, as the mean of the atoms was kept, and their squares."""
    prior = make()
    tensors = [value for value in vars(prior).values() if isinstance(value, torch.Tensor)]
    tensors[1].mul_(2.0)  # before, it may
    diffusion = Diffusion(prior, VP())
    x = cloud(diffusion)
    assert diffusion.denoise(x, T).isfinite().all()
    for tensor in tensors:
        fresh = Diffusion(replace(prior), VP())
        assert fresh.denoise(x, T).isfinite().all()
        tensor.add_(0.0)
        with pytest.raises(RuntimeError, match="must stay as it is.*written into"):
            fresh.denoise(x, T)
    with pytest.raises(RuntimeError, match="a new one of the new tensors"):
        prior.denoise(x, 0.8, 0.6)


# Gradients


@pytest.mark.parametrize("make", [atoms, mixture, lambda: Denoiser(mixture().denoise, dim=2)])
def test_gradients_are_kept_where_they_were_on(make):
    diffusion = Diffusion(make(), VP())
    x = torch.randn(4, 2, generator=seeded(0), dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    at = diffusion.at(leaf, T)
    assert at.mean.requires_grad
    (slope,) = torch.autograd.grad(at.score.sum(), leaf)
    alpha, sigma = vp(T)
    wanted = (alpha * diffusion.denoise_vjp(x, T, torch.ones_like(x)) - 1) / sigma**2
    assert_close(slope, wanted, rtol=1e-9, atol=1e-9)
    with torch.no_grad():
        none = diffusion.at(leaf, T)
        assert not none.mean.requires_grad
        assert not none.score.requires_grad
    assert not diffusion.at(x, T).mean.requires_grad
