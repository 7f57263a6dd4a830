"""Float32 clouds, against float64 sums over the atoms as written: right to 1e-6 of the score."""

import math

import pytest
import torch

from fsps_lite import VP, Diffusion, Empirical, Likelihood, Linear
from fsps_lite.engine import precision
from tests.oracles import assert_near, at_length, rounding, seeded

KINDS = ("independent", "clustered", "offset", "duplicated")


def cloud(kind, n, d, t):
    """Float32 atoms; those of a cluster, and copies, are as close as makes x_t undecided."""
    g, near = seeded(d), float(VP().sigma(t) / VP().alpha(t))
    atoms = torch.randn(n, d, generator=g)
    if kind == "clustered":
        return atoms[torch.arange(n) % 20] + near * d**-0.5 * torch.randn(n, d, generator=g)
    if kind == "duplicated":
        copies = near * d**-0.5 * torch.randn(n // 2, d, generator=g)
        return torch.cat([atoms[: n // 2], atoms[: n // 2] + copies])
    return atoms + (100.0 if kind == "offset" else 0.0)


def as_written(posterior, x, t):
    """sum_i w_i (alpha a_i - x) / sigma^2, row by row in float64, with no square multiplied out."""
    prior, alpha, sigma = posterior.prior, posterior.schedule.alpha(t), posterior.schedule.sigma(t)
    atoms, scores = prior.atoms.double(), []
    for row in x.double():
        apart = alpha * atoms - row
        logits = prior.log_weights.double() - apart.square().sum(-1) / (2 * sigma**2)
        scores.append(logits.softmax(-1) @ apart / sigma**2)
    return torch.stack(scores)


def posterior_of(atoms, noise_std=0.5):
    matrix = torch.ones(1, atoms.shape[1]) / atoms.shape[1] ** 0.5
    seen = Likelihood(Linear(matrix), (matrix @ atoms[0]) + 0.2, noise_std)
    return Diffusion(Empirical.from_samples(atoms).condition(seen), VP())


def worst(posterior, x, t):
    exact = as_written(posterior, x, t)
    return float((posterior.score(x, t).double() - exact).abs().max() / exact.abs().max())


SIZES = [(20_000, 1), (20_000, 2), (20_000, 64), (2000, 784), (20_000, 784)]


@pytest.mark.parametrize(("n", "d"), at_length(SIZES, SIZES[:4]))
@pytest.mark.parametrize("kind", KINDS)
def test_near_the_data_the_score_is_right_to_1e_6(kind, n, d):
    t = 1e-3
    posterior = posterior_of(cloud(kind, n, d, t))
    x = posterior.sample(4, t, generator=seeded(1))
    assert worst(posterior, x, t) < 1e-6


@pytest.mark.parametrize("d", [1, 2, 64, 784])
@pytest.mark.parametrize("kind", KINDS)
def test_at_every_time_the_score_is_right_to_1e_6(kind, d):
    """Whichever arithmetic is chosen; and both are."""
    chosen = set()
    for t in (0.05, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0):
        posterior = posterior_of(cloud(kind, 1000, d, t))
        x = posterior.sample(32 if d < 100 else 4, t, generator=seeded(2))
        assert worst(posterior, torch.cat([x, 3 * x]), t) < 1e-6
        chosen.add(posterior.prior.given(x, VP().alpha(t), VP().sigma(t)).arithmetic)
    assert chosen == {torch.float32, torch.float64}


def test_the_choice_is_by_the_bound():
    choose = precision.arithmetic
    edge = (precision.ERROR / precision.UNIT) ** 0.5  # alpha radius / sigma
    for scale in (1e-3, 1.0, 1e3):
        below, above = 0.999 * edge * scale, 1.001 * edge * scale
        assert choose(torch.float32, 1000, below, 1.0, scale) == torch.float32
        assert choose(torch.float32, 1000, above, 1.0, scale) == torch.float64
        assert choose(torch.float64, 1000, below, 1.0, scale) == torch.float64
    assert choose(torch.float32, 1000, 2 * edge, 0.4, 1.0) == torch.float32
    assert choose(torch.float32, precision.FEW - 1, 1.0, 1.0, 1.0) == torch.float64


def test_one_far_atom_of_no_weight_does_not_go_unnoticed():
    atoms = torch.randn(2000, 2, generator=seeded(0))
    atoms[7] = 1e6
    posterior = posterior_of(atoms)
    x = posterior.sample(16, 0.5, generator=seeded(1))
    assert worst(posterior, x, 0.5) < 1e-6


@pytest.mark.parametrize("setting", ["medium", "high", "highest"])
def test_a_less_exact_matrix_product_is_not_used(setting):
    posterior = posterior_of(torch.randn(2000, 64, generator=seeded(0)))
    x = posterior.sample(16, 0.9, generator=seeded(1))
    assert posterior.prior.dtype == torch.float32
    try:
        torch.set_float32_matmul_precision(setting)
        fresh = Diffusion(posterior.prior, VP())
        assert worst(fresh, x, 0.9) < 1e-6
        v = torch.randn(x.shape, generator=seeded(2))
        products = fresh.denoise_cov_product(x, 0.9, v)
    finally:
        torch.set_float32_matmul_precision("highest")
    exact = Diffusion(posterior.prior.to(torch.float64), VP())
    wanted = exact.denoise_cov_product(x.double(), 0.9, v.double())
    size = float(v.norm(dim=-1).max())
    assert_near(products, wanted, covariance_bound(posterior, 0.9, wanted, size))


def covariance_bound(posterior, t, wanted, size=1.0):
    """What rounding moves in Cov v: weights by what it moves in their logarithms, and the answer.

    The logarithm of a weight is a sum of terms of up to (alpha radius / sigma)^2, radius the
    largest distance of an atom from the centre, less that of a sum over all atoms, log n or so. An
    error in it, from rounding the query, the key and their product, is one of the weight, relative
    to itself. Cov is the mean of a square, of atoms that compete for x_t: they are within about
    sigma / alpha of each other, and all of them are within their own spread. What moves the weights
    moves it by up to twice its size, in the square and in the mean that is taken from it.
    """
    atoms, alpha, sigma = posterior.prior.atoms.double(), VP().alpha(t), VP().sigma(t)
    radius = float((atoms - atoms.mean(0)).norm(dim=-1).max())
    spread = float(torch.linalg.eigvalsh(atoms.mT.cov().reshape(2 * (atoms.shape[1],))).max())
    scale = max(min(float(sigma / alpha) ** 2, spread) * size, float(wanted.abs().max()))
    logs = float(alpha * radius / sigma) ** 2 + math.log(len(atoms))
    single = (
        posterior.prior.given(posterior.prior.atoms[:1], alpha, sigma).arithmetic == torch.float32
    )
    return rounding(torch.float32, scale, operations=1 + 3 * 2 * logs * single)


@pytest.mark.parametrize("d", [2, 64])
@pytest.mark.parametrize("kind", KINDS)
def test_covariances_are_as_right_as_the_score(kind, d):
    """Over sigma^2 / alpha^2, which is what 1 / alpha is to the slope of the denoiser."""
    for t in (0.3, 0.5, 0.8):
        atoms = cloud(kind, 2000, d, t)
        posterior = posterior_of(atoms)
        exact = Diffusion(posterior.prior.to(torch.float64), VP())
        x = posterior.sample(16, t, generator=seeded(1))
        v = torch.nn.functional.normalize(torch.randn(x.shape, generator=seeded(2)), dim=-1)
        wanted = exact.denoise_cov_product(x.double(), t, v.double())
        found = posterior.denoise_cov_product(x, t, v)
        assert_near(found, wanted, covariance_bound(posterior, t, wanted))
        matrix = torch.randn(3, d, generator=seeded(3)) / d**0.5
        wanted = exact.projected_cov(x.double(), t, matrix.double())
        found = posterior.projected_cov(x, t, matrix)
        size = float(matrix.norm(dim=-1).square().max())
        assert_near(found, wanted, covariance_bound(posterior, t, wanted, size))
