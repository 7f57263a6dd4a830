"""How a name is drawn: a method has one colour and one line in all figures of the book."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import rc_params_from_file

STYLE = Path(__file__).with_name("book.mplstyle")
_CYCLE = rc_params_from_file(STYLE, use_default_template=False)["axes.prop_cycle"]
COLOURS: list[str] = _CYCLE.by_key()["color"]
LINES = ("-", "--", "-.", ":")
# What a name must hold, the colour, the line. The first that fits: StepDPS is no DPS.
METHODS = (
    (re.compile(r"\b(exact|truth)\b", re.IGNORECASE), COLOURS[6], 0),
    (re.compile(r"zeta.?DPS", re.IGNORECASE), COLOURS[4], 2),
    (re.compile(r"step.?DPS", re.IGNORECASE), COLOURS[3], 3),
    (re.compile(r"diag\w*.?TMPD", re.IGNORECASE), COLOURS[5], 1),
    (re.compile(r"PiGDM"), COLOURS[0], 2),
    (re.compile(r"TMPD"), COLOURS[2], 0),
    (re.compile(r"DPS"), COLOURS[1], 1),
)


@dataclass(frozen=True)
class Look:
    """A colour, and the place of a line in `LINES`; ``again``: how many names before have it."""

    colour: str
    line: int
    again: int = 0

    @property
    def style(self) -> dict[str, Any]:
        """What Matplotlib's `plot` takes."""
        return {"color": self.colour, "linestyle": LINES[self.line % len(LINES)]}


def looks(names: Iterable[str]) -> dict[str, Look]:
    """{name: its look} of the names in one figure, of which no two look alike before 28 names.

    A name that holds a method's name has that method's colour; a second one has another line. The
    others take the colours that are left, in their order. So do three or more names that are all of
    one method.
    """
    names = list(dict.fromkeys(names))
    known = {name: own for name in names if (own := _method(name)) is not None}
    if len(set(known.values())) == 1 and len(known) == len(names) > 2:
        known = {}
    found: dict[str, Look] = {}
    for name, (colour, line) in known.items():
        again = sum(other.colour == colour for other in found.values())
        if again < len(LINES):
            found[name] = Look(colour, line + again, again)
    found |= _others([name for name in names if name not in found], found.values())
    return {name: found[name] for name in names}


def _others(names: Sequence[str], taken: Iterable[Look]) -> dict[str, Look]:
    """The looks of names that hold no method's name."""
    used = {look.colour for look in taken}
    free = [colour for colour in COLOURS if colour not in used] or COLOURS
    turns = [divmod(i, len(free)) for i in range(len(names))]
    return {
        name: Look(free[place], place + turn, turn)
        for name, (turn, place) in zip(names, turns, strict=True)
    }


def _method(name: str) -> tuple[str, int] | None:
    """The colour and the line of the method that a name speaks of; None if of none."""
    fits = ((colour, line) for pattern, colour, line in METHODS if pattern.search(str(name)))
    return next(fits, None)
