"""What a number is on direct draws of the posterior: by it, a report decides on stars."""

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev

DRAWS = 99  # direct exact clouds, each of as many particles as the method's
FAR = 4.0  # deviations of a direct draw, or joint standard errors, which are far


@dataclass(frozen=True)
class Nulls:
    """The ``values`` of one number on direct exact clouds, and the rule by which others are far.

    ``stepped`` says that the exact sampler beside the method took steps: then a method must be far
    from that one, too.
    """

    values: tuple[float, ...]
    stepped: bool = False

    @cached_property
    def mean(self) -> float:
        """The mean of the draws."""
        return fmean(self.values)

    @cached_property
    def low(self) -> float:
        """The least of the draws."""
        return min(self.values)

    @cached_property
    def high(self) -> float:
        """The largest of the draws."""
        return max(self.values)

    @cached_property
    def _spread(self) -> float:
        return stdev(self.values) if all(map(math.isfinite, self.values)) else math.nan

    def deviation(self, least: float = 0.0) -> float:
        """The standard deviation of a draw, with the error ``least`` of the method's own number."""
        return math.hypot(self._spread, least)

    def excludes(self, value: float, least: float = 0.0) -> bool:
        """Whether ``value`` lies outside all draws, and by four deviations from their mean.

        A number that does not exist lies outside.
        """
        inside = self.low <= value <= self.high
        near = abs(value - self.mean) <= FAR * self.deviation(least)
        return not (inside or near)
