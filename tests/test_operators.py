"""Operators against loops, NumPy and the symmetries that each must have."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from fsps_lite import Linear, Nonlinear, blur, downsample, fourier_magnitude, mask
from tests.oracles import assert_near, rounding, seeded

seeds = st.integers(0, 10_000)


def normal(seed, *shape):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


@given(seed=seeds, m=st.integers(1, 4), d=st.integers(1, 4), offset=st.booleans())
def test_linear_is_a_matrix_and_an_offset(seed, m, d, offset):
    matrix, x = normal(seed, m, d), normal(seed + 1, 2, 3, d)
    b = normal(seed + 2, m) if offset else None
    y = Linear(matrix, b)(x)
    assert y.shape == (2, 3, m)
    wanted = np.zeros((2, 3, m))
    for i, j, r in np.ndindex(2, 3, m):
        wanted[i, j, r] = sum(float(matrix[r, c] * x[i, j, c]) for c in range(d))
        wanted[i, j, r] += float(b[r]) if offset else 0.0
    assert_close(y, torch.tensor(wanted))
    assert_close(Linear(matrix, b)(x[0, 0]), y[0, 0])


def test_linear_in_another_dtype():
    operator = Linear(normal(0, 2, 3), normal(1, 2))
    x = normal(2, 5, 3)
    assert operator.to(torch.float32)(x.float()).dtype == torch.float32
    size = (x.abs() @ operator.matrix.abs().mT + operator.offset.abs()).max()
    # the matrix, x, their product, and three sums
    bound = rounding(torch.float32, float(size), operations=6)
    assert_near(operator.to(torch.float32)(x.float()), operator(x), bound)
    assert Linear(operator.matrix).to(torch.float32).offset is None


@given(bits=st.lists(st.booleans(), min_size=1, max_size=9).filter(any))
def test_mask_keeps_what_is_observed(bits):
    observed = torch.tensor(bits)
    x = normal(len(bits), 4, len(bits))
    assert torch.equal(mask(observed)(x), x[:, observed])
    assert mask(observed, dtype=torch.float32)(x.float()).dtype == torch.float32


@given(seed=seeds, blocks=st.integers(1, 4), factor=st.integers(1, 3))
def test_downsample_is_an_average_over_blocks(seed, blocks, factor):
    side = blocks * factor
    image = normal(seed, 3, side * side)
    pooled = torch.nn.functional.avg_pool2d(image.reshape(3, 1, side, side), factor)
    assert_close(downsample(side, factor)(image), pooled.flatten(1))


@given(seed=seeds, side=st.integers(2, 6), width=st.floats(0.3, 3.0))
def test_blur_is_a_gaussian_average(seed, side, width):
    image = normal(seed, side * side).reshape(side, side).numpy()
    out = blur(side, width)(torch.tensor(image.ravel())).reshape(side, side).numpy()
    for i, j in ((0, 0), (side - 1, 0), (side // 2, side // 2), (0, 1)):
        rows, columns = np.mgrid[:side, :side]
        kernel = np.exp(-((rows - i) ** 2 + (columns - j) ** 2) / (2 * width**2))
        assert_close(float(out[i, j]), float((kernel * image).sum() / kernel.sum()))


def test_blur_keeps_a_flat_image_and_the_orientation():
    flat = torch.full((25,), 3.0, dtype=torch.float64)
    assert_close(blur(5, 1.2)(flat), flat)
    image = normal(0, 5, 5)
    turned = blur(5, 1.2)(image.mT.reshape(-1)).reshape(5, 5)
    assert_close(turned, blur(5, 1.2)(image.reshape(-1)).reshape(5, 5).mT)


@given(seed=seeds, side=st.integers(2, 7))
def test_fourier_magnitude_is_numpys(seed, side):
    image = normal(seed, 2, side * side)
    wanted = np.abs(np.fft.rfft2(image.reshape(2, side, side).numpy(), norm="ortho"))
    assert_close(fourier_magnitude(side)(image), torch.tensor(wanted.reshape(2, -1)))


@given(seed=seeds, down=st.integers(0, 7), right=st.integers(0, 7))
def test_fourier_magnitude_does_not_see_a_shift_or_a_sign(seed, down, right):
    operator, image = fourier_magnitude(8), normal(seed, 8, 8)
    moved = -image.roll((down, right), dims=(0, 1))
    assert_close(operator(moved.reshape(-1)), operator(image.reshape(-1)))


def test_nonlinear_applies_its_function_row_by_row():
    operator = Nonlinear(lambda x: x[..., :1] ** 2 + x[..., 1:], "a sum")
    x = normal(0, 4, 3, 2)
    assert torch.equal(operator(x), x[..., :1] ** 2 + x[..., 1:])
    assert_close(operator(x)[1, 2], operator(x[1, 2]))


@pytest.mark.parametrize(
    ("operator", "d"), [(mask(torch.tensor([True, False])), 2), (blur(3, 1.0), 9)]
)
def test_an_operator_differentiates(operator, d):
    x = normal(0, 2, d).requires_grad_()
    (slope,) = torch.autograd.grad(operator(x).sum(), x)
    assert_close(slope, operator.matrix.sum(0).expand(2, d))
