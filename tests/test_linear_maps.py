"""Linear operators without a matrix, against dense ones, SciPy, NumPy and loops."""

import math
import pickle
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch.testing import assert_close

from benchmarks.operators import conditioning
from fsps_lite import (
    DPS,
    TMPD,
    VP,
    Denoiser,
    DiagonalTMPD,
    Diffusion,
    Empirical,
    GaussianMixture,
    Likelihood,
    Linear,
    PiGDM,
    ZetaDPS,
    blur,
    downsample,
    fourier_mask,
    fourier_samples,
    mask,
    matched_score,
    motion_blur,
    projections,
)
from fsps_lite.guidance import conjugate, matched, transport
from fsps_lite.operators import linear
from tests.oracles import random_mixture_parts, seeded

F64 = {"dtype": torch.float64}
SCIPY = {"zero": "constant", "periodic": "wrap", "reflect": "mirror"}
seeds, sides = st.integers(0, 999), st.integers(1, 6)
shapes = st.tuples(st.integers(1, 3), sides, sides)


def normal(seed, *shape):
    return torch.randn(*shape, generator=seeded(seed), **F64)


def some(seed, *shape):
    """Booleans, not all False."""
    chosen = torch.rand(shape, generator=seeded(seed)) < 0.5
    return chosen if chosen.any() else ~chosen


OPERATORS = {
    "mask": lambda shape, seed: mask(some(seed, *shape)),
    "downsample": lambda shape, seed: downsample((shape[0], 2 * shape[1], 2 * shape[2]), 2),
    "blur": lambda shape, seed: blur(shape, (0.8, 1.7)),
    "a periodic blur": lambda shape, seed: blur(shape, 0.9, edges="periodic"),
    "an even kernel": lambda shape, seed: blur(shape, kernel=normal(seed, 2, 4), edges="reflect"),
    "Fourier samples": lambda shape, seed: fourier_samples(some(seed, *shape)),
    "motion": lambda shape, seed: motion_blur(shape, 0.5 + seed % 5, float(seed), edges="zero"),
    "projections": lambda shape, seed: projections(shape, [0.0, 0.7, 2.0]),
    "some Fourier samples": lambda shape, seed: fourier_samples(
        fourier_mask(shape, 0.5, low=seed % 2, generator=seeded(seed))
        if min(shape[1:]) > 1
        else some(seed, *shape)
    ),
}


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # jacfwd in some of torch
@settings(max_examples=15)
@given(kind=st.sampled_from(sorted(OPERATORS)), shape=shapes, seed=seeds)
def test_an_adjoint_is_the_transpose_and_the_gradient(kind, shape, seed):
    operator = OPERATORS[kind](shape, seed)
    columns = [operator(unit) for unit in torch.eye(operator.dim, **F64)]
    matrix = torch.stack(columns, -1)
    assert matrix.shape == (operator.out, operator.dim)
    assert torch.equal(operator.matrix, matrix) or torch.allclose(operator.matrix, matrix)
    x, y = normal(seed, 2, 3, operator.dim), normal(seed + 1, 2, 3, operator.out)
    assert_close(operator(x), x @ matrix.mT)
    assert_close(operator.adjoint(y), y @ matrix)
    assert_close(torch.func.vmap(operator)(x[0]), operator(x[0]))
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        assert_close(jacobian(operator)(x[0, 0]), matrix)
    single = operator.to(torch.float32)
    assert_close(single.adjoint(y.float()).double(), y @ matrix, rtol=1e-4, atol=1e-4)
    assert single.matrix.dtype == torch.float32
    assert operator.to("meta").matrix.is_meta  # it is made where the operator is


@settings(max_examples=15)
@given(shape=shapes, h=st.integers(1, 5), w=st.integers(1, 4), seed=seeds)
def test_a_blur_is_scipys_convolution(shape, h, w, seed):
    image, kernel = normal(seed, *shape), torch.rand(h, w, generator=seeded(seed + 1), **F64) + 0.1
    for edges, mode in SCIPY.items():
        found = blur(shape, kernel=kernel, edges=edges)(image.flatten()).reshape(shape)
        wanted = ndimage.convolve(image.numpy(), kernel.numpy()[None], mode=mode)
        assert_close(found, torch.from_numpy(wanted), rtol=1e-10, atol=1e-12)
    parts = [
        ndimage.convolve(part, kernel.numpy()[None], mode="constant")
        for part in (image.numpy(), np.ones(shape))
    ]
    found = blur(shape, kernel=kernel)(image.flatten()).reshape(shape)
    assert_close(found, torch.from_numpy(parts[0] / parts[1]), rtol=1e-10, atol=1e-12)


