"""A prior that is known by its denoiser alone: the same answers, by one backward pass."""

import pytest
import torch
from torch.testing import assert_close

from fsps_lite import VP, Denoiser, Diffusion, Empirical, GaussianMixture, ddpm, times
from fsps_lite.types import Prior
from tests.oracles import assert_near, random_mixture_parts, rounding, seeded

TIMES = (0.02, 0.1, 0.4, 0.95)


def mixture():
    return GaussianMixture(*random_mixture_parts(4, k=3, d=2))


def atoms():
    log_weights, means, _ = random_mixture_parts(4, k=6, d=2)
    return Empirical(means, log_weights)


each_prior = pytest.mark.parametrize("make", [mixture, atoms])
each_time = pytest.mark.parametrize("t", TIMES)


def pair(make):
    """The prior at every t, and the same known by its denoiser."""
    prior = make()
    return Diffusion(prior, VP()), Diffusion(Denoiser(prior.denoise, dim=2), VP())


@each_prior
@each_time
def test_it_answers_as_the_prior_that_it_stands_for(make, t):
    known, learned = pair(make)
    x = known.sample(20, t, generator=seeded(0))
    v = torch.randn(x.shape, generator=seeded(1), dtype=x.dtype)
    scale = float(known.score(x, t).abs().max())  # a pass that is pulled back through is not fused
    assert_close(learned.denoise(x, t), known.denoise(x, t), rtol=1e-14, atol=1e-14)
    assert_close(learned.score(x, t), known.score(x, t), rtol=0, atol=1e-12 * scale)
    for name in ("denoise_cov_product", "denoise_vjp"):
        mine, truth = (getattr(d, name)(x, t, v) for d in (learned, known))
        assert_close(mine, truth, rtol=1e-10, atol=1e-10 * float(truth.abs().max()))
    covs = learned.denoise_cov(x, t), known.denoise_cov(x, t)
    assert_close(*covs, rtol=1e-10, atol=1e-10 * float(covs[1].abs().max()))


@each_prior
def test_denoise_vjp_is_the_jacobian_of_denoise_transposed(make):
    for diffusion in pair(make):
        x = diffusion.schedule.noise(4, 2, generator=seeded(0)) * 0.5
        v = torch.randn(x.shape, generator=seeded(1), dtype=x.dtype)
        for t in TIMES:
            for row, w in zip(x, v, strict=True):
                jacobian = torch.autograd.functional.jacobian(
                    lambda z: diffusion.denoise(z, t),  # noqa: B023
                    row,
                )
                pulled = diffusion.denoise_vjp(row, t, w)
                assert_close(pulled, jacobian.mT @ w, rtol=1e-9, atol=1e-9)


def test_a_learned_jacobian_need_not_be_symmetric_and_is_transposed():
    rotation = torch.tensor([[0.0, -1.0], [0.5, 0.3]], dtype=torch.float64)
    diffusion = Diffusion(Denoiser(lambda x, alpha, sigma: x @ rotation.mT, dim=2), VP())
    v = torch.tensor([1.0, 2.0], dtype=torch.float64)
    x = torch.zeros(2, dtype=torch.float64)
    assert_close(diffusion.denoise_vjp(x, 0.3, v), rotation.mT @ v)


def test_a_batch_of_any_shape():
    _, learned = pair(mixture)
    x = torch.randn(3, 4, 2, generator=seeded(0), dtype=torch.float64)
    products = learned.denoise_cov_product(x, 0.3, x)
    assert products.shape == x.shape
    assert_close(products[1, 2], learned.denoise_cov_product(x[1, 2], 0.3, x[1, 2]))


class Counted:
    """A network in float32 with weights that want gradients, and a count of its calls."""

    def __init__(self):
        self.layer = torch.nn.Linear(2, 2)
        torch.nn.init.normal_(self.layer.weight, generator=seeded(5))
        self.dtypes = []

    def __call__(self, x, alpha, sigma):
        self.dtypes.append(x.dtype)
        return self.layer(x) * alpha


