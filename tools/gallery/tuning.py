"""The parameters of a method, chosen by its error at other measurements than those of the rank."""

import math
from dataclasses import dataclass, replace

from fsps_lite.diagnosis.cell_files import rounded
from fsps_lite.diagnosis.leaderboard import Asked, made_here
from fsps_lite.diagnosis.rows import Row
from fsps_lite.estimate import Estimate
from tools.gallery.entries import Entry

ELSEWHERE = 1000  # added to the seed: other measurements, and other noise
NEVER = Estimate(math.inf, math.nan)


@dataclass(frozen=True)
class Tuned:
    """The errors of a method at each point of its grid, and how they were found."""

    told: str
    points: tuple[str, ...]
    errors: tuple[Estimate, ...]
    asked: Asked

    @classmethod
    def of(cls, entry: Entry, ranked: Asked) -> "Tuned":
        """Run each point at half as many measurements of another seed."""
        seed, count = ranked.how.seed + ELSEWHERE, max(2, len(ranked.y) // 2)
        how = ranked.how
        asked = Asked.of(ranked.problem, count, how.n, how.steps, seed)
        rows = [_row(entry, k, asked) for k in range(len(entry.grid))]
        told = next((row.told for row in rows if row.each), "w1")
        errors = tuple(row.mean(told) if row.each else NEVER for row in rows)
        return cls(told, tuple(entry.points), errors, asked)

    @property
    def chosen(self) -> int:
        """The point with the smallest error; one that loses its particles is never it."""
        values = [one.value if math.isfinite(one.value) else math.inf for one in self.errors]
        return values.index(min(values))

    def plain(self) -> dict[str, object]:
        """What is stored."""
        return {
            "told": self.told,
            "seed": self.asked.how.seed,
            "measurements": len(self.asked.y),
            "grid": list(self.points),
            "errors": [[rounded(one.value), rounded(one.error)] for one in self.errors],
            "published": 0,
            "chosen": self.chosen,
        }


def _row(entry: Entry, k: int, asked: Asked) -> Row:
    """One point of the grid at the measurements for tuning."""
    method = entry.at(k)
    return asked.row(entry.name, method, made_here(asked, method), alone=False)


def tuned_row(entry: Entry, asked: Asked, published: Row | None = None) -> Row:
    """The row of the tuned method at the measurements of the rank.

    ``published`` is the row of the published parameters: if they are chosen, it is not run again.
    """
    found, name = Tuned.of(entry, asked), f"{entry.name}, tuned"
    method = entry.at(found.chosen)
    made = replace(made_here(asked, method), tuned=found.plain())
    if published is not None and found.chosen == 0:
        return replace(published, method=name, made=made)
    return asked.row(name, method, made)