@settings(max_examples=10)
@given(shape=shapes, width=st.floats(0.2, 1.0), seed=seeds)
def test_a_gaussian_blur_at_each_border(shape, width, seed):
    image = normal(seed, *shape)
    for edges, mode in SCIPY.items():
        found = blur(shape, width, edges=edges)(image.flatten()).reshape(shape)
        std = (0.0, width, width)
        wanted = ndimage.gaussian_filter(image.numpy(), std, mode=mode, truncate=12.0)
        assert_close(found, torch.from_numpy(wanted), rtol=1e-10, atol=1e-12)


@settings(max_examples=10)
@given(shape=shapes, seed=seeds)
def test_fourier_samples_are_numpys_and_orthonormal(shape, seed):
    sampled = some(seed, *shape)
    operator, image = fourier_samples(sampled), normal(seed, *shape)
    assert_close(operator.matrix @ operator.matrix.mT, torch.eye(operator.out, **F64))
    kept = operator.adjoint(operator(image.flatten())).reshape(shape)
    spectrum, opposite = (np.fft.fft2(v.numpy(), norm="ortho") for v in (image, kept))
    chosen = sampled.numpy()
    turned = np.roll(chosen[:, ::-1, ::-1], (1, 1), (1, 2))
    wanted = np.where(chosen | turned, spectrum, 0)  # what was sampled, and nothing else
    assert_close(torch.from_numpy(opposite), torch.from_numpy(wanted))
    whole = fourier_samples(torch.ones(shape, dtype=torch.bool))
    assert whole.out == whole.dim


def test_projections_are_sums_along_lines():
    image = normal(0, 4, 5)
    views = projections((4, 5), [0.0, math.pi / 2, math.pi / 4])(image.flatten()).reshape(3, -1)
    assert_close(views.sum(-1), image.sum().expand(3))
    assert_close(views[0][views[0].abs() > 1e-9], image.sum(0))
    middle = views.shape[1] // 2  # four rows lie half a bin beside it
    shared = torch.zeros(views.shape[1], **F64)
    for i, total in enumerate(image.sum(1)):
        shared[middle - 2 + i] += total / 2
        shared[middle - 1 + i] += total / 2
    assert_close(views[1], shared)


@pytest.mark.parametrize("make", [np.array, list, torch.tensor])
def test_a_mask_may_be_an_image_an_array_or_a_list(make):
    observed = make([[True, False, True], [False, False, True]])
    x = normal(0, 2, 6)
    assert torch.equal(mask(observed)(x), x[:, [0, 2, 5]])
    assert repr(mask(observed)) == "Linear.of(dim=6, out=3, dtype=torch.float64)"


# Two functions of one's own


def pair(matrix, offset=None):
    """The operator of a matrix, without the matrix."""
    return Linear.of(
        lambda x: x @ matrix.to(x).mT,
        lambda y: y @ matrix.to(y),
        dim=matrix.shape[1],
        out=len(matrix),
        offset=offset,
    )


def test_two_functions_do_what_their_matrix_does():
    matrix, offset, x = normal(0, 2, 3), normal(1, 2), normal(2, 4, 3)
    dense, free = Linear(matrix, offset), pair(matrix, offset)
    assert (dense.dim, dense.out) == (free.dim, free.out) == (3, 2)
    for known, found in ((dense, free), (dense.to(torch.float32), free.to(torch.float32))):
        assert_close(found(x.to(found.dtype)), known(x.to(known.dtype)))
        assert_close(found.matrix, known.matrix)
        assert_close(found.offset, known.offset)
    assert dense(x[:0]).shape == free(x[:0]).shape == (0, 2)
    assert free == free
    assert free != pair(matrix, offset)


def test_functions_of_numpy_have_their_gradient():
    """Autograd does not see through them; the adjoint does."""
    matrix = normal(0, 2, 3)
    free = Linear.of(
        lambda x: torch.from_numpy(x.numpy() @ matrix.numpy().T),
        lambda y: torch.from_numpy(y.numpy() @ matrix.numpy()),
        dim=3,
        out=2,
    )
    x = normal(1, 4, 3).requires_grad_()
    (slope,) = torch.autograd.grad(free(x).square().sum(), x, create_graph=True)
    assert_close(slope, 2 * x @ matrix.mT @ matrix)
    (curve,) = torch.autograd.grad(slope.sum(), x)
    assert_close(curve, (2 * matrix.mT @ matrix).sum(0).expand(4, 3))


