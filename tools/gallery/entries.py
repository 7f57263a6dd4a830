"""A method of the gallery: how it is made, with which published parameters, and what is tried."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from fsps_lite.diagnosis import Method

Parameters = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """A method by its published parameters, and a grid of others, which may be empty.

    ``make(prior, likelihood, **parameters)`` is the method; a ``fixed`` one takes no parameters.
    The first point of the grid is the published one.
    """

    name: str
    make: Callable[..., Any] | Method
    grid: tuple[Parameters, ...] = ()
    package: str = "fsps_lite"

    @property
    def method(self) -> Method:
        """The method with its published parameters."""
        return self.make

    def at(self, k: int) -> Method:
        """The method at a point of the grid."""
        assert callable(self.make)
        return partial(self.make, **self.grid[k]) if self.grid[k] else self.make

    @property
    def points(self) -> list[str]:
        """The points of the grid, as text."""
        return [
            ", ".join(f"{name} {_short(value)}" for name, value in point.items()) or "published"
            for point in self.grid
        ]


def grid(**values: tuple[Any, ...]) -> tuple[Parameters, ...]:
    """All points of a grid; the first is of the first value of each."""
    return tuple(dict(zip(values, point, strict=True)) for point in product(*values.values()))


def _short(value: object) -> str:
    return getattr(value, "__name__", None) or (
        f"{value:g}" if isinstance(value, float) else str(value)
    )
