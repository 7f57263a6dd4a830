"""One method on one problem at several measurements: a row of a leaderboard."""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite.diagnosis.cells import Judged
from fsps_lite.estimate import Estimate

HEAD: tuple[str, ...] = ("problem", "method", "TV", "exact", "W1", "exact", "worst y", "there")
HEAD += ("weight", "spread", "at t", "outside", "coupled", "lost", "calls", "seconds")


@dataclass(frozen=True)
class Maker:
    """What made a row: the package and its version, and the settings of the run."""

    package: str
    version: str
    settings: dict[str, int] = field(default_factory=dict)
    of: str = ""  # another text for another method or other measurements
    tuned: dict[str, object] | None = None


@dataclass(frozen=True)
class Row:
    """One method on one problem: :class:`Judged` at each ``y``, ``(Y, m)``, and means over y.

    ``coupling`` says how far a particle moves by the others of its batch. It is NaN where the
    method names runs, whose particles depend on each other. A row without measurements is that of a
    method that does not take the problem, for the reason ``refused``.
    """

    problem: str
    method: str
    y: Float[Tensor, "Y m"]
    each: tuple[Judged, ...]
    coupling: float = math.nan
    made: Maker = Maker("", "")
    refused: str = ""

    def mean(self, name: str) -> Estimate:
        """The mean over y of a number of :class:`Judged`, with its standard error over y."""
        values = torch.tensor([getattr(one, name) for one in self.each], dtype=torch.float64)
        return Estimate.of(values)

    @property
    def error(self) -> Estimate:
        """The expected total variation between weights, or W1 where there are no parts."""
        return self.mean(self.told)

    @property
    def key(self) -> tuple[str, bool, float]:
        """By which rows are sorted: the problem, and the expected error."""
        value = self.error.value
        return self.problem, math.isnan(value), value

    @property
    def worst(self) -> int:
        """The index of the y at which the error is largest."""
        values = [getattr(one, self.told) for one in self.each]
        return max(
            range(len(values)), key=lambda k: math.inf if values[k] != values[k] else values[k]
        )

    @property
    def told(self) -> str:
        """The number of :class:`Judged` that tells methods apart: parts, or W1 where none are."""
        partless = math.isnan(self.mean("total_variation_null").value)
        return "w1" if partless else "total_variation"

    @property
    def spread(self) -> tuple[float, float]:
        """The spread over that of exact draws where it is furthest from 1, and the time.

        At each time it is the geometric mean over y.
        """
        logs = torch.tensor([one.ratios for one in self.each if one.ratios]).double().log()
        if not len(logs):
            return math.nan, math.nan
        mean = logs.mean(0)
        k = int(mean.abs().argmax())
        times = next(one.times for one in self.each if one.times)
        return float(mean[k].exp()), times[k]

    @property
    def weight(self) -> float:
        """The mean size of the error of the weight that is furthest off."""
        return math.fsum(abs(one.weight) for one in self.each) / len(self.each)

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        names = ("total_variation", "total_variation_null", "w1", "w1_null")
        means = [str(self.mean(name)) for name in names]
        place = ", ".join(f"{v:.3g}" for v in self.y[self.worst][:3].tolist())
        there = f"{getattr(self.each[self.worst], self.told):.3f}"
        spread, time = self.spread
        rest = (f"{self.weight:.3f}", f"{spread:.2g}", f"{time:.2g}")
        coupled = "-" if math.isnan(self.coupling) else f"{self.coupling:.1g}"
        ends = (str(self.mean("hallucinated")), coupled)
        costs = [f"{self.mean(name).value:.3g}" for name in ("diverged", "calls")]
        return (
            *(self.problem, self.method, *means, place, there, *rest, *ends),
            *(*costs, f"{self.mean('seconds').value:.2f}"),
        )
