"""Noise schedules: x_t = alpha(t) x_0 + sigma(t) eps, with t = 0 for data and t = 1 for noise.

A schedule is two functions, ``alpha`` and ``sigma``. Everything else follows from them: the
stochastic differential equation  dx = drift x dt + sqrt(diffusion) dw  whose solution has these
two scales is found by differentiation, not by hand.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.types import State, Time, Times

NOISY = -10.01  # the log-SNR of VP() at t = 1, where alpha is .0067

NUMBERS = frozenset((int, float))
KEPT = 2**12  # scales that are remembered: a few runs' worth

MOST_POWER = 50.0  # of t: above it sigma(1e-3)^2 is 0 in float64


def unit_time(t: Times) -> Tensor:
    """``t`` as a float64 tensor, elementwise in [0, 1].

    Float64 whatever the state's dtype: 1 - alpha^2 in float32 is wrong by 1.6e-3 at t = 1e-3.
    A 0-d float64 tensor leaves the dtype of the state that it multiplies as it is.

    Raises ValueError when a time lies outside [0, 1] or is NaN.
    """
    call = "schedule.alpha(0.5), where 0 is data and 1 is noise"
    device = t.device if isinstance(t, Tensor) else "cpu"  # as a number it goes with any device
    t = checks.as_tensor("t", t, torch.empty(0, dtype=torch.float64, device=device), call)
    ends = t.detach().aminmax() if t.ndim else (t.detach(),)
    if not all(0 <= float(end) <= 1 for end in ends):
        got = t.item() if t.ndim == 0 else f"values from {t.min():.3g} to {t.max():.3g}"
        raise ValueError(checks.complaint("`t` must lie in [0, 1]", got, call))
    return t


def derivative(fn: Callable[[Tensor], Tensor], t: Times) -> Tensor:
    """The derivative of ``fn`` at ``t``, elementwise, by automatic differentiation.

    Raises ValueError where ``fn`` moves and automatic differentiation does not see it.
    """
    with torch.inference_mode(False), torch.enable_grad():
        t = unit_time(t).detach().clone().requires_grad_()
        value = fn(t).sum()
        if value.requires_grad:
            return torch.autograd.grad(value, t)[0]
    values = fn(torch.linspace(0.01, 0.99, 99, dtype=torch.float64, device=t.device))
    if bool((values != values[0]).any()):
        what = "automatic differentiation must see how a schedule depends on t"
        got = "alpha or sigma without a gradient, as of a table that is looked up"
        call = "a subclass of Schedule that defines drift(t) and diffusion(t) as well"
        raise ValueError(checks.complaint(what, got, call))
    return torch.zeros_like(t.detach())


def _once(scale: Callable[[Any, Times], Tensor], cls: type) -> Callable[[Any, Times], Tensor]:
    """``scale``, a function of numbers alone, computed once for each time: a step asks for ten.

    Each answer is a copy. A tensor of times, one with a gradient, or one on another device is never
    remembered, and neither is a schedule whose own parameters are tensors.
    """

    @wraps(scale)
    def once(schedule: Any, t: Times) -> Tensor:
        fixed = type(schedule) is cls and NUMBERS.issuperset(map(type, vars(schedule).values()))
        if not fixed or not _is_number(t):
            return scale(schedule, t)
        return _remembered(scale, schedule, float(t)).clone()

    return once


@lru_cache(maxsize=KEPT)
def _remembered(scale: Callable[[Any, Times], Tensor], schedule: Any, t: float) -> Tensor:
    with torch.inference_mode(False):
        return scale(schedule, t)


def _is_number(t: object) -> bool:
    if isinstance(t, Tensor):
        plain = t.ndim == 0 and t.is_cpu and not t.requires_grad
        return plain and not checks.transformed(t)
    return type(t) in NUMBERS


@dataclass(frozen=True)
class Schedule(ABC):
    """How much signal and how much noise x_t holds: x_t = alpha(t) x_0 + sigma(t) eps.

    A schedule of your own defines ``alpha`` and ``sigma``, one line each. All methods take a
    number or a tensor of times in [0, 1], and return float64 tensors of the same shape.
    ``class Mine(Schedule, fixed=True)`` says that they depend on t and the fields alone: each time
    is then computed once.
    """

    def __init_subclass__(cls, *, fixed: bool = False) -> None:
        super().__init_subclass__()
        for name in ("alpha", "sigma", "variance", "log_snr") if fixed else ():
            setattr(cls, name, _once(getattr(cls, name), cls))

    @abstractmethod
    def alpha(self, t: Times) -> Tensor:
        """The factor of the signal; alpha(0) = 1."""

    @abstractmethod
    def sigma(self, t: Times) -> Tensor:
        """The standard deviation of the noise, in units of x; sigma(0) = 0."""

    def variance(self, t: Times) -> Tensor:
        """sigma(t)^2, in units of x squared."""
        return self.sigma(t) ** 2

    def alpha_bar(self, t: Times) -> Tensor:
        """alpha(t)^2, the share of the signal's power that is left (Ho et al., 2020)."""
        return self.alpha(t) ** 2

    def log_snr(self, t: Times) -> Tensor:
        """log(alpha^2 / sigma^2), the log signal-to-noise ratio, in nats (Kingma et al., 2021)."""
        alpha, variance = self.alpha(t), self.variance(t)
        for name, value in (("alpha(t)", alpha), ("sigma(t)^2", variance)):
            checks.floating(name, value, "schedule.alpha(torch.tensor(0.5))")
        return 2 * alpha.log() - variance.log()

    def time_of(self, log_snr: Float[Tensor, "*times"]) -> Float[Tensor, "*times"]:
        """The times at which the log-SNR, which falls with t, has these values.

        At 0 or 1 where it has them nowhere. By bisection where a schedule has no closed form.
        """
        if "_time_of" in vars(type(self)):  # and not in a parent: a subclass may bend the scales
            return self._time_of(log_snr.double()).clamp(0.0, 1.0).to(log_snr)
        low, high = torch.zeros_like(log_snr), torch.ones_like(log_snr)
        for _ in range(64):
            middle = (low + high) / 2
            noisy = self.log_snr(middle) < log_snr
            low, high = torch.where(noisy, low, middle), torch.where(noisy, middle, high)
        return (low + high) / 2

    def _time_of(self, log_snr: Tensor) -> Tensor:
        """:meth:`time_of` in closed form, where there is one."""
        raise NotImplementedError

    @property
    def start(self) -> float:
        """Where a reverse process starts: at 1, if the log-SNR there is not below NOISY, or at it.

        A cloud of noise without any signal says nothing of the next step.
        """
        if self.log_snr(unit_time(1.0)) >= NOISY:
            return 1.0
        return float(self.time_of(torch.tensor(NOISY, dtype=torch.float64, device="cpu")))

    def drift(self, t: Times) -> Tensor:
        """d log alpha / dt, the factor of x in dx = drift x dt + sqrt(diffusion) dw."""
        return derivative(lambda s: self.alpha(s).log(), t)

    def diffusion(self, t: Times) -> Tensor:
        """d sigma^2/dt - 2 drift sigma^2, the squared factor of dw (Kingma et al., 2021)."""
        return derivative(self.variance, t) - 2 * self.drift(t) * self.variance(t)

    def noise(
        self,
        n: int,
        dim: int,
        *,
        t: Time | None = None,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float64,
    ) -> State:
        """``n`` points of noise, sigma(t) eps: where a reverse process starts. ``(n, dim)``.

        Without a ``t`` it is that of :attr:`start`.
        """
        call = "schedule.noise(1000, 1, generator=torch.Generator().manual_seed(0))"
        checks.count("n", n, call)
        checks.count("dim", dim, call)
        checks.generator(generator)
        checks.floating("noise", torch.empty(0, dtype=dtype, device="cpu"), call)
        eps = torch.randn(n, dim, generator=generator, dtype=dtype, device=generator.device)
        return self.sigma(self.start if t is None else t) * eps


