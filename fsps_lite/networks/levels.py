"""Noise levels at which a network was trained, and what it is told of each.

A level is s = sigma / alpha, the noise of x_t / alpha: two schedules with the same s at some times
show the same picture there, in another scale. So a network that was trained with one schedule
answers for every other.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.schedules import Schedule

MOST_SIGNAL = 0.5  # at the end of a table, in alpha^2: those of published ones are below .01
SAME = 1e-10  # relative: a level is an entry of a table if it is as near to it
CALL = "Table.of_betas(torch.linspace(1e-4, 0.02, 1000))"


@dataclass(frozen=True)
class Level:
    """Where a network is asked: it sees a (x_0 + s eps), and is told ``condition``."""

    s: float
    a: float
    condition: float | int

    @property
    def b(self) -> float:
        """The scale of the noise in what the network sees."""
        return self.a * self.s


@runtime_checkable
class Levels(Protocol):
    """The levels from ``lowest`` to ``highest``, and which to ask for one between them."""

    @property
    def lowest(self) -> float: ...

    @property
    def highest(self) -> float: ...

    def near(self, s: float) -> list[tuple[float, Level]]:
        """Levels and their weights, which sum to 1: one level if it is known exactly."""
        ...


@dataclass(frozen=True)
class Table:
    """A discrete table, as diffusers and the first papers have it (Ho et al., 2020).

    ``alphas_cumprod``, ``(K,)``, falls from almost 1: entry k is alpha^2 for the condition k, and
    sigma^2 = 1 - alpha^2. A level between two entries is asked at both and interpolated linearly in
    log s; :meth:`grid` has none of these. Raises ValueError unless the table falls inside (0, 1),
    and ends with more noise than signal; a last entry of 0, where there is no signal, is left out.
    """

    alphas_cumprod: Float[Tensor, "K"]

    def __post_init__(self) -> None:
        table, call = self.alphas_cumprod, "Table(torch.as_tensor(alphas_cumprod))"
        checks.floating("alphas_cumprod", table, call)
        checks.shape("alphas_cumprod", table, ("K",), call)
        first, last = float(table[0]), float(table[-1])
        if last == 0 and len(table) > 2:
            what = "`alphas_cumprod` must end above 0: a level without signal has no sigma / alpha"
            raise ValueError(checks.complaint(what, last, "Table(alphas_cumprod[:-1])"))
        if not ((table.diff() < 0).all() and len(table) > 1 and last > 0 and first < 1):
            what = "`alphas_cumprod` must have 2 entries or more that fall, between 0 and 1"
            got = f"{len(table)} from {first:.4g} to {last:.4g}"
            raise ValueError(checks.complaint(what, got, CALL))
        if last > MOST_SIGNAL:
            what = "`alphas_cumprod` must end with more noise than signal, below 1/2"
            call = "Table(alphas.cumprod(0)), where those are alphas, each 1 - beta"
            raise ValueError(checks.complaint(what, f"{last:.4g} at last", call))

    @classmethod
    def of_betas(cls, betas: Float[Tensor, "K"]) -> "Table":
        """The table of the products of 1 - beta, in float64. ``(K,)``.

        Raises ValueError unless the betas lie inside (0, 1) and never fall.
        """
        checks.floating("betas", betas, "Table.of_betas(torch.as_tensor(betas))")
        checks.shape("betas", betas, ("K",), CALL)
        if float(betas[-1]) == 1 and len(betas) > 2:
            what = "`betas` must end below 1: a level without signal has no sigma / alpha"
            raise ValueError(checks.complaint(what, 1.0, "Table.of_betas(betas[:-1])"))
        inside = bool(((betas > 0) & (betas < 1)).all())
        if not inside or bool((betas.diff() < 0).any()):
            what = "`betas` must lie between 0 and 1, and not fall"
            ends = betas[0], betas.amin(), betas.amax(), betas[-1]
            got = "{:.4g} at first, from {:.4g} to {:.4g}, {:.4g} at last".format(*map(float, ends))
            call = f"{CALL}, or Table(alphas_cumprod), where those are the products"
            raise ValueError(checks.complaint(what, got, call))
        return cls((1 - betas.double()).cumprod(0))

    @property
    def lowest(self) -> float:
        return self._s[0]

    @property
    def highest(self) -> float:
        return self._s[-1]

    def near(self, s: float) -> list[tuple[float, Level]]:
        """The entry that s is, or the two entries beside it."""
        logs = self._logs
        k = int(torch.searchsorted(logs, math.log(s)).clamp(1, len(logs) - 1))
        gaps = math.log(s) - float(logs[k - 1]), float(logs[k]) - math.log(s)
        if min(gaps) < SAME:
            return [(1.0, self._level(k - 1 if gaps[0] < SAME else k))]
        share = gaps[0] / sum(gaps)
        return [(1 - share, self._level(k - 1)), (share, self._level(k))]

    def grid(self, schedule: Schedule, steps: int | None = None) -> Float[Tensor, "T"]:
        """Times of ``schedule`` at which the noise is that of an entry: for ``diagnose(grid=)``.

        They fall, ``(T,)``, in float64. With ``steps``, T = steps + 1 entries are taken that are
        about even in log-SNR, without repetition. Without it all are taken. Levels that the
        schedule does not reach are left out.
        """
        call = "table.grid(VP(), steps=250)"
        checks.kind("schedule", schedule, Schedule, call)
        low, high = (schedule.log_snr(t) for t in (schedule.start, 1e-9))
        logs = self._logs[(-2 * self._logs >= low) & (-2 * self._logs <= high)].flip(0)
        if steps is not None:
            checks.count("steps", steps, call)
            ends = float(logs[0]), float(logs[-1])
            wanted = torch.linspace(ends[0], ends[1], steps + 1, dtype=logs.dtype, device="cpu")
            logs = logs[(logs - wanted[:, None]).abs().argmin(-1).unique()]
        return schedule.time_of(-2 * logs)

    def _level(self, k: int) -> Level:
        return Level(self._s[k], float(self.alphas_cumprod[k].double().sqrt()), k)

    @cached_property
    def _s(self) -> list[float]:
        kept = self.alphas_cumprod.double().cpu()
        levels: list[float] = ((1 - kept) / kept).sqrt().tolist()
        return levels

    @cached_property
    def _logs(self) -> Float[Tensor, "K"]:
        return torch.tensor(self._s, dtype=torch.float64, device="cpu").log()


@dataclass(frozen=True)
class Times:
    """Any level between two times of a schedule; the network is told ``condition(t)``.

    ``condition`` is a function of a number; it may multiply t by 1000. Raises ValueError unless 0 <
    first < last <= 1.
    """

    schedule: Schedule
    first: float = 1e-3
    last: float = 1.0
    condition: Callable[[float], float] = lambda t: t

    def __post_init__(self) -> None:
        call = "Times(VP(), first=1e-3, last=1.0)"
        checks.kind("schedule", self.schedule, Schedule, call)
        checks.number("first", self.first, call, least=1e-9)
        checks.number("last", self.last, call, least=self.first, most=1.0)
        checks.function("condition", self.condition, call)

    @cached_property
    def lowest(self) -> float:
        return self._s(self.first)

    @cached_property
    def highest(self) -> float:
        return self._s(self.last)

    def near(self, s: float) -> list[tuple[float, Level]]:
        """The level at the time at which s is reached."""
        log_snr = torch.tensor(-2 * math.log(s), dtype=torch.float64, device="cpu")
        t = float(self.schedule.time_of(log_snr))
        return [(1.0, Level(s, float(self.schedule.alpha(t)), self._condition(t)))]

    def _condition(self, t: float) -> float | int:
        """What the network is told: whole numbers stay whole."""
        value = self.condition(t)
        value = value.item() if isinstance(value, Tensor) and value.ndim == 0 else value
        checks.number("condition(t)", value, "Times(VP(), condition=lambda t: 1000 * t)")
        return int(value) if isinstance(value, Integral) else float(value)

    def _s(self, t: float) -> float:
        return math.exp(-0.5 * float(self.schedule.log_snr(t)))


@dataclass(frozen=True)
class Preconditioned:
    """Any level s; the network sees data and noise of variance 1 together (Karras et al., 2022).

    It is told ln(s) / 4. ``sigma_data`` is the standard deviation of the data.
    """

    lowest: float
    highest: float
    sigma_data: float

    def near(self, s: float) -> list[tuple[float, Level]]:
        """The level s itself."""
        return [(1.0, Level(s, (self.sigma_data**2 + s**2) ** -0.5, math.log(s) / 4))]
