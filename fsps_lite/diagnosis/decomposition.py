"""A record of whose error it is: the network's, or that of the approximate guidance."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from fsps_lite.estimate import Estimate
from fsps_lite.tables import aligned

CELLS = ("exact", "network", "approximation", "both")
PARTS = ("total_variation", "distance", "lost")
CLEAR = 2.0  # standard errors: a difference that is larger counts


@dataclass(frozen=True)
class Cell:
    """A cloud beside the posterior: total variation between labels, sliced W1, what is lost.

    ``distance`` is of the particles that did not diverge, and ``lost`` is the share that did.
    ``total_variation`` is None where a problem has no parts, such as labels.
    """

    total_variation: Estimate | None
    distance: Estimate
    lost: Estimate

    @property
    def error(self) -> Estimate:
        """That by which clouds are told apart: the total variation, or sliced W1 without parts."""
        return self.distance if self.total_variation is None else self.total_variation


@dataclass(frozen=True)
class Decomposition:
    """{exact, learned} denoiser x {exact, approximate} guidance, from one start, by one integrator.

    ``exact`` has neither error, ``network`` the learned denoiser with the exact grad log p(y | x_t)
    of the data prior, ``approximation`` the method on the exact denoiser, ``both`` the method on
    the learned one. ``floor`` is what as many exact draws have on average: of total variation, and
    a sliced W1. ``gains`` are (level, error of the data prior minus that of the network on held-out
    data), if such data were given: positive where the network denoises better.
    """

    exact: Cell
    network: Cell
    approximation: Cell
    both: Cell
    floor: tuple[float | None, Estimate]
    gains: tuple[tuple[float, Estimate], ...] = ()

    @property
    def cost_of_network(self) -> Estimate:
        """What the learned denoiser adds to the error, under exact guidance."""
        return _more(self.network.error, self.exact.error)

    @property
    def cost_of_approximation(self) -> Estimate:
        """What the method then adds, with the learned denoiser."""
        return _more(self.both.error, self.network.error)

    @property
    def sentence(self) -> str:
        """What follows for the network, and whether its generalisation can be told from error."""
        cost = self.cost_of_network
        what = "sliced W1" if self.floor[0] is None else "total variation between labels"
        found = f"The network changes the {what} by {cost}"
        if abs(cost.value) <= CLEAR * cost.error:
            found += ", which these draws cannot tell from 0"
        return f"{found}. {self._generalisation}"

    @property
    def _generalisation(self) -> str:
        if not self.gains:
            return (
                "Generalisation and error of the network cannot be told apart without held-out "
                "data: decompose(..., held_out=x) compares the two denoisers on it."
            )
        ahead = [(s, gain.value / gain.error) for s, gain in self.gains]
        better = [f"{s:g}" for s, z in ahead if z > CLEAR]
        worse = [f"{s:g}" for s, z in ahead if z < -CLEAR]
        if better and not worse:
            what = "What it changes is generalisation, not error."
        elif worse and not better:
            what = "What it changes is error."
        else:
            what = "Generalisation and error cannot be told apart in what it changes."
        said = [f"better at {', '.join(better)}"] * bool(better)
        said += [f"worse at {', '.join(worse)}"] * bool(worse)
        told = " and ".join(said) or "neither better nor worse"
        return f"On held-out data it denoises {told} (noise levels) than the data prior. {what}"

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The table: its heading, then a row for each cell, and one for exact draws."""
        head = ("denoiser", "guidance", "total variation", "sliced W1", "lost")
        rows = [
            (*names, *map(str, (cell.total_variation, cell.distance, cell.lost)))
            for names, cell in self._named
        ]
        floor = "None" if self.floor[0] is None else f"{self.floor[0]:.3f}"
        table = [head, *rows, ("as many exact draws", "", floor, str(self.floor[1]), "")]
        return table if self.floor[0] is not None else [(*row[:2], *row[3:]) for row in table]

    @property
    def numbers(self) -> dict[str, object]:
        """All of it for JSON: estimates are [value, error], and what is not finite is None."""
        cells = {
            name: {part: pair(getattr(cell, part)) for part in PARTS}
            for name, cell in zip(CELLS, (cell for _, cell in self._named), strict=True)
        }
        floor = {"total_variation": self.floor[0], "distance": pair(self.floor[1])}
        gains = [{"level": s, "gain": pair(gain)} for s, gain in self.gains]
        costs = {
            "cost_of_network": pair(self.cost_of_network),
            "cost_of_approximation": pair(self.cost_of_approximation),
        }
        return {**cells, "floor": floor, **costs, "gains": gains, "sentence": self.sentence}

    @property
    def _named(self) -> Iterator[tuple[tuple[str, str], Cell]]:
        yield ("exact", "exact"), self.exact
        yield ("learned", "exact"), self.network
        yield ("exact", "approximate"), self.approximation
        yield ("learned", "approximate"), self.both

    def __str__(self) -> str:
        """The four cells, what exact draws have, and the sentence."""
        return "\n".join([*aligned(self.rows), self.sentence])


def _more(one: Estimate, other: Estimate) -> Estimate:
    """one - other, as if they were independent."""
    return Estimate(one.value - other.value, math.hypot(one.error, other.error))


def pair(estimate: Estimate | None) -> list[float | None] | None:
    """Value and error, as they are written into JSON."""
    if estimate is None:
        return None
    return [v if math.isfinite(v) else None for v in (estimate.value, estimate.error)]
