"""All pages that are written when the book is built."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tools.pages import figures, gallery, leaderboard, pareto, sampler
from tools.pages.sampler import Drawn, Results
from tools.pages.stored import GALLERY, Cell, cells, maps
from tools.pages.studio import Studio
from tools.pages.words import Words, words

LEADERBOARD, INDEX, OTHERS = "leaderboard", "gallery/index", "gallery/others"


STALE = "the stored map of the exact law has other bins or times, and `make gallery` makes it again"


@dataclass(frozen=True)
class Site:
    """The pages from the results in a folder; the studio draws their figures."""

    studio: Studio
    folder: Path = GALLERY

    @property
    def places(self) -> list[str]:
        """The pages, as `_toc.yml` names them."""
        return [LEADERBOARD, INDEX, *(told.place for told in words().values()), OTHERS]

    def text(self, place: str) -> str:
        """The MyST of a page."""
        own = [cell for cell in self.cells if self.homes[cell.method] == place]
        if place == LEADERBOARD:
            return leaderboard.page(self.cells, self.homes, self._pareto())
        if place == INDEX:
            return gallery.index()
        if place == OTHERS:
            return gallery.others(own)
        told = words()[place.rsplit("/", 1)[1]]
        return sampler.page(told, self._results(told, own), self.numbers)

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
        return {cell.method: home(cell) for cell in self.cells}

    def _results(self, told: Words, own: list[Cell]) -> Results:
        stored = self.maps.get(told.name, {})
        why = stored.get("reason") or (STALE if stored.get("path") else sampler.NO_MAP)
        why = why if why.endswith(".") else f"There is no map of it: {why}."
        return Results(own, self._path(told, stored) or why, self._failure(told, stored) or why)

    def _path(self, told: Words, stored: dict[str, Any]) -> Drawn | None:
        found, truth = stored.get("path"), self.maps.get("truth", {}).get("path")
        if not found or not truth or not _alike(found, truth):
            return None
        file = self.studio.file(told.place, figures, figures.path, told.heading, found, truth)
        return sampler.path_of(told.heading, found, truth, file)

    def _failure(self, told: Words, stored: dict[str, Any]) -> Drawn | None:
        found = {problem: one for problem, one in (stored.get("failure") or {}).items() if one}
        if not found:
            return None
        exact = self.maps.get("exact_score", {}).get("failure") or {}
        file = self.studio.file(told.place, figures, figures.failure, told.heading, found, exact)
        return sampler.failure_of(told.heading, found, file)

    def _pareto(self) -> Drawn | None:
        panels = pareto.spots(self.cells)
        if not panels:
            return None
        file = self.studio.file(LEADERBOARD, pareto, pareto.figure, panels)
        return Drawn(file, pareto.alt(panels), pareto.CAPTION)


def _alike(found: dict[str, Any], truth: dict[str, Any]) -> bool:
    """Whether the two maps have the same bins and times."""
    bins = [[len(row) for row in one["counts"]] for one in (found, truth)]
    return bins[0] == bins[1] and all(found[name] == truth[name] for name in ("t", "x", "y"))


def home(cell: Cell) -> str:
    """The page of the class that a method is, or that of all others."""
    return words()[cell.made].place if cell.ours and cell.made in words() else OTHERS
