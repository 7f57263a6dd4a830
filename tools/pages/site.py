"""All pages that are written when the book is built, and the files of their figures."""

import hashlib
import inspect
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from fsps_lite import plots
from tools.pages import figures, gallery, leaderboard, pareto, sampler
from tools.pages.sampler import Drawn, Results
from tools.pages.stored import GALLERY, Cell, cells, maps
from tools.pages.words import words

LEADERBOARD, INDEX, OTHERS = "leaderboard", "gallery/index", "gallery/others"
DPI = 160


@dataclass(frozen=True)
class Site:
    """The pages from the results in a folder; `pictures` is where figures are kept."""

    pictures: Path
    folder: Path = GALLERY
    book: Path = GALLERY.parent

    @property
    def places(self) -> list[str]:
        """The pages, as `_toc.yml` names them."""
        return [LEADERBOARD, INDEX, *(told.place for told in words().values()), OTHERS]

    def text(self, place: str) -> str:
        """The MyST of a page."""
        if place == LEADERBOARD:
            return leaderboard.page(self.cells, self.homes, self._pareto())
        if place == INDEX:
            return gallery.index()
        if place == OTHERS:
            return gallery.others([c for c in self.cells if self.homes[c.method] == OTHERS])
        told = words()[place.rsplit("/", 1)[1]]
        own = [cell for cell in self.cells if self.homes[cell.method] == place]
        return sampler.page(told, self._results(told.name, told.heading, own), self.numbers)

    @cached_property
    def cells(self) -> list[Cell]:
        return cells(self.folder)

    @cached_property
    def numbers(self) -> dict[str, str]:
        return sampler.numbers(self.cells)

    @cached_property
    def maps(self) -> dict[str, dict[str, Any]]:
        return maps(self.folder)

    @cached_property
    def homes(self) -> dict[str, str]:
        """{method: the page with its reports}."""
        return {cell.method: _home(cell) for cell in self.cells}

    def _results(self, name: str, heading: str, own: list[Cell]) -> Results:
        stored = self.maps.get(name)
        if stored is None:
            return Results(own)
        why = stored.get("reason") or sampler.NO_MAP
        path, failure = stored.get("path"), stored.get("failure") or {}
        told: dict[str, Drawn | str] = {"path": why, "failure": why}
        if path and "truth" in self.maps:
            truth = self.maps["truth"]
            file = self._drawn(
                figures, lambda: figures.path(heading, path, truth), path, truth, name
            )
            told["path"] = sampler.path_of(heading, path, truth, file)
        if any(failure.values()):
            exact = self.maps.get("exact_score", {}).get("failure")
            made = lambda: figures.failure(heading, failure, exact)  # noqa: E731
            told["failure"] = sampler.failure_of(
                heading, failure, self._drawn(figures, made, failure, exact, name)
            )
        return Results(own, **told)

    def _pareto(self) -> Drawn | None:
        panels = pareto.spots(self.cells)
        if not panels:
            return None
        file = self._drawn(pareto, lambda: pareto.figure(panels), panels, place=LEADERBOARD)
        return Drawn(file, pareto.alt(panels), pareto.CAPTION)

    def _drawn(
        self, by: ModuleType, make: Callable[[], plots.Figure], *of: Any, place: str = INDEX
    ) -> str:
        """The file of a figure, seen from a page; what was drawn of these data is not drawn anew."""
        seen = json.dumps(of, sort_keys=True) + inspect.getsource(by) + inspect.getsource(plots)
        file = self.pictures / f"{hashlib.sha256(seen.encode()).hexdigest()[:20]}.png"
        if not file.exists():
            self.pictures.mkdir(parents=True, exist_ok=True)
            make().savefig(file, dpi=DPI)
        return os.path.relpath(file, (self.book / place).parent)


def _home(cell: Cell) -> str:
    return words()[cell.made].place if cell.ours and cell.made in words() else OTHERS
