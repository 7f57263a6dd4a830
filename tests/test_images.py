"""What a measurement does to pictures: motion, chosen frequencies, saturation, counts."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.testing import assert_close

from fsps_lite import (
    Empirical,
    PoissonLikelihood,
    Problem,
    blur,
    fourier_mask,
    mask,
    motion_blur,
    saturation,
)
from fsps_lite.operators.motion import line
from tests.oracles import seeded

F64 = {"dtype": torch.float64}
angles = st.floats(-3.0, 3.0)
lengths = st.floats(0.3, 6.0)


@settings(max_examples=20)
@given(length=lengths, angle=angles)
def test_a_line_turns_with_its_angle(length, angle):
    kernel = line(length, angle)
    assert_close(float(kernel.sum()), 1.0)
    assert_close(kernel, kernel.flip((0, 1)))
    for other, turned in (
        (angle + math.pi, kernel),
        (-angle, kernel.flip(0)),
        (angle + math.pi / 2, kernel.rot90(-1)),
    ):
        assert_close(line(length, other), turned, rtol=0, atol=1e-12)


@settings(max_examples=20)
@given(length=lengths)
def test_a_level_line_is_the_integral_of_a_tent_over_each_pixel(length):
    def area(u):  # of the tent, from minus infinity to u
        u = u.clamp(-1, 1)
        return 0.5 + u - u * u.abs() / 2

    kernel = line(length, 0.0)
    pixel = torch.arange(kernel.shape[1], **F64) - kernel.shape[1] // 2
    wanted = (area(length / 2 - pixel) - area(-length / 2 - pixel)) / length
    found = kernel[len(kernel) // 2]
    # the middle rule: length^2 h^2 / 24 times the curvature, here 2 at each of three kinks
    assert_close(found, wanted, rtol=0, atol=1 / 64**2)
    assert_close(float(found.sum()), 1.0)


def test_motion_leaves_a_slope_as_it_is_and_smears_along_its_line():
    row, column = torch.arange(12.0, **F64)[:, None], torch.arange(9.0, **F64)
    for shape, slope in (
        ((12, 9), 2 * row - column),
        ((2, 12, 9), (row + column).expand(2, 12, 9)),
    ):
        image = slope.expand(shape)
        blurred = motion_blur(shape, 4.0, 0.6, edges="zero")(image.flatten()).reshape(shape)
        inner = (..., slice(3, -3), slice(3, -3))
        assert_close(blurred[inner], image[inner])
    point = torch.zeros(9, 9, **F64)
    point[4, 4] = 1.0
    smear = motion_blur(9, 5.0, math.pi / 4)(point.flatten()).reshape(9, 9)
    assert float(smear[3, 3]) > 0.1 > 0.01 > float(smear[3, 5])  # to larger rows and columns


@settings(max_examples=20)
@given(
    side=st.tuples(st.integers(1, 2), st.integers(2, 9), st.integers(2, 9)),
    share=st.floats(0.3, 1.0),
    low=st.integers(0, 1),
    seed=st.integers(0, 99),
)
def test_a_mask_of_frequencies_is_even_and_as_large_as_was_asked(side, share, low, seed):
    chosen = fourier_mask(side, share, low=low, generator=seeded(seed))
    assert chosen.shape == side
    assert torch.equal(chosen[0], chosen[-1])
    assert torch.equal(chosen, chosen.flip((-2, -1)).roll((1, 1), (-2, -1)))
    count, wanted = int(chosen[0].sum()), round(share * chosen[0].numel())
    assert wanted <= count <= wanted + 1  # a frequency and its opposite come together
    assert low == 0 or bool(chosen[0, 0, 0])
    assert torch.equal(fourier_mask(side[1:], share, low=low, generator=seeded(seed)), chosen[0])


def test_all_low_frequencies_are_taken():
    for seed in range(20):
        chosen = fourier_mask((8, 10), 0.4, low=3, generator=seeded(seed))
        assert bool(chosen[:3, :3].all())
        assert bool(chosen[-2:, -2:].all())
    average = torch.stack(
        [fourier_mask(8, 0.5, generator=seeded(seed)).double() for seed in range(400)]
    ).mean(0)
    rest = torch.ones(8, 8, dtype=torch.bool)
    rest[0, 0] = False
    # 400 draws of a share of about 31 / 63: five standard errors
    assert float((average[rest] - 0.5).abs().max()) < 5 * 0.5 / 20


def test_what_saturates_is_cut_off():
    x = 2 * torch.randn(5, 2 * 3 * 4, generator=seeded(0), **F64)
    cut = saturation(1.0, low=-0.5)
    assert_close(cut(x), torch.where(x > 1, 1.0, torch.where(x < -0.5, -0.5, x)))
    through = blur((2, 3, 4), 1.0)
    assert_close(saturation(0.3, after=through)(x), through(x).minimum(torch.tensor(0.3, **F64)))
    slope = torch.func.jacrev(cut)(x[0]).diagonal()
    assert torch.equal(slope, ((x[0] < 1) & (x[0] > -0.5)).double())


def counts(seed=0, shape=(2, 3, 4)):
    d = math.prod(shape)
    operator = mask(torch.rand(shape, generator=seeded(seed)) < 0.7)
    x = torch.rand(6, d, generator=seeded(seed + 1), **F64)
    silent = PoissonLikelihood(operator, torch.zeros(operator.out, **F64), 20.0, 3.0)
    y = silent.simulate(x[0], generator=seeded(seed + 2))
    return PoissonLikelihood(operator, y, 20.0, 3.0), x


def test_counts_have_scipys_probability():
    likelihood, x = counts()
    rate = 20 * likelihood.operator(x) + 3
    wanted = stats.poisson.logpmf(likelihood.y.numpy(), rate.numpy()).sum(-1)
    assert_close(likelihood.log_prob(x), torch.tensor(wanted), rtol=1e-10, atol=0)
    slope = torch.func.grad(likelihood.log_prob)(x[1])
    by_hand = likelihood.operator.adjoint(20 * (likelihood.y / rate[1] - 1))
    assert_close(slope, by_hand)
    single = likelihood.to(torch.float32)
    assert_close(single.log_prob(x.float()), likelihood.log_prob(x).float(), rtol=1e-4, atol=1e-4)


def test_counts_are_drawn_with_their_mean_and_variance():
    likelihood, x = counts()
    drawn = likelihood.simulate(x[:1].expand(20_000, -1), generator=seeded(0))
    rate = likelihood.rate(x[0])
    assert bool((drawn == drawn.round()).all())
    assert float(((drawn.mean(0) - rate) / (rate / 20_000).sqrt()).abs().max()) < 5
    # Var of a sample variance of Poisson: (rate + 2 rate^2) / n
    error = ((rate + 2 * rate**2) / 20_000).sqrt()
    assert float(((drawn.var(0) - rate) / error).abs().max()) < 5


def test_counts_condition_atoms_and_make_a_problem():
    likelihood, x = counts()
    problem = Problem("counts", Empirical.from_samples(x), likelihood)
    assert_close(problem.posterior.prior.weights, likelihood.log_prob(x).softmax(0))


def test_a_signal_with_a_negative_rate_has_probability_zero_and_no_light_may_be_seen():
    one = mask([True])
    dark = PoissonLikelihood(one, torch.zeros(1, **F64))
    x = torch.tensor([[-0.1], [0.0], [0.5]], **F64)
    assert dark.log_prob(x).tolist() == [-math.inf, 0.0, -0.5]
    seen = PoissonLikelihood(one, torch.ones(1, **F64))
    assert seen.log_prob(x)[:2].tolist() == [-math.inf, -math.inf]


ONE = mask([True, True])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: motion_blur(8, 0.0, 0.3), "`length` must be positive"),
        (lambda: motion_blur(8, 2.0, math.nan), "`angle` must be a finite number"),
        (lambda: fourier_mask(8, 1.5, generator=seeded(0)), "`share` must be a finite number"),
        (lambda: fourier_mask(8, 0.1, low=4, generator=seeded(0)), "`share` must leave room"),
        (lambda: fourier_mask(2, 0.1, low=0, generator=seeded(0)), "`share` must leave room"),
        (lambda: saturation(1.0, low=1.0), "`low` must be below `high`"),
        (lambda: PoissonLikelihood(ONE, torch.tensor([1.5, 0.0], **F64)), "whole numbers of at"),
        (lambda: PoissonLikelihood(ONE, torch.tensor([-1.0, 0.0], **F64)), "whole numbers of at"),
        (lambda: PoissonLikelihood(ONE, torch.zeros(3, **F64)), "`y` must have shape"),
        (
            lambda: PoissonLikelihood(ONE, torch.zeros(2, **F64), gain=0.0),
            "`gain` must be positive",
        ),
        (
            lambda: PoissonLikelihood(ONE, torch.zeros(2, **F64), 1.0, -1.0),
            "`background` must be zero or more",
        ),
        (
            lambda: PoissonLikelihood(ONE, torch.zeros(2, **F64)).simulate(
                -torch.ones(1, 2, **F64), generator=seeded(0)
            ),
            "must be at least 0, got -1",
        ),
    ],
)
def test_wrong_calls_are_answered(call, says):
    with pytest.raises(ValueError, match=says):
        call()
