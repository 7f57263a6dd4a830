"""A batch of y (Y, m): likelihood, guidance, exact posteriors, each against a loop over y."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import fsps_lite as fl
from fsps_lite import problems
from fsps_lite.diagnosis.batches import batch_of, posteriors
from fsps_lite.diagnosis.measured import with_measurement
from fsps_lite.priors.many import EmpiricalBatch, MixtureBatch, SeparateBatch
from tests.oracles import seeded

MADE = [problems.trimodal, problems.unequal, problems.two_atoms, problems.rank_deficient]
GUIDED = [fl.DPS, fl.PiGDM, fl.TMPD, fl.ZetaDPS, fl.DiagonalTMPD]


def several(problem, count=4, seed=0):
    """Some y of p(y), a cloud (5, Y, d), and the problem at each y."""
    g = seeded(seed)
    y = problem.likelihood.simulate(problem.prior.sample(count, generator=g), generator=g)
    size = 5, count, problem.prior.dim
    x = torch.randn(*size, generator=g, dtype=problem.prior.dtype)
    return y, x, [with_measurement(problem, one) for one in y]


def worst(whole, alone):
    """The largest difference, over the largest number."""
    return float((whole - alone).abs().max() / alone.abs().max())


@pytest.mark.parametrize("make", [*MADE, problems.digits_masked], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_guidance_and_exact_posteriors_at_all_y_are_those_at_each(make, dtype):
    problem = make().to(dtype)
    y, x, each = several(problem)
    likelihood, exact = batch_of(problem, y), posteriors(problem, y)
    # 5e-14 for guidance and 8e-13 for exact scores in float64, as a prototype had them. In float32
    # both sides round once, and float32 atoms may differ by 1e-6 of the largest score (Diffusion)
    double = dtype == torch.float64
    guided, scored = (1e-12, 1e-12) if double else (2e-6, 2e-6)
    for t in (0.9, 0.3, 0.02):
        for method in GUIDED:
            whole = method(problem.diffusion, likelihood)(x, t)
            alone = [method(p.diffusion, p.likelihood)(x[:, j], t) for j, p in enumerate(each)]
            assert worst(whole, torch.stack(alone, 1)) < guided, method.__name__
        for part in ("score", "log_prob", "denoise"):
            whole = getattr(exact, part)(x, t)
            alone = [getattr(p.posterior, part)(x[:, j], t) for j, p in enumerate(each)]
            assert worst(whole, torch.stack(alone, 1)) < scored, part


@pytest.mark.parametrize("make", MADE, ids=lambda f: f.__name__)
def test_the_covariance_and_the_draws_of_x0_are_those_at_each_y(make):
    problem = make()
    y, x, each = several(problem)
    at = posteriors(problem, y).at(x, 0.3)
    v = torch.randn(x.shape, generator=seeded(3), dtype=x.dtype)
    alone = [p.posterior.at(x[:, j], 0.3) for j, p in enumerate(each)]
    products = [one.cov_product(v[:, j]) for j, one in enumerate(alone)]
    assert worst(at.cov_product(v), torch.stack(products, 1)) < 1e-12
    assert worst(at.cov, torch.stack([one.cov for one in alone], 1)) < 1e-12
    one = posteriors(problem, y).at(x[0], 0.3).sample(generator=seeded(4))
    assert one.shape == x[0].shape


def test_near_t_0_atoms_are_asked_one_by_one_as_the_exact_posterior_is():
    problem = problems.two_atoms()
    y, x, each = several(problem)
    at = posteriors(problem, y).at(x, 1e-5)
    alone = [p.posterior.at(x[:, j], 1e-5) for j, p in enumerate(each)]
    for part in ("score", "mean", "log_evidence"):
        whole = torch.stack([getattr(one, part) for one in alone], 1)
        assert_close(getattr(at, part), whole, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (problems.two_atoms, EmpiricalBatch),
        (problems.unequal, MixtureBatch),
        (problems.square, SeparateBatch),
    ],
    ids=["atoms", "mixture", "quadrature"],
)
def test_draws_of_the_posteriors_have_the_moments_of_each(make, kind):
    problem = make()
    y, _, each = several(problem)
    many, n = posteriors(problem, y), 20_000
    assert isinstance(many.prior, kind)
    drawn = many.sample(n, 0.05, generator=seeded(1))
    assert drawn.shape == (n, len(y), 1)
    for j, one in enumerate(each):
        truth = one.posterior.sample(n, 0.05, generator=seeded(2))
        error = float(truth.std()) * (2 / n) ** 0.5
        assert float(drawn[:, j].mean() - truth.mean()) == pytest.approx(0, abs=5 * error)
        # a variance errs by sqrt(kurtosis - 1) of itself over sqrt(n): 5 of sqrt(2 (5 - 1) / n)
        assert float(drawn[:, j].var() / truth.var()) == pytest.approx(1, abs=5 * (8 / n) ** 0.5)
    assert many.to(torch.float32).sample(3, 0.05, generator=seeded(1)).dtype == torch.float32


@given(count=st.integers(1, 4), m=st.integers(1, 3), n=st.integers(1, 5), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_log_probabilities_of_a_batch_are_those_of_each_y(count, m, n, seed):
    """For a number, deviations, and a full factor of the noise."""
    g = seeded(seed)
    operator = fl.Linear(torch.randn(m, 2, generator=g, dtype=torch.float64))
    y = torch.randn(count, m, generator=g, dtype=torch.float64)
    x = torch.randn(n, 2, generator=g, dtype=torch.float64)
    own = torch.rand(m, generator=g, dtype=torch.float64) + 0.2
    full = torch.randn(m, m, generator=g, dtype=torch.float64).tril(-1) + own.diag()
    for noise_std in (0.3, own, full):
        likelihood = fl.Likelihood(operator, y, noise_std)
        each = [fl.Likelihood(operator, one, noise_std) for one in y]
        alone = torch.stack([one.log_prob(x) for one in each])
        assert_close(likelihood.log_prob_each(x), alone, rtol=1e-11, atol=1e-11)
        spread = x.unsqueeze(-2).expand(-1, count, -1)
        assert_close(likelihood.log_prob(spread), alone.mT, rtol=1e-11, atol=1e-11)
        assert_close(likelihood.residual(spread)[:, 0], each[0].residual(x))


def test_the_weights_of_atoms_are_those_of_bayes_at_each_y():
    problem = problems.digits_masked()
    y, _, each = several(problem)
    whole = problem.prior.condition_each(batch_of(problem, y)).log_weights.softmax(-1)
    alone = torch.stack([p.prior.condition(p.likelihood).weights for p in each])
    assert_close(whole, alone, rtol=1e-9, atol=1e-15)


def batch():
    return fl.Likelihood(fl.Linear(torch.eye(2).double()), torch.zeros(3, 2).double(), 0.5)


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: batch().residual(torch.zeros(5, 2).double()), ValueError, r"\(\*batch, 3, d\)"),
        (lambda: problems.rank_deficient().prior.condition(batch()), ValueError, "condition_each"),
        (lambda: problems.two_atoms().prior.condition(batch()), ValueError, "condition_each"),
        (lambda: replace(problems.gaussian(), likelihood=batch()), ValueError, "one measurement"),
        (
            lambda: problems.gaussian().prior.condition_each(problems.gaussian().likelihood),
            TypeError,
            "takes a batch",
        ),
        (
            lambda: problems.gaussian().likelihood.log_prob_each(torch.zeros(2, 1).double()),
            TypeError,
            "takes a batch",
        ),
        (
            lambda: posteriors(problems.gaussian(), torch.zeros(3, 1).double()).score(
                torch.zeros(5, 1).double(), 0.3
            ),
            ValueError,
            r"\(\*batch, 3, d\)",
        ),
        (
            lambda: fl.Likelihood(fl.Linear(torch.eye(2)), torch.zeros(1, 3, 2), 0.5),
            ValueError,
            "shape",
        ),
    ],
    ids=["rows", "mixture", "atoms", "problem", "one y", "one y too", "posterior", "three dims"],
)
def test_where_a_batch_does_not_fit_a_sentence_says_what_does(call, error, told):
    with pytest.raises(error, match=told) as caught:
        call()
    assert "Call it like this" in str(caught.value)
