"""A number with its Monte-Carlo error."""

import math
from dataclasses import dataclass

from torch import Tensor

from fsps_lite import checks


@dataclass(frozen=True)
class Estimate:
    """The mean of independent draws and its standard error, both in the units of the draws."""

    value: float
    error: float

    def __post_init__(self) -> None:
        call = "Estimate(0.5, 0.1)"
        for name, value in (("value", self.value), ("error", self.error)):
            checks.kind(name, value, (float, int), call)

    @classmethod
    def of(cls, draws: Tensor) -> "Estimate":
        """The mean of independent ``draws``, ``(n,)``, and its standard error, std / sqrt(n).

        Raises TypeError unless ``draws`` is a floating tensor, ValueError where it is empty.
        """
        call = "Estimate.of(torch.zeros(10))"
        checks.floating("draws", draws, call)
        checks.count("draws.numel()", draws.numel(), call)
        return cls(float(draws.mean()), float(draws.std()) / math.sqrt(len(draws)))

    def __str__(self) -> str:
        """Value and error, both with the digits that the error allows: its first two."""
        if not math.isfinite(self.value) or not self.error > 0 or not math.isfinite(self.error):
            return f"{self.value:.4g}"
        digits = max(0, 1 - math.floor(math.log10(self.error)))
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}"
