"""What the frames of a live figure share: each array and each mark is stored once."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Numbers = list[float | None]
DIGITS = 4  # significant digits; on a linear axis, of its length


@dataclass(frozen=True)
class Shelf:
    """Things in the order in which they came; equal things are stored once."""

    things: list[Any] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def put(self, thing: Any) -> int:
        """Store ``thing``, which is JSON, if it is new; return its number."""
        key = json.dumps(thing)
        if key not in self.numbers:
            self.numbers[key] = len(self.things)
            self.things.append(thing)
        return self.numbers[key]


def rounded(values: np.ndarray, limits: Sequence[float], log: bool) -> Numbers:
    """Numbers for a page: rounded, to less than a pixel; None where one is not finite."""
    return [_rounded(float(v), limits, log) if math.isfinite(v) else None for v in values]


def _rounded(value: float, limits: Sequence[float], log: bool) -> float:
    if log:
        return float(f"{value:.{DIGITS}g}")
    places = DIGITS - math.ceil(math.log10(abs(limits[1] - limits[0])))
    return round(value, places) + 0.0  # no -0.0


def thinned(count: int, most: int) -> np.ndarray:
    """At most ``most`` of the numbers 0 to count - 1, evenly spread, with both ends."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def filled(values: Sequence[float | None]) -> np.ndarray:
    """The array from the list that :func:`rounded` made."""
    return np.array([math.nan if v is None else v for v in values])


Mark = Mapping[str, Any]