@dataclass(frozen=True)
class VP(Schedule, fixed=True):
    """Variance preserving: 1 - sigma^2 = alpha^2 = exp(-beta_min t - (beta_max - beta_min) t^2/2).

    The rate of forgetting grows linearly, beta(t) = beta_min + (beta_max - beta_min) t
    (Song et al., 2021). Data of unit variance keep it at every t.
    """

    beta_min: float = 0.01
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        call = "VP(beta_min=0.01, beta_max=20.0)"
        checks.positive("beta_min", self.beta_min, call)
        checks.positive("beta_max", self.beta_max, call)
        checks.number("beta_max", self.beta_max, call, least=float(self.beta_min))

    def log_alpha_bar(self, t: Times) -> Tensor:
        """The integral of -beta from 0 to t."""
        t = unit_time(t)
        return -self.beta_min * t - (self.beta_max - self.beta_min) * t**2 / 2

    def alpha(self, t: Times) -> Tensor:
        return (self.log_alpha_bar(t) / 2).exp()

    def variance(self, t: Times) -> Tensor:
        return -torch.expm1(self.log_alpha_bar(t))  # 1 - alpha^2 would cancel near t = 0

    def sigma(self, t: Times) -> Tensor:
        return self.variance(t).sqrt()

    def _time_of(self, log_snr: Tensor) -> Tensor:
        """Where the integral of beta, a parabola in t, is log(1 + 1 / SNR)."""
        integral = torch.logaddexp(torch.zeros_like(log_snr), -log_snr)
        integral = integral.clamp(max=(self.beta_min + self.beta_max) / 2)  # that of t = 1
        root = (self.beta_min**2 + 2 * (self.beta_max - self.beta_min) * integral).sqrt()
        return 2 * integral / (self.beta_min + root)


