"""The noise of a measurement: each kind does what its dense covariance would."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from fsps_lite import TMPD, Likelihood, Linear, Noise, Nonlinear, problems
from tests.oracles import seeded

KINDS = ["number", "diagonal", "full"]
F64 = {"dtype": torch.float64}


def noise(kind, m, seed=0):
    """The noise, and its covariance."""
    root = torch.randn(m, m, generator=seeded(seed), **F64)
    factor = torch.linalg.cholesky(root @ root.mT + torch.eye(m, **F64))
    std = {"number": 0.3, "diagonal": factor.diagonal(), "full": factor}[kind]
    square = {"number": 0.09 * torch.eye(m, **F64), "diagonal": factor.diagonal().square().diag()}
    return Noise.of(std, torch.zeros(m, **F64)), square.get(kind, factor @ factor.mT)


@settings(max_examples=15)
@given(seed=st.integers(0, 999), m=st.integers(1, 5), kind=st.sampled_from(KINDS))
def test_each_kind_is_its_covariance(seed, m, kind):
    found, cov = noise(kind, m, seed)
    assert_close(found.cov, cov)
    assert_close(found.variances, cov.diagonal())
    r = torch.randn(3, 2, m, generator=seeded(seed + 1), **F64)
    assert_close(found.whiten(found.colour(r)), r, rtol=1e-10, atol=1e-10)
    root = torch.randn(3, 2, m, m, generator=seeded(seed + 2), **F64)
    each = root @ root.mT
    for spread in (None, each[0, 0], each):
        total = cov if spread is None else cov + spread
        wanted = torch.linalg.solve(total, r.unsqueeze(-1)).squeeze(-1)
        assert_close(found.solve(r, spread), wanted, rtol=1e-7, atol=1e-9)
        normal = torch.distributions.MultivariateNormal(torch.zeros(m, **F64), total)
        assert_close(found.log_prob(r, spread), normal.log_prob(r), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["number", "diagonal"])
def test_no_matrix_is_made_of_independent_noise(kind):
    """One of 200,000 x 200,000 numbers would not fit."""
    m = 200_000
    std = 0.5 if kind == "number" else torch.full((m,), 0.5, **F64)
    y, x = torch.zeros(m, **F64), torch.ones(3, m, **F64)
    likelihood = Likelihood(Nonlinear(lambda x: x, "identity"), y, std)
    one = torch.distributions.Normal(0.0, 0.5).log_prob(torch.tensor(1.0, **F64))
    assert_close(likelihood.log_prob(x), (m * one).expand(3))
    drawn = likelihood.simulate(x, generator=seeded(0)) - x
    assert float(drawn.std()) == pytest.approx(0.5, rel=0.01)


def test_a_sum_that_is_no_covariance_is_nan_and_not_an_error():
    found, _ = noise("number", 2)
    broken = torch.stack([torch.eye(2, **F64), -torch.eye(2, **F64)])
    answer = found.solve(torch.ones(2, 2, **F64), broken)
    assert answer.isfinite().all(-1).tolist() == [True, False]


def test_a_spread_a_row_may_be_mapped_over():
    """Of a spread nobody asks whether it is 0, which a row of vmap could not say."""
    problem = problems.one_coordinate()
    score = TMPD(problem.diffusion, problem.likelihood)
    x = problem.posterior.sample(4, 0.3, generator=seeded(0))
    rows = torch.func.vmap(lambda row: score(row, 0.3))(x)
    assert_close(rows, score(x, 0.3), rtol=1e-10, atol=1e-10)


def test_a_likelihood_whose_noise_is_written_into_answers_with_the_new_one():
    std, x = torch.full((2,), 0.5, **F64), torch.ones(1, 2, **F64)
    likelihood = Likelihood(Linear(torch.eye(2, **F64)), torch.zeros(2, **F64), std)
    before = likelihood.log_prob(x)
    std.mul_(2.0)
    fresh = Likelihood(likelihood.operator, likelihood.y, torch.ones(2, **F64))
    assert_close(likelihood.log_prob(x), fresh.log_prob(x))
    assert (likelihood.log_prob(x) - before).abs() > 0.1
    assert likelihood.to(torch.float32).noise.std.dtype == torch.float32
