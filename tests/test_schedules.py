"""Schedules against closed forms, fifty digits, finite differences and a simulated process."""

import math
from dataclasses import dataclass
from typing import ClassVar

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from fsps_lite import VE, VP, Cosine, FlowMatching, Schedule
from fsps_lite.schedules import unit_time
from tests.oracles import seeded

ALL = [VP(), VP(0.1, 2.0), Cosine(), VE(), VE(10.0, 1.5), FlowMatching()]
each = pytest.mark.parametrize("schedule", ALL, ids=repr)
inner_times = st.floats(1e-6, 0.99)
log_times = st.floats(-6, 0).map(lambda e: 10.0**e)


@given(t=log_times, low=st.floats(1e-3, 1.0), high=st.floats(1.0, 30.0))
def test_vp_variance_keeps_twelve_digits(t, low, high):
    mpmath.mp.dps = 50
    exponent = mpmath.mpf(low) * t + (mpmath.mpf(high) - mpmath.mpf(low)) * mpmath.mpf(t) ** 2 / 2
    schedule = VP(low, high)
    variance = mpmath.mpf(1) - mpmath.exp(-exponent)
    assert abs(schedule.variance(t).item() / variance - 1) < 1e-12
    assert abs(schedule.sigma(t).item() / mpmath.sqrt(variance) - 1) < 1e-12
    assert abs(schedule.alpha(t).item() / mpmath.exp(-exponent / 2) - 1) < 1e-12
    assert abs(schedule.alpha_bar(t).item() / mpmath.exp(-exponent) - 1) < 1e-12
    snr = mpmath.log(mpmath.exp(-exponent) / variance)
    assert abs(schedule.log_snr(t).item() - snr) < 1e-12 * max(1, abs(snr))


def test_vp_variance_at_a_millionth():
    """The published code is wrong by 98 % here: 1 - alpha^2 cancels."""
    mpmath.mp.dps = 50
    t = mpmath.mpf(1e-6)
    exact = -mpmath.expm1(-(mpmath.mpf(0.01) * t + (20 - mpmath.mpf(0.01)) * t**2 / 2))
    assert abs(VP().variance(1e-6).item() / exact - 1) < 1e-12


@given(t=st.floats(0, 1), low=st.floats(1e-3, 1.0), high=st.floats(1.0, 30.0))
def test_vp_drift_and_diffusion_are_the_rate(t, low, high):
    beta = low + (high - low) * t
    schedule = VP(low, high)
    assert_close(schedule.drift(t).item(), -beta / 2, rtol=1e-9, atol=0.0)
    assert_close(schedule.diffusion(t).item(), beta, rtol=1e-9, atol=0.0)


@given(t=inner_times)
def test_closed_forms(t):
    angle = torch.tensor(torch.pi * t / 2, dtype=torch.float64)
    x = torch.tensor(t, dtype=torch.float64)
    forms = [
        (Cosine(), angle.cos(), angle.sin(), -torch.pi / 2 * angle.tan(), torch.pi * angle.tan()),
        (VE(10.0, 1.5), x**0, 10 * x**1.5, 0 * x, 300 * x**2),
        (FlowMatching(), 1 - x, x, -1 / (1 - x), 2 * x / (1 - x)),
    ]
    for schedule, alpha, sigma, drift, diffusion in forms:
        for name, wanted in (("alpha", alpha), ("sigma", sigma)):
            assert_close(getattr(schedule, name)(t), wanted, rtol=1e-12, atol=0.0)
        assert_close(schedule.drift(t), drift, rtol=1e-9, atol=1e-14)
        assert_close(schedule.diffusion(t), diffusion, rtol=1e-9, atol=1e-14)


