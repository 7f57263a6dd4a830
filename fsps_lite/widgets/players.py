"""Figures that move in the browser: all their frames are computed beforehand, as numbers."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from matplotlib.figure import Figure

from fsps_lite import checks
from fsps_lite.widgets.frames import CALL, spec
from fsps_lite.widgets.output import LiveFigure, picture, written
from fsps_lite.widgets.shelf import Mark

LARGEST = 300_000  # bytes of a figure
Choice = Sequence[str] | Sequence[int | float] | Mapping[str, Any]


def player(
    frames: Sequence[Figure], labels: Sequence[str], *, name: str, alt: str, start: int = 0
) -> LiveFigure:
    """A slider over figures, one for each label: their curves and maps, drawn by the browser.

    ``name`` is written beside the slider. ``alt`` says what the figure shows, for readers who do
    not see it. All frames get the same axes, and must have the same number of panels. The title of
    a whole figure (``suptitle``) stands above the panels and is read out. ``start`` is the number
    of the frame that is shown first, and where scripts do not run. Raises ValueError or TypeError
    unless there is one label for each frame, and for a figure of more than 300 kB.
    """
    checks.kind("frames", frames, Sequence, CALL)
    if not frames or len(frames) != len(labels):
        what = "`frames` and `labels` must be as many, and at least one"
        raise ValueError(checks.complaint(what, f"{len(frames)} and {len(labels)}", CALL))
    return _moving(frames, [_control(name, labels, start, menu=False)], alt)


def live(
    draw: Callable[..., Figure], *, alt: str, start: Sequence[int] = (), **choices: Choice
) -> LiveFigure:
    """Draw ``draw(**values)`` for all combinations, and let the reader move between them.

    Each of ``choices`` is an argument of ``draw`` with the values that it may take. Numbers make a
    slider, names a menu, and ``{label: value}`` a slider with these labels. ``start`` says which
    value of each is shown first, counted from 0. Raises as :func:`player` does, and where there is
    no choice.
    """
    call = "live(draw, alt='the posterior', y=[-1.0, 0.0, 1.0], noise_std=[0.3, 0.6])"
    if not choices or not all(len(values) for values in choices.values()):
        what = "`live` needs at least one argument of `draw`, with at least one value"
        raise ValueError(checks.complaint(what, f"{choices}", call))
    first = tuple(start) or (0,) * len(choices)
    if len(first) != len(choices):
        what = f"`start` must hold {len(choices)} places, one for each argument of `draw`"
        raise ValueError(checks.complaint(what, start, call))
    controls = [
        _control(name, _labels(values), at, menu=_is_menu(values))
        for (name, values), at in zip(choices.items(), first, strict=True)
    ]
    sets = product(*(_values(values) for values in choices.values()))
    return _moving([draw(**dict(zip(choices, one, strict=True))) for one in sets], controls, alt)


def _moving(frames: Sequence[Figure], controls: Sequence[Mark], alt: str) -> LiveFigure:
    """The live figure: its numbers, and a still picture of the first frame."""
    checks.kind("alt", alt, str, CALL)
    if not alt.strip():
        what = "`alt` must say what the figure shows, to those who do not see it"
        raise ValueError(checks.complaint(what, repr(alt), CALL))
    for frame in frames:
        checks.kind("frames", frame, Figure, CALL)
    found = spec(frames, controls)
    assert len(frames) == prod(len(control["labels"]) for control in controls)
    said = ", ".join(f"{c['name']} = {c['labels'][c['start']]}" for c in controls)
    figure = LiveFigure("player", written(found), picture(frames[_first(controls)]), alt, said)
    if len(figure.html) > LARGEST:
        what = f"a live figure must stay below {LARGEST // 1000} kB: draw fewer frames or places"
        raise ValueError(checks.complaint(what, f"{len(figure.html) // 1000} kB", CALL))
    return figure


def _first(controls: Sequence[Mark]) -> int:
    """The number of the frame that is shown first."""
    at = 0
    for control in controls:
        at = at * len(control["labels"]) + control["start"]
    return at


def _control(name: str, labels: Sequence[str], start: int, *, menu: bool) -> Mark:
    checks.kind("name", name, str, CALL)
    if not 0 <= start < len(labels):
        what = f"`start` must be one of the {len(labels)} places, counted from 0"
        raise ValueError(checks.complaint(what, start, CALL))
    return {"name": name, "labels": [str(label) for label in labels], "menu": menu, "start": start}


def _values(choice: Choice) -> list[Any]:
    return list(choice.values()) if isinstance(choice, Mapping) else list(choice)


def _labels(choice: Choice) -> list[str]:
    """The labels of a control; numbers get a true minus sign."""
    labels = [one if isinstance(one, str) else f"{one:g}" for one in choice]
    return [one if _is_menu(choice) else one.replace("-", "−") for one in labels]


def _is_menu(choice: Choice) -> bool:
    return not isinstance(choice, Mapping) and isinstance(choice[0], str)
