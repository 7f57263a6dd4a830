"""One method on one problem at several measurements: a row of a leaderboard."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite.diagnosis.cells import Judged
from fsps_lite.estimate import Estimate

HEAD: tuple[str, ...] = (
    "problem",
    "method",
    "TV",
    "exact",
    "W1",
    "exact",
    "worst y",
    "TV there",
    "spread",
)
HEAD += ("lost", "calls", "seconds")


@dataclass(frozen=True)
class Row:
    """One method on one problem: :class:`Judged` at each ``y``, ``(Y, m)``, and means over y."""

    problem: str
    method: str
    y: Float[Tensor, "Y m"]
    each: tuple[Judged, ...]

    def mean(self, name: str) -> Estimate:
        """The mean over y of a number of :class:`Judged`, with its standard error over y."""
        values = torch.tensor([getattr(one, name) for one in self.each], dtype=torch.float64)
        return Estimate.of(values)

    @property
    def key(self) -> tuple[str, bool, float]:
        """By which rows are sorted: the expected total variation, or W1 without parts."""
        told = self.mean(self._told).value
        return self.problem, math.isnan(told), told

    @property
    def worst(self) -> int:
        """The index of the y at which the total variation, or W1 without parts, is largest."""
        values = [getattr(one, self._told) for one in self.each]
        return max(
            range(len(values)), key=lambda k: math.inf if values[k] != values[k] else values[k]
        )

    @property
    def _told(self) -> str:
        """The number of :class:`Judged` that tells methods apart: parts, or W1 where none are."""
        partless = math.isnan(self.mean("total_variation_null").value)
        return "w1" if partless else "total_variation"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        names = ("total_variation", "total_variation_null", "w1", "w1_null")
        means = [str(self.mean(name)) for name in names]
        place = ", ".join(f"{v:.3g}" for v in self.y[self.worst][:3].tolist())
        there = f"{self.each[self.worst].total_variation:.3f}"
        rest = [f"{self.mean(name).value:.3g}" for name in ("spread", "diverged", "calls")]
        return (
            *(self.problem, self.method, *means, place, there),
            *(*rest, f"{self.mean('seconds').value:.2f}"),
        )
