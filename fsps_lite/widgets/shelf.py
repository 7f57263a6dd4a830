"""Where a live figure keeps what its frames share: each array and each mark is stored once."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Numbers = list[float | None]
DIGITS = 4  # significant ones on a logarithmic axis; of an axis' length on a linear one


@dataclass(frozen=True)
class Shelf:
    """Things in the order in which they came; one that is there already keeps its number."""

    things: list[Any] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def put(self, thing: Any) -> int:
        """The number of ``thing``, which is JSON."""
        key = json.dumps(thing)
        if key not in self.numbers:
            self.numbers[key] = len(self.things)
            self.things.append(thing)
        return self.numbers[key]


def rounded(values: np.ndarray, limits: Sequence[float], log: bool) -> Numbers:
    """Numbers as a page needs them: finer than a pixel, and None where there is none."""
    return [_rounded(float(v), limits, log) if math.isfinite(v) else None for v in values]


def _rounded(value: float, limits: Sequence[float], log: bool) -> float:
    if log:
        return float(f"{value:.{DIGITS}g}")
    places = DIGITS - math.ceil(math.log10(abs(limits[1] - limits[0])))
    return round(value, places) + 0.0  # no -0.0


def thinned(count: int, most: int) -> np.ndarray:
    """The numbers of at most ``most`` of ``count`` places, evenly spread, both ends among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def filled(values: Sequence[float | None]) -> np.ndarray:
    """The array that :func:`rounded` wrote."""
    return np.array([math.nan if v is None else v for v in values])


Mark = Mapping[str, Any]