def test_a_matrix_made_in_inference_mode_still_has_gradients():
    operator, x = blur(3, 1.0), normal(0, 2, 9).requires_grad_()
    with torch.inference_mode():
        _ = operator.matrix
    (x @ operator.matrix.mT).sum().backward()
    assert_close(x.grad, operator.matrix.sum(0).expand(2, 9))


def test_the_operators_of_images_can_be_sent_to_another_process():
    x = normal(0, 2, 6)
    for operator in (mask([True] * 5 + [False]), blur((2, 3), 1.0), projections((2, 3), [0.3])):
        assert_close(pickle.loads(pickle.dumps(operator))(x), operator(x))


# Conditioning and guidance


def test_a_mixture_is_conditioned_without_the_matrix():
    prior = GaussianMixture(*random_mixture_parts(0, 3, 4))
    matrix, offset, y = normal(1, 2, 4), normal(2, 2), normal(3, 2)
    known, found = (prior.condition(Likelihood(A(matrix, offset), y, 0.3)) for A in (Linear, pair))
    for name in ("log_weights", "means", "covs"):
        assert_close(getattr(found, name), getattr(known, name), rtol=1e-10, atol=1e-12)


def test_many_atoms_are_asked_in_parts():
    x, likelihood = normal(0, 10_000, 3), Likelihood(Linear(normal(1, 2, 3)), normal(2, 2), 0.5)
    whole = likelihood.log_prob(x[None])[0]  # a cloud of clouds is asked at once
    assert_close(likelihood.log_prob(x), whole, rtol=1e-13, atol=1e-13)


@pytest.fixture
def large(monkeypatch):
    """Every operator is large."""
    monkeypatch.setattr(linear, "LARGEST", 0)


METHODS = {
    "DPS": DPS,
    "PiGDM": PiGDM,
    "TMPD": TMPD,
    "DiagonalTMPD": DiagonalTMPD,
}
STDS = [0.3, torch.tensor([0.1, 2.0, 0.5], **F64)]


@pytest.mark.parametrize("way", ["products", "conjugate gradients"])
@pytest.mark.parametrize(("method", "std"), [*product(METHODS, STDS), ("ZetaDPS", 0.3)])
def test_guidance_needs_no_matrix(method, way, std, large, monkeypatch):
    prior = Diffusion(GaussianMixture(*random_mixture_parts(0, 3, 4)), VP())
    matrix, y, x = normal(1, 3, 4), normal(2, 3), normal(3, 2, 5, 4)
    known, found = (
        (METHODS | {"ZetaDPS": ZetaDPS})[method](prior, Likelihood(operator, y, std))
        for operator in (Linear(matrix), pair(matrix))
    )
    wanted = known(x, 0.4)
    if way != "products":
        monkeypatch.setattr(matched, "DIRECT", 2)
    assert_close(found(x, 0.4), wanted, rtol=1e-4, atol=1e-5)
    assert_close(found(x[0, 0], 0.4), wanted[0, 0], rtol=1e-4, atol=1e-5)
    if method != "ZetaDPS":
        logs = found.log_likelihood(x, 0.4), known.log_likelihood(x, 0.4)
        assert_close(*logs, equal_nan=True)  # a row sum of DiagonalTMPD may be negative


@pytest.mark.parametrize("V", [0.7, normal(5, 4, 4), normal(6, 5, 4, 4)], ids=["1", "V", "a row"])
@pytest.mark.parametrize("most", [512, 2], ids=["products", "conjugate gradients"])
def test_each_kind_of_covariance_needs_no_matrix(V, most, large, monkeypatch):
    V = V @ V.mT if isinstance(V, torch.Tensor) else V
    prior = Diffusion(GaussianMixture(*random_mixture_parts(0, 3, 4)), VP())
    matrix, y, x = normal(1, 3, 4), normal(2, 3), normal(3, 5, 4)
    wanted = matched_score(prior, Likelihood(Linear(matrix), y, 0.3), x, 0.4, V)
    monkeypatch.setattr(matched, "DIRECT", most)
    found = matched_score(prior, Likelihood(pair(matrix), y, 0.3), x, 0.4, V)
    assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(max_examples=15)