@each
def test_moment_equations_by_finite_differences(schedule):
    """d alpha/dt = drift alpha and d sigma^2/dt = 2 drift sigma^2 + diffusion."""
    h = 1e-5
    for t in (0.05, 0.3, 0.7, 0.95):
        rate = (schedule.alpha(t + h) - schedule.alpha(t - h)) / (2 * h)
        assert_close(rate, schedule.drift(t) * schedule.alpha(t), rtol=1e-7, atol=1e-9)
        rate = (schedule.variance(t + h) - schedule.variance(t - h)) / (2 * h)
        wanted = 2 * schedule.drift(t) * schedule.variance(t) + schedule.diffusion(t)
        assert_close(rate, wanted, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("schedule", [VP(), Cosine(), FlowMatching(), VE(3.0, 2.0)], ids=repr)
def test_the_simulated_process_has_these_scales(schedule):
    """dx = drift x dt + sqrt(diffusion) dw from x = 2, within 4 standard errors of 5,000 paths."""
    n, steps, end, start = 5000, 500, 0.8, 2.0
    generator, dt = seeded(0), end / steps
    x = torch.full((n,), start, dtype=torch.float64)
    middles = (torch.arange(steps, dtype=torch.float64) + 0.5) * dt
    for drift, diffusion in zip(schedule.drift(middles), schedule.diffusion(middles), strict=True):
        z = torch.randn(n, generator=generator, dtype=torch.float64)
        x = x + drift * (1 + drift * dt / 2) * x * dt + (diffusion * dt).sqrt() * z
    mean, variance = start * schedule.alpha(end), schedule.variance(end)
    # the midpoint rule's own error at this step is below a tenth of a standard error
    assert abs(x.mean() - mean) < 4 * (variance / n).sqrt()
    assert abs(x.var() - variance) < 4 * variance * (2 / n) ** 0.5


@each
def test_ends_and_identities(schedule):
    assert schedule.alpha(0) == 1
    assert schedule.sigma(0) == 0
    t = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
    assert_close(schedule.variance(t), schedule.sigma(t) ** 2)
    assert_close(schedule.alpha_bar(t), schedule.alpha(t) ** 2)
    ratio = (schedule.alpha(t) / schedule.sigma(t)) ** 2
    assert_close(schedule.log_snr(t), ratio.log(), rtol=1e-10, atol=1e-10)
    assert (schedule.log_snr(t).diff() < 0).all()
    assert (schedule.diffusion(t) >= 0).all()


@pytest.mark.parametrize("schedule", [VP(), VP(0.1, 2.0), Cosine()], ids=repr)
@given(t=st.floats(0, 1))
def test_variance_is_preserved(schedule, t):
    assert_close((schedule.alpha_bar(t) + schedule.variance(t)).item(), 1.0, rtol=0, atol=1e-15)


@each
def test_numbers_and_tensors_agree_elementwise(schedule):
    grid = torch.linspace(0.1, 0.9, 6, dtype=torch.float64).reshape(2, 3)
    for name in ("alpha", "sigma", "variance", "alpha_bar", "log_snr", "drift", "diffusion"):
        method = getattr(schedule, name)
        together = method(grid)
        assert together.shape == grid.shape
        single = torch.stack([method(float(t)) for t in grid.flatten()])
        assert_close(together.flatten(), single, rtol=1e-13, atol=1e-13)


@each
def test_a_time_in_float32_loses_only_its_own_rounding(schedule):
    t = torch.tensor(1e-3)
    assert t.dtype == torch.float32
    for name in ("alpha", "sigma", "variance", "drift", "diffusion"):
        value = getattr(schedule, name)(t)
        assert value.dtype == torch.float64
        assert_close(value, getattr(schedule, name)(t.double()), rtol=0, atol=0)
    assert (schedule.alpha(0.5) * torch.ones(3)).dtype == torch.float32


@each
def test_slopes_need_no_gradient_of_the_caller(schedule):
    with torch.no_grad():
        inside = schedule.drift(0.4), schedule.diffusion(0.4)
    assert inside == (schedule.drift(0.4), schedule.diffusion(0.4))
    assert not schedule.drift(torch.tensor(0.4, requires_grad=True)).requires_grad


def test_two_lines_make_a_schedule():
    class Quadratic(Schedule):
        def alpha(self, t):
            return 1 - torch.as_tensor(t, dtype=torch.float64) ** 2

        def sigma(self, t):
            return torch.as_tensor(t, dtype=torch.float64)

    drift, diffusion = Quadratic().drift(0.5), Quadratic().diffusion(0.5)
    assert_close(drift.item(), -2 * 0.5 / 0.75)
    assert_close(diffusion.item(), 2 * 0.5 + 2 * (2 * 0.5 / 0.75) * 0.25)
    with pytest.raises(TypeError, match="abstract"):
        Schedule()


@each
def test_noise_is_sigma_of_one(schedule):
    n = 20_000
    x = schedule.noise(n, 2, generator=seeded(1))
    variance = float(schedule.variance(1.0))
    assert (x.mean(0).abs() < 4 * (variance / n) ** 0.5).all()
    assert ((x.var(0) - variance).abs() < 4 * variance * (2 / n) ** 0.5).all()
    assert torch.equal(x, schedule.noise(n, 2, generator=seeded(1)))
    assert schedule.noise(3, 2, generator=seeded(1), dtype=torch.float32).dtype == torch.float32


class Table(Schedule):
    """A thousand betas that are looked up: autograd sees none of it."""

    def alpha(self, t):
        kept = torch.linspace(1.0, 0.01, 1001, dtype=torch.float64)
        return kept[(torch.as_tensor(t, dtype=torch.float64) * 1000).round().long()]

    def sigma(self, t):
        return (1 - self.alpha(t) ** 2).sqrt()


def test_what_autograd_does_not_see_is_not_taken_for_constant():
    with pytest.raises(ValueError, match="must see how a schedule depends on t.*looked up"):
        Table().drift(0.5)
    assert float(VE().drift(0.5)) == 0.0  # whose alpha is a constant


@pytest.mark.parametrize("schedule", [VP(), VE(), Cosine(), FlowMatching()])
def test_derivatives_are_the_same_in_inference_mode(schedule):
    """They were 0 there: no gradient was taken for no slope."""
    wanted = schedule.drift(0.5), schedule.diffusion(0.5)
    with torch.inference_mode():
        found = schedule.drift(0.5), schedule.diffusion(0.5)
        assert_close(found, wanted, rtol=0, atol=0)
    assert float(wanted[1]) > 0.1


@pytest.mark.parametrize("schedule", [VP(), VE(), Cosine(), FlowMatching()])
def test_a_schedule_says_where_to_start(schedule):
    start, x = schedule.start, schedule.noise(4000, 1, generator=torch.Generator().manual_seed(0))
    assert 0.98 < start <= 1.0
    assert float(schedule.log_snr(start)) >= -10.01 - 1e-9
    assert float(x.std() / schedule.sigma(start)) == pytest.approx(1.0, abs=4 / 8000**0.5)
    asked = torch.tensor([-5.0, 0.0, 5.0], dtype=torch.float64)
    assert_close(schedule.log_snr(schedule.time_of(asked)), asked, rtol=1e-9, atol=1e-9)


@dataclass(frozen=True)
class Counted(Schedule, fixed=True):
    """Counts how often alpha is computed."""

    rate: float = 1.0
    asked: ClassVar[list] = []

    def alpha(self, t):
        Counted.asked.append(float(unit_time(t)))
        return (-self.rate * unit_time(t)).exp()

    def sigma(self, t):
        return unit_time(t) * 1.0


class Bent(VP):
    """Forgets twice as fast: the closed form of its parent is not its own."""

    def log_alpha_bar(self, t):
        return 2 * super().log_alpha_bar(t)


@pytest.mark.parametrize("schedule", [*ALL, VP(2.0, 2.0), Bent()], ids=repr)
def test_the_time_of_a_log_snr_is_that_time(schedule):
    t = torch.cat([torch.logspace(-6, -1, 11, dtype=torch.float64), torch.linspace(0.1, 0.99, 9)])
    found = schedule.time_of(schedule.log_snr(t))
    assert_close(found, t, rtol=1e-12, atol=0.0)
    assert_close(found.float(), schedule.time_of(schedule.log_snr(t).float()), rtol=1e-5, atol=0.0)
    ends = torch.tensor([torch.inf, -torch.inf], dtype=torch.float64)
    assert_close(schedule.time_of(ends), torch.tensor([0.0, 1.0], dtype=torch.float64))


def test_a_fixed_schedule_computes_each_time_once():
    Counted.asked.clear()
    for t in (0.5, torch.tensor(0.5), torch.tensor(0.5, dtype=torch.float64), 0.25, 0.5, 1, 1.0):
        assert Counted().alpha(t) == math.exp(-float(t))
        Counted().log_snr(t)
    assert Counted.asked == [0.5, 0.25, 1.0]
    assert Counted(2.0).alpha(0.5) == math.exp(-1.0)  # another one


def test_what_is_remembered_is_nobodys():
    """Neither a caller's changes nor its modes come back to another."""
    vp, fresh = VP(), float(VP().sigma(0.3))
    vp.sigma(0.3).mul_(7)
    assert float(VP().sigma(0.3)) == fresh
    with torch.inference_mode():
        VP(beta_max=19.0).sigma(0.4)
    x = torch.ones((), dtype=torch.float64, requires_grad=True)
    (VP(beta_max=19.0).sigma(0.4) * x).backward()
    assert x.grad == VP(beta_max=19.0).sigma(0.4)


@pytest.mark.usefixtures("unchecked")
def test_what_may_change_is_not_remembered():
    t = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    assert VP().alpha(t).requires_grad
    assert torch.func.grad(VP().alpha)(t.detach()) < 0
    beta = torch.tensor(20.0, dtype=torch.float64)
    vp = VP(beta_max=beta)
    before = vp.alpha(0.5)
    beta.mul_(0.5)
    assert vp.alpha(0.5) > before

    class Mine(VP):
        def alpha(self, t):
            return self.factor * VP().alpha(t)

    Mine.factor = 1.0
    one = Mine().log_snr(0.5)
    Mine.factor = 0.5
    assert Mine().log_snr(0.5) < one


@pytest.mark.parametrize("schedule", [VP(), Cosine(), VE(), FlowMatching()], ids=str)
def test_remembered_scales_are_the_scales_of_a_grid(schedule):
    grid = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)
    for name in ("alpha", "sigma", "variance", "log_snr"):
        scale = getattr(schedule, name)
        torch.testing.assert_close(torch.stack([scale(t) for t in grid]), scale(grid))
