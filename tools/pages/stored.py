"""The stored results of `make gallery`: one file for a method on a problem, one for its maps."""

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from fsps_lite import Estimate, problems

GALLERY = Path(__file__).resolve().parents[2] / "book" / "gallery"
OURS = "fsps_lite"


@dataclass(frozen=True)
class Cell:
    """What one method did on one problem, in the form of `fsps_lite/diagnosis/cell_files.py`."""

    data: dict[str, Any]

    @property
    def problem(self) -> str:
        return str(self.data["problem"])

    @property
    def method(self) -> str:
        return str(self.data["method"])

    @property
    def package(self) -> str:
        """The package with its version."""
        return f"{self.data['package']} {self.data['version']}"

    @property
    def ours(self) -> bool:
        return bool(self.data["package"] == OURS)

    @property
    def tuned(self) -> bool:
        return self.data["tuned"] is not None

    @property
    def refused(self) -> str:
        return str(self.data["refused"])

    @property
    def made(self) -> str:
        """The class of ours that it is: `DPS` of `DPS`, `DPS, tuned` or `DPS (tuned)`."""
        return re.split(r"\W", self.method, maxsplit=1)[0]

    @cached_property
    def partless(self) -> bool:
        """Whether the problem has no parts whose weights could differ."""
        return math.isnan(self.mean("total_variation_null").value)

    @property
    def error(self) -> str:
        """By which number the methods of this problem are ranked."""
        return "w1" if self.partless else "total_variation"

    @property
    def key(self) -> tuple[bool, float, str]:
        told = self.mean(self.error).value
        return math.isnan(told), told, self.method

    def values(self, name: str) -> list[float]:
        """A number at each y; NaN where it does not exist."""
        return [math.nan if value is None else value for value in self.data["each"][name]]

    def mean(self, name: str) -> Estimate:
        """The mean over y, with its standard error over y."""
        return Estimate.of(torch.tensor(self.values(name), dtype=torch.float64))

    @property
    def worst(self) -> int:
        """The index of the y with the largest error."""
        values = [math.inf if math.isnan(v) else v for v in self.values(self.error)]
        return max(range(len(values)), key=values.__getitem__)

    @property
    def spread(self) -> tuple[float, float]:
        """The spread over that of exact draws where it is furthest from 1, and the time of that.

        At each time it is the geometric mean over y.
        """
        rows = [row for row in self.data["ratios"] if row and None not in row]
        if not rows:
            return math.nan, math.nan
        logs = torch.tensor(rows, dtype=torch.float64).log().mean(0)
        k = int(logs.abs().argmax())
        return float(logs[k].exp()), self.data["times"][k]

    @property
    def weight(self) -> float:
        """The mean size of the error of the weight that is furthest off."""
        found = [abs(value) for value in self.values("weight")]
        return math.fsum(found) / len(found)

    @property
    def coupling(self) -> float:
        found = self.data["coupling"]
        return math.nan if found is None else float(found)

    def place(self, k: int) -> str:
        """The measurement of an index, as text."""
        if self.data["y"] is None:
            return f"no. {k + 1}"
        return ", ".join(f"{value:.3g}" for value in self.data["y"][k])


def cells(folder: Path = GALLERY) -> list[Cell]:
    """Every stored cell, those that a method refused too; the best first for each problem."""
    paths = sorted((folder / "cells").glob("*/*.json"))
    read = [Cell(json.loads(path.read_text(encoding="utf-8"))) for path in paths]
    order = [make.__name__ for make in problems.GALLERY]
    taken, refused = ([c for c in read if bool(c.refused) == is_so] for is_so in (False, True))
    taken.sort(key=lambda cell: (order.index(cell.problem), cell.key))
    return taken + sorted(refused, key=lambda cell: order.index(cell.problem))


def grouped(found: Iterable[Cell], by: Callable[[Cell], str]) -> dict[str, list[Cell]]:
    """{problem, method or the like: its cells}, in the order in which they come."""
    groups: dict[str, list[Cell]] = {}
    for cell in found:
        groups.setdefault(by(cell), []).append(cell)
    return groups


def maps(folder: Path = GALLERY) -> dict[str, dict[str, Any]]:
    """{method: its maps, as they are stored}."""
    paths = sorted((folder / "maps").glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}
