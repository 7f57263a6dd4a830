"""A number with its Monte-Carlo error."""

import math
from dataclasses import dataclass

from torch import Tensor

from fsps_lite import checks


@dataclass(frozen=True)
class Estimate:
    """A mean over independent draws, and its standard error, in the units of what was averaged."""

    value: float
    error: float

    def __post_init__(self) -> None:
        call = "Estimate(0.5, 0.1)"
        for name, value in (("value", self.value), ("error", self.error)):
            checks.kind(name, value, (float, int), call)

    @classmethod
    def of(cls, draws: Tensor) -> "Estimate":
        """The mean of independent ``draws`` and its standard error."""
        call = "Estimate.of(torch.zeros(10))"
        checks.floating("draws", draws, call)
        checks.count("draws.numel()", draws.numel(), call)
        return cls(float(draws.mean()), float(draws.std()) / math.sqrt(len(draws)))

    def __str__(self) -> str:
        """With the digits that the error allows."""
        if not math.isfinite(self.value) or not self.error > 0 or not math.isfinite(self.error):
            return f"{self.value:.4g}"
        digits = max(0, 1 - math.floor(math.log10(self.error)))
        return f"{self.value:.{digits}f} +- {self.error:.{digits}f}"