def test_a_network_keeps_its_own_dtype_and_answers_in_the_callers():
    network = Counted()
    diffusion = Diffusion(Denoiser(network, dim=2, dtype=torch.float32), VP())
    x = torch.randn(5, 2, generator=seeded(0))
    assert diffusion.score(x, 0.3).dtype == torch.float32
    assert diffusion.denoise_vjp(x, 0.3, x).dtype == torch.float32
    assert set(network.dtypes) == {torch.float32}
    weight, alpha = network.layer.weight.detach().double(), VP().alpha(0.3)
    # rounded are alpha, a product, a sum, and the answer after sigma^2 / alpha and its inverse
    bound = rounding(torch.float32, float((x.double().abs() @ weight.abs()).max() * alpha), 5)
    assert_near(diffusion.denoise_vjp(x, 0.3, x), x.double() @ weight * alpha, bound)


def test_running_a_network_keeps_no_graph_of_the_run():
    diffusion = Diffusion(Denoiser(Counted(), dim=2, dtype=torch.float32), VP())
    x = torch.randn(5, 2, generator=seeded(0))
    path = ddpm(diffusion, VP(), x, times(VP(), 4), generator=seeded(1))
    assert not path.x.requires_grad
    assert path.x.dtype == torch.float32
    x = x.requires_grad_()  # and one who asks for a gradient in x gets it
    assert diffusion.denoise(x, 0.3).requires_grad


def test_one_product_costs_one_call():
    network = Counted()
    diffusion = Diffusion(Denoiser(network, dim=2, dtype=torch.float32), VP())
    x = torch.zeros(3, 2)
    diffusion.denoise_vjp(x, 0.3, x + 1)  # for the first time: a few rows are asked too
    assert len(network.dtypes) == 4
    diffusion.denoise_vjp(x, 0.3, x + 1)
    assert len(network.dtypes) == 4 + 1


def test_it_says_what_it_does_not_know():
    prior = Denoiser(mixture().denoise, dim=2)
    diffusion = Diffusion(prior, VP())
    assert isinstance(prior, Prior)
    assert prior.to(torch.float32) is prior
    x = torch.zeros(3, 2, dtype=torch.float64)
    calls = {
        "the density": lambda: diffusion.log_prob(x, 0.3),
        "samples of x_0": lambda: diffusion.sample(3, 0.3, generator=seeded(0)),
        "given x_t": lambda: diffusion.sample_denoised(x, 0.3, generator=seeded(0)),
    }
    for what, call in calls.items():
        with pytest.raises(NotImplementedError, match=f"{what}.*Empirical.from_samples"):
            call()


class Bare:
    """A prior without ``given``: what a user wrote before there was one, and chapter 9 writes."""

    dim, dtype = 2, torch.float64

    def __init__(self, prior):
        self.prior = prior

    def to(self, where):
        return self

    def denoise(self, x, alpha, sigma):
        return self.prior.denoise(x, alpha, sigma)

    def denoise_cov_product(self, x, alpha, sigma, v):
        return self.prior.denoise_cov_product(x, alpha, sigma, v)


@each_prior
def test_a_prior_without_given_is_lifted(make, unchecked):
    known, bare = Diffusion(make(), VP()), Diffusion(Bare(make()), VP())
    assert not isinstance(bare.prior, Prior)
    x = known.sample(20, 0.3, generator=seeded(0))
    for name in ("score", "denoise", "denoise_cov"):
        assert_close(getattr(bare, name)(x, 0.3), getattr(known, name)(x, 0.3))
    with pytest.raises(TypeError, match=r"`log_prob`.*`given`.*Bare"):
        bare.log_prob(x, 0.3)
    with pytest.raises(TypeError, match=r"`sample_denoised`.*`given`.*Bare"):
        bare.sample_denoised(x, 0.3, generator=seeded(0))


def test_it_may_first_be_asked_inside_vmap():
    prior = Denoiser(lambda x, alpha, sigma: alpha * x.sin(), dim=2)
    x = torch.randn(3, 4, 2, generator=seeded(0), dtype=torch.float64)
    found = torch.func.vmap(lambda rows: Diffusion(prior, VP()).denoise_vjp(rows, 0.3, rows))(x)
    fresh = Diffusion(Denoiser(prior.fn, dim=2), VP())
    assert_close(found, fresh.denoise_vjp(x, 0.3, x), rtol=1e-12, atol=0)


def test_one_that_is_constant_needs_no_gradient():
    prior = Denoiser(lambda x, alpha, sigma: torch.ones_like(x), dim=2)  # of a single atom
    x = torch.randn(3, 2, generator=seeded(0), dtype=torch.float64)
    assert Diffusion(prior, VP()).denoise_cov_product(x, 0.3, x).abs().max() == 0
