"""Where the marks of one panel are stored: its limits, and the shelves of the whole figure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Normalize

from fsps_lite.widgets.shelf import Shelf, rounded


@dataclass(frozen=True)
class Canvas:
    """The limits of one panel, and the shelves and colour scales of the whole figure."""

    x: Sequence[float]
    y: Sequence[float]
    logs: tuple[bool, bool]
    arrays: Shelf
    marks: Shelf
    scale: int  # the number of the colour scale of its maps
    norm: Normalize | None
    cells: int  # of a map, at most

    def across(self, values: np.ndarray) -> int:
        return self.arrays.put(rounded(values, self.x, self.logs[0]))

    def up(self, values: np.ndarray) -> int:
        return self.arrays.put(rounded(values, self.y, self.logs[1]))
