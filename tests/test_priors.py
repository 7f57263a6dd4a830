"""The two priors against sums, inverses, quadrature and each other."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fsps_lite import VP, Empirical, GaussianMixture, Likelihood, Linear, Nonlinear
from fsps_lite.engine import attention
from tests.oracles import (
    Line,
    assert_near,
    atoms_at,
    condition,
    gaussian_log_density,
    mixture_at,
    random_covs,
    random_mixture_parts,
    rounding,
    seeded,
    vp,
)

seeds = st.integers(0, 10_000)
dims = st.sampled_from([1, 2, 5])
times = st.floats(-3, 0).map(lambda e: 10.0**e)
few = settings(max_examples=15)


def tensor(values):
    return torch.as_tensor(np.asarray(values), dtype=torch.float64)


def random_mixture(seed, k=3, d=2):
    return GaussianMixture(*random_mixture_parts(seed, k, d))


def shrunk(prior):
    """A mixture that fits on a grid."""
    return GaussianMixture(prior.log_weights, 0.4 * prior.means, 0.2 * prior.covs)


def random_empirical(seed, n=20, d=2):
    g = seeded(seed)
    atoms = torch.randn(n, d, generator=g, dtype=torch.float64)
    return Empirical(atoms, torch.randn(n, generator=g, dtype=torch.float64))


def random_likelihood(seed, d, m=2, kind="covariance"):
    g = seeded(seed + 77)
    matrix = torch.randn(m, d, generator=g, dtype=torch.float64)
    offset, y = torch.randn(2, m, generator=g, dtype=torch.float64)
    if kind == "covariance":
        cov = random_covs(1, m, g, smallest=0.1)[0]
        return Likelihood.with_cov(Linear(matrix, offset), y, cov)
    std = 0.3 + torch.rand(m, generator=g, dtype=torch.float64)
    return Likelihood(Linear(matrix, offset), y, std if kind == "diagonal" else float(std[0]))


def noisy_points(prior, alpha, sigma, n, seed):
    """Points of p(x_t), and as many that are far from it."""
    g = seeded(seed)
    x = alpha * prior.sample(n, generator=g)
    return x + sigma * torch.randn(n, prior.dim, generator=g, dtype=x.dtype) * torch.tensor(
        [1.0, 4.0], dtype=x.dtype
    ).repeat(n)[:n].unsqueeze(-1)


def covariance(prior, x, alpha, sigma):
    columns = torch.eye(prior.dim, dtype=x.dtype)
    return torch.stack(
        [prior.denoise_cov_product(x, alpha, sigma, v.expand_as(x)) for v in columns], dim=-1
    )


def agree(prior, x, alpha, sigma, wanted, **tolerance):
    """log-density, denoiser and denoising covariance, row by row."""
    log_prob, _, mean, cov = (tensor(np.array(v)) for v in zip(*wanted, strict=True))
    assert_close(prior.log_prob(x, alpha, sigma), log_prob, **tolerance)
    assert_close(prior.denoise(x, alpha, sigma), mean, **tolerance)
    assert_close(covariance(prior, x, alpha, sigma), cov, **tolerance)


# What a prior says about a noisy point


@few
@given(seed=seeds, d=dims, t=times)
def test_mixture_is_the_closed_form(seed, d, t):
    prior = random_mixture(seed, d=d)
    alpha, sigma = vp(t)
    x = noisy_points(prior, alpha, sigma, 6, seed)
    parts = prior.log_weights, prior.means, prior.covs
    wanted = [mixture_at(row, *parts, alpha, sigma) for row in x]
    agree(prior, x, alpha, sigma, wanted, rtol=1e-8, atol=1e-9)


@few
@given(seed=seeds, d=dims, t=times)
def test_empirical_is_the_sum_over_atoms(seed, d, t):
    prior = random_empirical(seed, d=d)
    alpha, sigma = vp(t)
    x = noisy_points(prior, alpha, sigma, 6, seed)
    wanted = [atoms_at(row, prior.atoms, prior.log_weights, alpha, sigma) for row in x]
    agree(prior, x, alpha, sigma, wanted, rtol=1e-8, atol=1e-8)


@few
@given(seed=seeds, d=dims, t=times)
def test_empirical_is_a_mixture_of_zero_covariance(seed, d, t):
    prior = random_empirical(seed, d=d)
    zero = torch.zeros(len(prior.atoms), d, d, dtype=torch.float64)
    twin = GaussianMixture(prior.log_weights, prior.atoms, zero)
    alpha, sigma = vp(t)
    x = noisy_points(prior, alpha, sigma, 6, seed)
    likelihood = random_likelihood(seed, d)
    for a, b in ((prior, twin), (prior.condition(likelihood), twin.condition(likelihood))):
        for name in ("log_prob", "denoise"):
            one, other = (getattr(p, name)(x, alpha, sigma) for p in (a, b))
            assert_close(one, other, rtol=1e-8, atol=1e-8)
        one, other = (covariance(p, x, alpha, sigma) for p in (a, b))
        assert_close(one, other, rtol=1e-8, atol=1e-8)
        assert_close(a.weights, b.weights, rtol=1e-9, atol=1e-12)


@few
@given(seed=seeds, t=times)
def test_mixture_on_the_line_is_the_quadrature(seed, t):
    prior = random_mixture(seed, d=1)
    line = Line.mixture(prior.weights, prior.means[:, 0], prior.covs[:, 0, 0].sqrt())
    alpha, sigma = vp(t)
    x = alpha * prior.means + torch.linspace(-2, 2, 3, dtype=torch.float64).unsqueeze(-1)
    log_prob, _, mean, variance = map(tensor, line.at(x, alpha, sigma))
    assert_close(prior.log_prob(x, alpha, sigma), log_prob, rtol=1e-8, atol=1e-8)
    assert_close(prior.denoise(x, alpha, sigma).squeeze(-1), mean, rtol=1e-8, atol=1e-8)
    cov = covariance(prior, x, alpha, sigma)[:, 0, 0]
    assert_close(cov, variance, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize(
    "prior", [random_empirical(0), random_mixture(0)], ids=["atoms", "mixture"]
)
def test_scales_may_be_numbers_or_tensors(prior):
    """A Python number must not pass through float32 on its way."""
    x = noisy_points(prior, 0.8, 0.6, 5, 0)
    tensors = tensor(0.8), tensor(0.6)
    for name in ("log_prob", "denoise"):
        method = getattr(prior, name)
        assert_close(method(x, 0.8, 0.6), method(x, *tensors), rtol=1e-14, atol=1e-14)
    one = prior.denoise_cov_product(x, 0.8, 0.6, x)
    assert_close(one, prior.denoise_cov_product(x, *tensors, x), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    "prior", [random_empirical(0), random_mixture(0)], ids=["atoms", "mixture"]
)
def test_rows_are_independent_and_may_stand_in_any_shape(prior):
    x = noisy_points(prior, 0.8, 0.6, 12, 1)
    for method in (prior.log_prob, prior.denoise):
        flat = method(x, 0.8, 0.6)
        cube = method(x.reshape(3, 2, 2, 2), 0.8, 0.6)
        assert cube.shape[:3] == (3, 2, 2)
        assert_close(cube.reshape(flat.shape), flat, rtol=1e-13, atol=1e-13)
        assert_close(method(x[3], 0.8, 0.6), flat[3], rtol=1e-13, atol=1e-13)
        assert method(x[:0], 0.8, 0.6).shape == flat[:0].shape
    assert prior.given(x[:0], 0.8, 0.6).cov_product(x[:0]).shape == x[:0].shape
    assert prior.given(x[:0], 0.8, 0.6).projected_cov(x[:3]).shape == (0, 3, 3)
    v = x.flip(0)
    flat = prior.denoise_cov_product(x, 0.8, 0.6, v)
    cube = prior.denoise_cov_product(x.reshape(3, 4, 2), 0.8, 0.6, v.reshape(3, 4, 2))
    assert_close(cube.reshape(flat.shape), flat, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    "prior", [random_empirical(0), random_mixture(0)], ids=["atoms", "mixture"]
)
def test_a_lost_row_stays_lost_and_alone(prior):
    x = noisy_points(prior, 0.8, 0.6, 4, 1)
    whole = prior.denoise(x, 0.8, 0.6)
    x[1] = math.nan
    holed = prior.denoise(x, 0.8, 0.6)
    assert holed[1].isnan().all()
    assert_close(holed[[0, 2, 3]], whole[[0, 2, 3]])
    assert prior.log_prob(x, 0.8, 0.6).isnan().tolist() == [False, True, False, False]


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("t", [0.02, 0.3, 1.0])
def test_densities_integrate_to_one(d, t):
    alpha, sigma = vp(t)
    axis = torch.linspace(-12, 12, 501, dtype=torch.float64)
    x = torch.cartesian_prod(*[axis] * d).reshape(-1, d)
    cell = float(axis[1] - axis[0]) ** d
    for prior in (random_empirical(1, d=d), shrunk(random_mixture(1, d=d))):
        mass = prior.log_prob(x, alpha, sigma).exp().sum() * cell
        assert_close(float(mass), 1.0, rtol=1e-8, atol=0.0)


def test_mixture_has_a_density_without_noise():
    prior = random_mixture(4, d=2)
    x = prior.sample(5, generator=seeded(0))
    wanted = sum(
        w * multivariate_normal(m, c).pdf(x.numpy())
        for w, m, c in zip(prior.weights.numpy(), prior.means, prior.covs, strict=True)
    )
    assert_close(prior.log_prob(x), tensor(np.log(wanted)))
    shares = prior.responsibilities(x, 0.9, 0.3)
    assert_close(shares.sum(-1), torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_singular_covariances(rank):
    g = seeded(rank)
    factor = torch.randn(2, 3, max(rank, 1), generator=g, dtype=torch.float64) * (rank > 0)
    parts = tensor([0.3, -0.4]), torch.randn(2, 3, generator=g, dtype=torch.float64)
    prior = GaussianMixture(*parts, factor @ factor.mT)
    alpha, sigma = vp(0.05)
    x = noisy_points(prior, alpha, sigma, 6, 0)
    wanted = [mixture_at(row, *parts, prior.covs, alpha, sigma) for row in x]
    agree(prior, x, alpha, sigma, wanted, rtol=1e-8, atol=1e-9)
    posterior = prior.condition(random_likelihood(3, 3))
    assert (torch.linalg.matrix_rank(posterior.covs, atol=1e-9) == rank).all()
    with pytest.raises(ValueError, match="`sigma` must be above 0"):
        prior.log_prob(x)


def test_isotropic_is_round():
    means, std, weights = tensor([[-1.0, 0.0], [1.0, 2.0]]), tensor([0.5, 0.1]), tensor([3.0, 1.0])
    prior = GaussianMixture.isotropic(means, std=std, weights=weights)
    assert_close(prior.weights, tensor([0.75, 0.25]))
    wanted = std[:, None, None] ** 2 * torch.eye(2, dtype=torch.float64)
    assert_close(prior.covs, wanted)
    assert_close(GaussianMixture.isotropic(means, std=0.3).covs[1, 0, 0].item(), 0.09)
    assert_close(GaussianMixture.isotropic(means, std=0.3).weights, tensor([0.5, 0.5]))


# Bayes


@few
@given(seed=seeds, d=dims, kind=st.sampled_from(["number", "diagonal", "covariance"]))
def test_mixture_conditioning_is_bayes(seed, d, kind):
    """posterior / (prior likelihood) is one number, the evidence, wherever it is asked."""
    prior, likelihood = random_mixture(seed, d=d), random_likelihood(seed, d, kind=kind)
    posterior = prior.condition(likelihood)
    x = torch.cat([p.sample(4, generator=seeded(1)) for p in (prior, posterior)])
    log_evidence = prior.log_prob(x) + likelihood.log_prob(x) - posterior.log_prob(x)
    noise = likelihood.noise_cov.numpy()
    matrix = likelihood.operator.matrix.numpy()
    wanted = sum(
        float(w)
        * multivariate_normal.pdf(
            likelihood.y, likelihood.operator(m).numpy(), matrix @ c.numpy() @ matrix.T + noise
        )
        for w, m, c in zip(prior.weights, prior.means, prior.covs, strict=True)
    )
    assert_close(log_evidence, torch.full_like(log_evidence, math.log(wanted)), rtol=0, atol=1e-6)
    assert torch.equal(posterior.covs, posterior.covs.mT)


@few
@given(seed=seeds, t=times, kind=st.sampled_from(["number", "diagonal", "covariance"]))
def test_mixture_conditioning_is_bayes_by_quadrature(seed, t, kind):
    prior, likelihood = random_mixture(seed, d=1), random_likelihood(seed, 1, kind=kind)
    matrix, offset = likelihood.operator.matrix.numpy()[:, 0], likelihood.operator.offset.numpy()
    y, noise = likelihood.y.numpy(), likelihood.noise_cov.numpy()

    def log_likelihood(x):
        residual = y - x[:, None] * matrix - offset
        return multivariate_normal.logpdf(residual, np.zeros(2), noise).reshape(-1)

    parts = prior.weights, prior.means[:, 0], prior.covs[:, 0, 0].sqrt()
    line = Line.mixture(*parts, log_likelihood)
    alpha, sigma = vp(t)
    posterior = prior.condition(likelihood)
    x = noisy_points(posterior, alpha, sigma, 4, seed)
    log_prob, _, mean, variance = map(tensor, line.at(x, alpha, sigma))
    assert_close(posterior.log_prob(x, alpha, sigma), log_prob, rtol=1e-7, atol=1e-7)
    assert_close(posterior.denoise(x, alpha, sigma).squeeze(-1), mean, rtol=1e-7, atol=1e-7)
    cov = covariance(posterior, x, alpha, sigma)[:, 0, 0]
    assert_close(cov, variance, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("noise_std", [1e-3, 1e-6])
def test_a_flat_component_in_the_plane_is_known_on_its_line(noise_std):
    """x = m + f z with z standard normal: one number is not known, and its law has a formula.

    Rounding moves y - A m by 1e-15, which the noise divides twice: once in z, once more in its law.
    """
    g = seeded(0)
    for _ in range(500):
        f, m, z = (torch.randn(shape, generator=g).double() for shape in ([2], [1, 2], [1]))
        operator = Linear(torch.randn(2, 2, generator=g).double())
        y = operator(m + z * f)[0] + noise_std * tensor([1.0, -0.5])
        prior = GaussianMixture(torch.zeros(1).double(), m, torch.outer(f, f)[None])
        found = prior.condition(Likelihood(operator, y, noise_std))
        seen, rest = operator.matrix @ f / noise_std, (y - operator(m)[0]) / noise_std
        left = 1 / (1 + seen @ seen)
        assert_close(found.covs[0], left * torch.outer(f, f), rtol=1e-9, atol=1e-9 * float(left))
        assert_close(found.means, m + f * (left * (seen @ rest)), rtol=1e-12, atol=1e-12)
        apart = rest - seen * (left * (seen @ rest))
        misfit = apart.square().sum() + (left * (seen @ rest)) ** 2
        log_p = -misfit / 2 + left.log() / 2 - 2 * math.log(noise_std) - math.log(math.tau)
        assert_close(found.log_weights[0], log_p, rtol=0, atol=1e-14 / noise_std**1.5)


@pytest.mark.parametrize("d", [4, 64])
def test_flat_components_go_from_float32_to_float64_and_back(d):
    """Of rank 2: what float32 has rounded is no variance, above 0 or below it."""
    g, scales = seeded(1), (VP().alpha(0.01), VP().sigma(0.01))
    for _ in range(200 if d == 4 else 5):
        f, x = torch.randn(3, d, 2, generator=g), torch.randn(5, d, generator=g)
        prior = GaussianMixture(torch.zeros(3), torch.randn(3, d, generator=g), f @ f.mT)
        there = prior.to(torch.float64)
        assert (torch.linalg.matrix_rank(there.covs) == 2).all()
        assert torch.equal(there.to(torch.float32).means, prior.means)
        mean = prior.denoise(x, *scales)
        assert_close(mean, there.denoise(x.double(), *scales).float(), rtol=1e-5, atol=1e-5)
        measured = prior.condition(Likelihood(Linear(f[0].mT), torch.ones(2), 1e-3))
        assert measured.dtype == torch.float32
        assert measured.denoise(x, *scales).isfinite().all()


@pytest.mark.usefixtures("unchecked")
def test_no_component_hides_behind_a_larger_one():
    """A covariance is judged by its own size."""
    covs = torch.stack([torch.eye(2), torch.diag(torch.tensor([1e-12, -1e-13]))]).double()
    with pytest.raises(ValueError, match="an eigenvalue of -1e-13 beside an entry of 1e-12"):
        GaussianMixture(torch.zeros(2).double(), torch.zeros(2, 2).double(), covs)


OPERATORS = {
    "linear": Linear(tensor([[1.0, -0.5], [0.3, 2.0]]), tensor([0.1, -0.2])),
    "nonlinear": Nonlinear(
        lambda x: torch.cat([x[..., :1] ** 2, x.prod(-1, keepdim=True)], -1), "q"
    ),
}
NOISES = {
    "number": (0.7, 0.49 * np.eye(2)),
    "diagonal": (tensor([0.5, 1.5]), np.diag([0.25, 2.25])),
    "full": (tensor([[0.8, 0.0], [0.6, 0.5]]), np.array([[0.64, 0.48], [0.48, 0.61]])),
}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("operator", OPERATORS)
def test_empirical_conditioning_is_reweighting(operator, noise):
    std, cov = NOISES[noise]
    prior, y = random_empirical(5, n=40), tensor([0.5, 1.0])
    posterior = prior.condition(Likelihood(OPERATORS[operator], y, std))
    predicted = OPERATORS[operator](prior.atoms).numpy()
    likelihoods = [multivariate_normal.pdf(y.numpy(), p, cov) for p in predicted]
    weights = prior.weights.numpy() * likelihoods
    assert_close(posterior.weights, tensor(weights / weights.sum()))
    assert torch.equal(posterior.atoms, prior.atoms)


@pytest.mark.parametrize("kind", ["atoms", "mixture"])
def test_two_measurements_in_turn_are_two_at_once(kind):
    prior = random_empirical(2, d=3) if kind == "atoms" else random_mixture(2, d=3)
    both = random_likelihood(6, 3, kind="diagonal")
    matrix, offset = both.operator.matrix, both.operator.offset
    one, two = (
        Likelihood(Linear(matrix[[i]], offset[[i]]), both.y[[i]], both.noise_std[[i]])
        for i in range(2)
    )
    at_once = prior.condition(both)
    x = noisy_points(prior, 0.9, 0.4, 5, 0)
    for in_turn in (prior.condition(one).condition(two), prior.condition(two).condition(one)):
        assert_close(in_turn.log_prob(x, 0.9, 0.4), at_once.log_prob(x, 0.9, 0.4))
        assert_close(in_turn.denoise(x, 0.9, 0.4), at_once.denoise(x, 0.9, 0.4))


class Poisson:
    """Counts whose rate is exp(x): noise that is not Gaussian."""

    def __init__(self, counts):
        self.counts = counts

    def log_prob(self, x):
        return (self.counts * x - x.exp() - (self.counts + 1).lgamma()).sum(-1)


def test_any_object_with_log_prob_conditions_atoms():
    prior, counts = random_empirical(8, n=30), tensor([2.0, 0.0])
    rates = prior.atoms.exp().numpy()
    mass = rates[:, 0] ** 2 * np.exp(-rates[:, 0]) / 2 * np.exp(-rates[:, 1])
    weights = prior.weights.numpy() * mass
    assert_close(prior.condition(Poisson(counts)).weights, tensor(weights / weights.sum()))


@pytest.mark.parametrize("t", [0.01, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("kind", ["linear", "square"])
def test_conditioning_commutes_with_diffusing(kind, t):
    """p(x_t | y) = p(x_t) p(y | x_t) / p(y), with p(y | x_t) by quadrature over p(x_0 | x_t)."""
    weights, means, stds = [0.6, 0.1, 0.3], [-1.2, 0.1, 1.0], [0.2, 0.4, 0.3]
    fn = {"linear": lambda x: x, "square": lambda x: x**2}[kind]
    line = Line.mixture(weights, means, stds)
    grid = torch.linspace(-6, 6, 24_001, dtype=torch.float64)
    prior = Empirical.on_grid(lambda x: tensor(line.log_density(x[:, 0].numpy())), [grid])
    posterior = prior.condition(Likelihood(Nonlinear(fn, kind), tensor([0.8]), 0.4))
    alpha, sigma = vp(t)
    x = torch.linspace(-2.5, 2.5, 11, dtype=torch.float64)

    def log_likelihood(x0):
        return gaussian_log_density(0.8, fn(x0), 0.16)

    given_x = line.log_likelihood(x, alpha, sigma, log_likelihood)
    product = line.at(x, alpha, sigma)[0] + given_x
    mine = posterior.log_prob(x.unsqueeze(-1), alpha, sigma).numpy()
    nodes, log_masses = line.rule()
    evidence = np.exp(log_masses - line.log_mass() + log_likelihood(nodes)).sum()
    assert_close(tensor(mine), tensor(product - np.log(evidence)), rtol=0, atol=1e-7)


@pytest.mark.parametrize("t", [0.01, 0.3])
def test_conditioning_commutes_with_diffusing_for_atoms(t):
    prior, likelihood = random_empirical(9, n=12), random_likelihood(1, 2)
    alpha, sigma = vp(t)
    x = noisy_points(prior, alpha, sigma, 5, 2)
    shares = prior.logits(x, alpha, sigma).softmax(-1).numpy()
    given_x = np.log(shares @ likelihood.log_prob(prior.atoms).exp().numpy())
    evidence = math.log(prior.weights @ likelihood.log_prob(prior.atoms).exp())
    wanted = prior.log_prob(x, alpha, sigma).numpy() + given_x - evidence
    mine = prior.condition(likelihood).log_prob(x, alpha, sigma)
    assert_close(mine, tensor(wanted), rtol=1e-9, atol=1e-9)


# Atoms: what must not matter


def same(a, b, *, d=2, **tolerance):
    x = noisy_points(a, 0.9, 0.4, 6, 3)
    for name in ("log_prob", "denoise"):
        assert_close(getattr(a, name)(x, 0.9, 0.4), getattr(b, name)(x, 0.9, 0.4), **tolerance)
    assert_close(covariance(a, x, 0.9, 0.4), covariance(b, x, 0.9, 0.4), **tolerance)


@few
@given(seed=seeds, shift=st.floats(-500, 500))
def test_order_copies_and_a_common_factor_do_not_matter(seed, shift):
    prior, likelihood = random_empirical(seed), random_likelihood(seed, 2)
    n = len(prior.atoms)
    order = torch.randperm(n, generator=seeded(seed))
    times_more = torch.randint(1, 4, (n,), generator=seeded(seed + 1))
    copies = Empirical(
        prior.atoms.repeat_interleave(times_more, 0),
        (prior.log_weights - times_more.double().log()).repeat_interleave(times_more),
    )
    permuted = Empirical(prior.atoms[order], prior.log_weights[order])
    scaled = Empirical(prior.atoms, prior.log_weights + shift)
    for other in (copies, permuted, scaled):
        same(prior, other, rtol=1e-9, atol=1e-10)
        same(prior.condition(likelihood), other.condition(likelihood), rtol=1e-9, atol=1e-10)


def test_an_atom_of_no_weight_is_not_there():
    prior = random_empirical(0)
    log_weights = prior.log_weights.clone()
    log_weights[::2] = -math.inf
    holed, rest = (
        Empirical(prior.atoms, log_weights),
        Empirical(prior.atoms[1::2], log_weights[1::2]),
    )
    same(holed, rest, rtol=1e-9, atol=1e-10)
    same(holed.condition(random_likelihood(0, 2)), rest.condition(random_likelihood(0, 2)))
    assert_close(holed.effective_size, rest.effective_size)
    drawn = holed.sample(500, generator=seeded(0))
    assert not torch.isin(drawn[:, 0], prior.atoms[::2, 0]).any()


def test_a_likelihood_may_rule_atoms_out():
    class Positive:
        def log_prob(self, x):
            return torch.where(x[..., 0] > 0, 0.0, -math.inf).to(x.dtype)

    prior = random_empirical(0)
    posterior = prior.condition(Positive())
    assert torch.equal(posterior.weights > 0, prior.atoms[:, 0] > 0)
    assert posterior.denoise(torch.zeros(1, 2, dtype=torch.float64), 0.9, 0.4)[0, 0] > 0


@few
@given(seed=seeds, n=st.integers(1, 50), spread=st.floats(0, 20))
def test_effective_size(seed, n, spread):
    g = seeded(seed)
    log_weights = spread * torch.randn(n, generator=g, dtype=torch.float64)
    prior = Empirical(torch.randn(n, 1, generator=g, dtype=torch.float64), log_weights)
    weights = np.exp(log_weights.numpy() - log_weights.max().item())
    wanted = weights.sum() ** 2 / (weights**2).sum()
    assert_close(prior.effective_size, float(wanted), rtol=1e-9, atol=0.0)
    assert 1 - 1e-9 <= prior.effective_size <= n + 1e-9
    assert_close(Empirical.from_samples(prior.atoms).effective_size, float(n))
    far = Empirical(prior.atoms, log_weights - 1e4)
    assert_close(far.effective_size, prior.effective_size, rtol=1e-8, atol=0.0)


def test_effective_size_of_known_posteriors():
    atoms = tensor([[0.0], [0.0], [0.0], [50.0]])
    exact = Likelihood(Linear(tensor([[1.0]])), tensor([0.0]), 0.5)
    assert_close(Empirical.from_samples(atoms).condition(exact).effective_size, 3.0)
    away = Likelihood(Linear(tensor([[1.0]])), tensor([5e3]), 1e-2)
    assert_close(Empirical.from_samples(atoms).condition(away).effective_size, 1.0)


@pytest.mark.parametrize("t", [0.01, 0.1, 0.5])
def test_data_far_from_the_origin(t):
    """Atoms around 10,000: the squares of the logits would cancel if they were not centred."""
    prior = random_empirical(3, n=50, d=3)
    moved = Empirical(prior.atoms + 1e4, prior.log_weights)
    alpha, sigma = vp(t)
    x = noisy_points(prior, alpha, sigma, 6, 0)
    wanted = [
        atoms_at(row, moved.atoms, moved.log_weights, alpha, sigma) for row in x + alpha * 1e4
    ]
    log_prob, _, mean, cov = (tensor(np.array(v)) for v in zip(*wanted, strict=True))
    there = x + alpha * 1e4
    # the rounding of x itself, 1e-12, over sigma^2 is what may remain
    rounding = 1e-11 / sigma**2
    assert_close(moved.log_prob(there, alpha, sigma), log_prob, rtol=1e-10, atol=rounding)
    assert_close(moved.denoise(there, alpha, sigma), mean, rtol=1e-13, atol=rounding)
    assert_close(covariance(moved, there, alpha, sigma), cov, rtol=1e-9, atol=rounding)


def test_near_duplicates():
    base = random_empirical(4, n=10).atoms
    atoms = torch.cat([base, base + 1e-9, base * (1 + 1e-12)])
    prior = Empirical(atoms, torch.randn(30, generator=seeded(0), dtype=torch.float64))
    for t in (1e-3, 0.1):
        alpha, sigma = vp(t)
        x = noisy_points(prior, alpha, sigma, 6, 0)
        wanted = [atoms_at(row, atoms, prior.log_weights, alpha, sigma) for row in x]
        agree(prior, x, alpha, sigma, wanted, rtol=1e-8, atol=1e-8)


def test_a_covariance_that_is_nearly_nothing():
    """One atom has all the weight but 1e-20 of it: what is left is not lost in rounding."""
    prior = random_empirical(4, n=6)
    prior = Empirical(prior.atoms + 3.7, prior.log_weights)
    for atom in prior.atoms:
        x = 0.9 * atom + 0.01
        apart = (prior.atoms - atom).norm(dim=-1).sort().values[1]
        sigma = float(0.9 * apart / (2 * 46) ** 0.5)
        wanted = atoms_at(x, prior.atoms, prior.log_weights, 0.9, sigma)[3]
        assert abs(wanted).max() < 1e-15
        cov = covariance(prior, x.unsqueeze(0), 0.9, sigma)[0]
        assert_close(cov, tensor(wanted), rtol=1e-6, atol=1e-7 * abs(wanted).max())


# Memory


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that any operation made: no timing, no allocator."""

    def __init__(self):
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [v for v in tree_leaves(out) if isinstance(v, torch.Tensor)]
        sizes = [v.untyped_storage().nbytes() // v.element_size() for v in tensors]
        self.numel = max([self.numel, *sizes])
        return out


CALLS = {
    "denoise": lambda p, x: p.denoise(x, 0.9, 0.4),
    "log_prob": lambda p, x: p.log_prob(x, 0.9, 0.4).unsqueeze(-1),
    "denoise_cov_product": lambda p, x: p.denoise_cov_product(x, 0.9, 0.4, x),
    "sample_denoised": lambda p, x: p.sample_denoised(x, 0.9, 0.4, generator=seeded(0)),
    "sample": lambda p, x: p.sample(len(x), generator=seeded(0)),
    "projected_cov": lambda p, x: p.given(x, 0.9, 0.4).projected_cov(x[:2]),
}


@pytest.mark.parametrize("call", CALLS)
def test_no_array_over_points_atoms_and_dimensions(call):
    """512 points, 4,000 atoms, d = 64: (B, N, d) would be 1 GB, and (B, N) is twice a block."""
    g = seeded(0)
    prior = Empirical.from_samples(torch.randn(4000, 64, generator=g, dtype=torch.float64))
    x = torch.randn(512, 64, generator=g, dtype=torch.float64)
    with Largest() as largest:
        CALLS[call](prior, x)
    assert largest.numel <= attention.BLOCK


@pytest.mark.parametrize("kernel", [True, False], ids=["fused", "products"])
@pytest.mark.parametrize("call", ["denoise", "log_prob", "denoise_cov_product", "projected_cov"])
def test_blocks_do_not_show(call, kernel, monkeypatch):
    prior = random_empirical(0, n=20)
    x = noisy_points(prior, 0.9, 0.4, 7, 0)
    whole = CALLS[call](prior, x)
    if not kernel:
        monkeypatch.setattr(attention, "_works", lambda dtype: False)
        assert_close(CALLS[call](prior, x), whole, rtol=1e-12, atol=1e-13)
    for block in (100, 1):
        monkeypatch.setattr(attention, "BLOCK", block)
        with Largest() as largest:
            assert_close(CALLS[call](prior, x), whole, rtol=1e-12, atol=1e-13)
        assert largest.numel <= 100


# Draws


def check_moments(draws, mean, cov):
    """Mean and covariance within 4.5 standard errors, with the spread of the products for both."""
    n = len(draws)
    assert ((draws.mean(0) - mean).abs() < 4.5 * (cov.diagonal() / n).sqrt() + 1e-12).all()
    products = torch.einsum("ni,nj->nij", draws - mean, draws - mean)
    assert ((products.mean(0) - cov).abs() < 4.5 * products.std(0) / n**0.5 + 1e-12).all()


@pytest.mark.parametrize("kind", ["atoms", "mixture", "singular"])
def test_samples_have_the_moments_of_the_prior(kind):
    if kind == "atoms":
        prior = random_empirical(1, n=7, d=3)
        means, inner = prior.atoms, torch.zeros(7, 3, 3, dtype=torch.float64)
    else:
        prior = random_mixture(1, d=3)
        if kind == "singular":
            line = torch.randn(3, 3, 1, generator=seeded(0), dtype=torch.float64)
            prior = GaussianMixture(prior.log_weights, prior.means, line @ line.mT)
        means, inner = prior.means, prior.covs
    mean = prior.weights @ means
    apart = means - mean
    cov = torch.einsum("k,kij->ij", prior.weights, inner) + (prior.weights * apart.mT) @ apart
    draws = prior.sample(40_000, generator=seeded(2))
    check_moments(draws, mean, cov)
    assert torch.equal(draws, prior.sample(40_000, generator=seeded(2)))


def test_atoms_are_drawn_by_their_weights():
    prior, n = random_empirical(1, n=7, d=1), 40_000
    draws = prior.sample(n, generator=seeded(3))
    share = (draws == prior.atoms[:, 0]).double().mean(0)
    error = (prior.weights * (1 - prior.weights) / n).sqrt()
    assert ((share - prior.weights).abs() < 4 * error).all()


@pytest.mark.parametrize("t", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("kind", ["atoms", "mixture"])
def test_denoised_draws_have_the_moments_of_the_denoiser(kind, t):
    prior = random_empirical(1, n=15, d=2) if kind == "atoms" else random_mixture(1, d=2)
    alpha, sigma = vp(t)
    for x in noisy_points(prior, alpha, sigma, 2, 5):
        cloud = x.expand(20_000, 2)
        draws = prior.sample_denoised(cloud, alpha, sigma, generator=seeded(4))
        cov = covariance(prior, x.unsqueeze(0), alpha, sigma)[0]
        check_moments(draws, prior.denoise(x, alpha, sigma), cov)


def test_denoised_draws_belong_to_their_rows():
    prior = random_empirical(1, n=15, d=2)
    near = prior.atoms + 1e-6
    assert torch.equal(prior.sample_denoised(near, 1.0, 1e-5, generator=seeded(0)), prior.atoms)
    mixture = GaussianMixture.isotropic(prior.atoms, std=1e-3)
    drawn = mixture.sample_denoised(near, 1.0, 1e-5, generator=seeded(0))
    assert_close(drawn, prior.atoms, rtol=0, atol=1e-4)


# Grids and dtypes


def test_a_grid_of_atoms_is_the_density():
    """Two axes of different sizes and spacings, diffused above both."""
    mixture = shrunk(random_mixture(6, d=2))
    axes = [torch.linspace(-7, 7, 281).double(), torch.linspace(-8, 6, 201).double()]
    prior = Empirical.on_grid(mixture.log_prob, axes)
    assert prior.atoms.shape == (281 * 201, 2)
    alpha, sigma = vp(0.3)
    x = alpha * mixture.sample(5, generator=seeded(0)) + sigma
    for name in ("log_prob", "denoise"):
        one, other = (getattr(p, name)(x, alpha, sigma) for p in (prior, mixture))
        assert_close(one, other, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    "prior", [random_empirical(0), random_mixture(0)], ids=["atoms", "mixture"]
)
def test_another_dtype(prior):
    single = prior.to(torch.float32)
    assert single.dtype == torch.float32
    x = noisy_points(prior, 0.9, 0.4, 5, 0)
    low = single.denoise(x.float(), 0.9, 0.4)
    assert low.dtype == torch.float32
    assert single.sample(3, generator=seeded(0)).dtype == torch.float32
    likelihood = random_likelihood(0, 2)
    posterior = single.condition(likelihood.to(torch.float32))

    def answers(x, log_weights, places, width, matrix, offset, y, factor):
        seen = Likelihood(Linear(matrix, offset), y, factor)
        if isinstance(prior, Empirical):
            moved = Empirical(places, log_weights)
        else:
            moved = GaussianMixture(log_weights, places, width * prior.covs)
        return {"mean": moved.denoise(x, 0.9, 0.4), "weights": moved.condition(seen).weights}

    places = prior.atoms if isinstance(prior, Empirical) else prior.means
    operator = likelihood.operator
    measured = operator.matrix, operator.offset, likelihood.y, likelihood.noise_factor
    inputs = x, prior.log_weights, places, torch.ones(()), *measured
    # the inputs; logits, exponentials, their sum and the answer, for which inputs may stand
    sizes = condition(answers, *inputs)
    bounds = {name: rounding(torch.float32, size, operations=5) for name, size in sizes.items()}
    assert_near(low, prior.denoise(x, 0.9, 0.4), bounds["mean"])
    assert_near(posterior.weights, prior.condition(likelihood).weights, bounds["weights"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_of_many_atoms_are_those_of_the_weights(dtype):
    """Of ten million equal atoms in float32 the upper half was drawn 55 times of a hundred."""
    n, count = 40_000, 10_000_000
    atoms = torch.arange(count, dtype=dtype).unsqueeze(-1)
    drawn = Empirical.from_samples(atoms).sample(n, generator=seeded(0))
    share = float((drawn >= count / 2).double().mean())
    assert share == pytest.approx(0.5, abs=4 * 0.5 / n**0.5)


def test_a_rare_atom_in_float32_is_drawn_as_often_as_its_mass():
    rare = torch.full((200_000,), math.log(0.00144 / 100_000))
    rare[:100_000] = math.log((1 - 0.00144) / 100_000)
    atoms = torch.arange(200_000, dtype=torch.float32).unsqueeze(-1)
    drawn = Empirical(atoms, rare).sample(200_000, generator=seeded(0))
    found = float((drawn >= 100_000).double().mean())
    assert found == pytest.approx(0.00144, abs=4 * (0.00144 / 200_000) ** 0.5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_may_be_a_numpy_array_which_is_copied(unchecked, dtype):
    array = np.arange(6, dtype=dtype).reshape(3, 2)[::-1]
    prior = Empirical.from_samples(array)
    assert prior.atoms.dtype == getattr(torch, dtype)
    assert prior.atoms.tolist() == [[4, 5], [2, 3], [0, 1]]
    array[:] = 7.0
    assert prior.atoms.tolist() == [[4, 5], [2, 3], [0, 1]]
