"""The likelihood against SciPy's normal density, its gradient, and its own simulations."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from torch.testing import assert_close

from fsps_lite import Likelihood, Linear, Nonlinear
from tests.oracles import assert_near, condition, random_covs, rounding, seeded

seeds = st.integers(0, 10_000)
kinds = st.sampled_from(["number", "0-d", "diagonal", "factor", "covariance"])


def random_case(seed, m, d, kind):
    """A likelihood, and its noise covariance as a NumPy array."""
    g = seeded(seed)
    operator = Linear(
        torch.randn(m, d, generator=g, dtype=torch.float64),
        torch.randn(m, generator=g, dtype=torch.float64),
    )
    y = torch.randn(m, generator=g, dtype=torch.float64)
    std = 0.2 + torch.rand(m, generator=g, dtype=torch.float64)
    cov = random_covs(1, m, g, smallest=0.2)[0]
    if kind == "covariance":
        return Likelihood.with_cov(operator, y, cov), cov.numpy()
    if kind == "factor":
        return Likelihood(operator, y, torch.linalg.cholesky(cov)), cov.numpy()
    if kind == "diagonal":
        return Likelihood(operator, y, std), np.diag(std.numpy() ** 2)
    noise = float(std[0]) if kind == "number" else std[0]
    return Likelihood(operator, y, noise), np.eye(m) * float(std[0]) ** 2


@given(seed=seeds, m=st.integers(1, 4), d=st.integers(1, 3), kind=kinds)
def test_log_prob_is_the_normal_density(seed, m, d, kind):
    likelihood, cov = random_case(seed, m, d, kind)
    x = torch.randn(5, d, generator=seeded(seed + 1), dtype=torch.float64)
    means = likelihood.operator(x).numpy()
    wanted = [multivariate_normal.logpdf(likelihood.y.numpy(), mean, cov) for mean in means]
    assert_close(likelihood.log_prob(x), torch.tensor(wanted, dtype=torch.float64))
    assert_close(likelihood.noise_cov, torch.tensor(cov))


@given(seed=seeds, m=st.integers(1, 3), d=st.integers(1, 3), kind=kinds)
def test_gradient_is_the_whitened_residual(seed, m, d, kind):
    likelihood, cov = random_case(seed, m, d, kind)
    x = torch.randn(4, d, generator=seeded(seed + 1), dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(likelihood.log_prob(x).sum(), x)
    residual = (likelihood.y - likelihood.operator(x)).detach().numpy()
    matrix = likelihood.operator.matrix.numpy()
    assert_close(slope, torch.tensor(residual @ np.linalg.inv(cov) @ matrix), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", ["number", "diagonal", "covariance"])
def test_it_is_a_density_in_y(kind):
    """Summed over a grid of measurements it is 1: the normaliser counts every coordinate."""
    likelihood, cov = random_case(3, 2, 2, kind)
    reach = 9 * np.sqrt(np.diag(cov))
    axes = [torch.linspace(-float(r), float(r), 181, dtype=torch.float64) for r in reach]
    # with A = 1, moving the signal over a grid moves the residual over the same grid
    direct = Likelihood(
        Linear(torch.eye(2, dtype=torch.float64)), likelihood.y, likelihood.noise_factor
    )
    density = direct.log_prob(likelihood.y + torch.cartesian_prod(*axes)).exp()
    cell = float(axes[0][1] - axes[0][0]) * float(axes[1][1] - axes[1][0])
    assert_close(float(density.sum()) * cell, 1.0, rtol=1e-9, atol=0.0)


def test_shapes_of_a_cloud():
    likelihood, _ = random_case(0, 2, 3, "covariance")
    x = torch.randn(4, 5, 3, generator=seeded(1), dtype=torch.float64)
    assert likelihood.log_prob(x).shape == (4, 5)
    assert_close(likelihood.log_prob(x)[2, 3], likelihood.log_prob(x[2, 3]))


def test_a_nonlinear_operator():
    likelihood = Likelihood(
        Nonlinear(torch.square, "square"), torch.ones(1, dtype=torch.float64), 0.3
    )
    x = torch.tensor([[-2.0], [0.5]], dtype=torch.float64)
    wanted = multivariate_normal.logpdf([1 - 4.0, 1 - 0.25], 0.0, 0.09)
    assert_close(likelihood.log_prob(x), torch.tensor(wanted))


@pytest.mark.parametrize("kind", ["number", "diagonal", "covariance"])
def test_simulated_measurements(kind):
    """Mean and covariance of 40,000 draws, within 4 standard errors."""
    likelihood, cov = random_case(7, 2, 3, kind)
    n = 40_000
    x = torch.randn(3, generator=seeded(8), dtype=torch.float64)
    y = likelihood.simulate(x.expand(n, 3), generator=seeded(9))
    error = y.mean(0) - likelihood.operator(x)
    assert (error.abs() < 4 * (torch.tensor(cov).diagonal() / n).sqrt()).all()
    spread = torch.tensor(cov)
    bound = 4 * ((spread**2 + torch.outer(spread.diagonal(), spread.diagonal())) / n).sqrt()
    assert ((y.mT.cov() - spread).abs() < bound).all()
    assert torch.equal(y, likelihood.simulate(x.expand(n, 3), generator=seeded(9)))


@pytest.mark.parametrize("kind", ["number", "diagonal", "factor"])
def test_in_float32(kind):
    likelihood, _ = random_case(5, 2, 3, kind)
    x = torch.randn(6, 3, generator=seeded(1), dtype=torch.float64)
    single = likelihood.to(torch.float32).log_prob(x.float())
    assert single.dtype == torch.float32
    operator, std = likelihood.operator, torch.as_tensor(likelihood.noise_std).double()

    def log_prob(x, matrix, offset, y, std):
        return Likelihood(Linear(matrix, offset), y, std).log_prob(x)

    size = condition(log_prob, x, operator.matrix, operator.offset, likelihood.y, std)
    # the inputs, what is predicted, what is left of y, and its square over the noise
    bound = rounding(torch.float32, size, operations=4)
    assert_near(single, likelihood.log_prob(x), bound)


def test_y_and_noise_std_may_be_numpy_arrays(unchecked):
    operator, x = Linear(torch.eye(2, dtype=torch.float64)), torch.ones(3, 2, dtype=torch.float64)
    y, std = np.array([0.5, -1.0]), np.array([0.5, 0.7])
    found = Likelihood(operator, y, std)
    wanted = Likelihood(operator, torch.tensor(y), torch.tensor(std))
    assert_close(found.log_prob(x), wanted.log_prob(x), rtol=0, atol=0)
    y[:] = 7.0
    assert found.y.tolist() == [0.5, -1.0]