@dataclass(frozen=True)
class Cosine(Schedule, fixed=True):
    """alpha = cos(pi t / 2), sigma = sin(pi t / 2): a walk along the unit circle (Nichol, 2021)."""

    def alpha(self, t: Times) -> Tensor:
        return (unit_time(t) * torch.pi / 2).cos()

    def sigma(self, t: Times) -> Tensor:
        return (unit_time(t) * torch.pi / 2).sin()

    def _time_of(self, log_snr: Tensor) -> Tensor:
        return (-log_snr / 2).exp().atan() * 2 / torch.pi


@dataclass(frozen=True)
class VE(Schedule, fixed=True):
    """Variance exploding: alpha = 1 and sigma grows as a power of t (Karras et al., 2022).

    sigma(t) = sigma_max t^power. Nothing shrinks the signal, so sigma_max, in units of x, must be
    large against the spread of the data.
    """

    sigma_max: float = 80.0
    power: float = 3.0

    def __post_init__(self) -> None:
        call = "VE(sigma_max=80.0, power=3.0)"
        checks.positive("sigma_max", self.sigma_max, call)
        checks.positive("power", self.power, call)
        checks.number("power", self.power, call, most=MOST_POWER)

    def alpha(self, t: Times) -> Tensor:
        return torch.ones_like(unit_time(t))

    def sigma(self, t: Times) -> Tensor:
        return self.sigma_max * unit_time(t) ** self.power

    def _time_of(self, log_snr: Tensor) -> Tensor:
        return ((-log_snr / 2).exp() / self.sigma_max) ** (1 / self.power)


@dataclass(frozen=True)
class FlowMatching(Schedule, fixed=True):
    """alpha = 1 - t, sigma = t: the straight line from data to noise (Lipman et al., 2023)."""

    def alpha(self, t: Times) -> Tensor:
        return 1 - unit_time(t)

    def sigma(self, t: Times) -> Tensor:
        return unit_time(t) * 1.0

    def _time_of(self, log_snr: Tensor) -> Tensor:
        return (-log_snr / 2).sigmoid()
