"""Controls for a running notebook, which asks its kernel for each picture: ipywidgets."""

import html
from collections.abc import Callable, Sequence

import ipywidgets
from matplotlib.figure import Figure

from fsps_lite import checks
from fsps_lite.widgets.output import picture

CALL = "explore(draw, alt='the posterior', y=[-1.0, 0.0, 1.0], method=['DPS', 'TMPD'])"


def explore(
    draw: Callable[..., Figure], *, alt: str, **choices: Sequence[str] | Sequence[int | float]
) -> ipywidgets.VBox:
    """Draw ``draw(**values)`` again whenever the reader moves a control. Needs a running kernel.

    Each of ``choices`` is an argument of ``draw`` with the values that it may take: names make a
    menu, numbers a slider. ``alt`` says what the picture shows; the values are added to it. Raises
    ValueError where there is no choice, or one without values.
    """
    if not choices or not all(len(values) for values in choices.values()):
        what = "`explore` needs at least one argument of `draw`, with at least one value"
        raise ValueError(checks.complaint(what, f"{choices}", CALL))
    controls = {name: _control(name, values) for name, values in choices.items()}
    shown = ipywidgets.HTML()

    def redraw(_: object = None) -> None:
        values = {name: control.value for name, control in controls.items()}
        said = ", ".join(f"{name} = {value}" for name, value in values.items())
        shown.value = _picture(draw(**values), f"{alt}: {said}").value

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    return ipywidgets.VBox([*controls.values(), shown])


def _control(name: str, values: Sequence[str] | Sequence[int | float]) -> ipywidgets.Widget:
    """A menu of names, or a slider over numbers that acts when the reader lets go of it."""
    if isinstance(values[0], str):
        return ipywidgets.Dropdown(options=list(values), description=name)
    return ipywidgets.SelectionSlider(
        options=list(values), description=name, continuous_update=False
    )


def _picture(figure: Figure, alt: str) -> ipywidgets.HTML:
    """The figure as an HTML image."""
    checks.kind("figure", figure, Figure, CALL)
    source = f"data:image/png;base64,{picture(figure)}"
    return ipywidgets.HTML(f'<img alt="{html.escape(alt)}" src="{source}">')