@given(seed=seeds, m=st.integers(1, 6))
def test_conjugate_gradients_solve_each_row(seed, m, dtype):
    root, r = normal(seed, 4, m, m), normal(seed + 1, 4, m).to(dtype)
    matrix = (root @ root.mT + 0.1 * torch.eye(m, **F64)).to(dtype)
    r[1], r[2] = 0.0, math.nan
    found = conjugate.solved(lambda u: (matrix @ u.unsqueeze(-1)).squeeze(-1), lambda v: v / 2, r)
    wanted = torch.linalg.solve(matrix, r.unsqueeze(-1)).squeeze(-1)
    error = (matrix @ (found - wanted).unsqueeze(-1)).norm(dim=(-2, -1))
    assert (error[[0, 3]] <= 1.1 * conjugate.tolerance(dtype) * r[[0, 3]].norm(dim=-1)).all()
    assert torch.equal(found[1], r[1])
    assert found[2].isnan().all()


def test_a_row_that_does_not_converge_is_nan(monkeypatch):
    scales = torch.stack([torch.ones(3, **F64), torch.tensor([1.0, 10.0, 100.0], **F64)])
    r = torch.ones(2, 3, **F64)
    assert_close(conjugate.solved(lambda u: scales * u, torch.clone, r), r / scales)
    monkeypatch.setattr(conjugate, "ITERATIONS", 2)
    found = conjugate.solved(lambda u: scales * u, torch.clone, r)
    assert found.isnan().all(-1).tolist() == [False, True]


def test_a_matrix_that_is_not_positive_is_nan():
    found = conjugate.solved(lambda u: -u, torch.clone, torch.ones(1, 3, **F64))
    assert found.isnan().all()


def test_a_users_denoiser_is_guided_on_a_large_image():
    """3 x 256 x 256 pixels, half of them seen: the matrix would be 155 GB."""
    observed = torch.rand(3, 256, 256, generator=seeded(0)) < 0.5
    d = observed.numel()
    prior = Diffusion(Denoiser(lambda x, a, s: a * x / (a**2 + s**2), dim=d), VP())
    x, seen = normal(1, 1, d), observed.flatten().double()
    likelihood = Likelihood(mask(observed), mask(observed)(normal(2, d)), 0.1)
    alpha, t = prior.schedule.alpha(0.5), 0.5
    residual = mask(observed).adjoint(likelihood.y) - seen * alpha * x  # alpha^2 + sigma^2 = 1
    left = 1 - alpha**2
    for method, noise_var in ((DPS, 0.01), (PiGDM, 0.01 + left), (TMPD, 0.01 + left)):
        wanted = alpha * residual / noise_var
        assert_close(method(prior, likelihood).likelihood_score(x, t), wanted)


def test_noise_knows_products_with_its_covariance():
    y, v = torch.zeros(3, **F64), normal(0, 2, 3)
    factor = torch.linalg.cholesky(torch.eye(3, **F64) + 0.3)
    for std in (0.3, factor.diagonal().clone(), factor):
        noise = Likelihood(Linear(torch.eye(3, **F64)), y, std).noise
        assert_close(noise.cov_product(v), v @ noise.cov)


@pytest.mark.parametrize("std", [10.0, torch.full((64,), 10.0), 10 * torch.eye(64)])
def test_atoms_are_conditioned_on_every_kind_of_noise(std):
    """One solve for all rows: the same weights, and no (m, m) array a row."""
    atoms = torch.randn(5000, 128, generator=seeded(0))
    operator = mask(torch.arange(128) < 64, dtype=torch.float32)
    likelihood = Likelihood(operator, atoms[0, :64].clone(), std)
    found = Empirical.from_samples(atoms).condition(likelihood).weights
    misfit = (atoms[:, :64].double() - likelihood.y.double()).square().sum(-1) / 100
    assert_close(found.double(), (-0.5 * misfit).softmax(0), rtol=1e-4, atol=0)


@pytest.mark.long
def test_many_atoms_are_conditioned_in_the_memory_that_they_take():
    row = conditioning()
    _, megabytes = row.measure()
    assert megabytes is None or megabytes <= row.most_over * row.data_mb


def test_a_large_spread_is_refused_by_a_sentence(large, monkeypatch):
    monkeypatch.setattr(transport, "LARGEST", 8)
    prior = Diffusion(GaussianMixture(*random_mixture_parts(0, 3, 4)), VP())
    method = TMPD(prior, Likelihood(pair(normal(1, 3, 4)), normal(2, 3), 0.3))
    with pytest.raises(ValueError, match="m = 3 measurements"):
        method.log_likelihood(normal(3, 1, 4), 0.4)
