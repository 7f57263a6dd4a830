"""Figures that the reader moves: ``player`` in the built pages too, ``explore`` with a kernel."""

import base64
import html
import io
from collections.abc import Callable, Sequence

import ipywidgets
from matplotlib.figure import Figure

from fsps_lite import checks


def player(
    frames: Sequence[Figure], labels: Sequence[str], *, name: str, alt: str
) -> ipywidgets.VBox:
    """A slider over pictures that are drawn beforehand, one for each label.

    ``name`` stands beside the slider; ``alt`` says what the pictures show, to those who do not see
    them. The slider is linked to the pictures in the browser, hence no kernel is needed.
    """
    call = "player([figure], ['y = 0.3'], name='y', alt='the posterior as y moves')"
    checks.kind("frames", frames, Sequence, call)
    if not frames or len(frames) != len(labels):
        what = "`frames` and `labels` must be as many, and at least one"
        raise ValueError(checks.complaint(what, f"{len(frames)} and {len(labels)}", call))
    pictures = [_picture(f, f"{alt}: {label}") for f, label in zip(frames, labels, strict=True)]
    stack = ipywidgets.Stack(pictures, selected_index=0)
    slider = ipywidgets.SelectionSlider(
        options=list(labels), description=name, continuous_update=True
    )
    ipywidgets.jslink((slider, "index"), (stack, "selected_index"))
    return ipywidgets.VBox([slider, stack])


def explore(
    draw: Callable[..., Figure], *, alt: str, **choices: Sequence[str] | Sequence[int | float]
) -> ipywidgets.VBox:
    """Redraw ``draw(**values)`` whenever a control is moved. Needs a running kernel.

    Each of ``choices`` is an argument of ``draw`` with the values that it may take: names become a
    menu, numbers a slider. ``alt`` says what the picture shows; the values are added to it.
    """
    if not choices or not all(len(values) for values in choices.values()):
        what = "`explore` needs at least one argument of `draw`, with at least one value"
        call = "explore(draw, alt='the posterior', y=[-1.0, 0.0, 1.0], method=['DPS', 'TMPD'])"
        raise ValueError(checks.complaint(what, f"{choices}", call))
    controls = {name: _control(name, values) for name, values in choices.items()}
    picture = ipywidgets.HTML()

    def redraw(_: object = None) -> None:
        values = {name: control.value for name, control in controls.items()}
        said = ", ".join(f"{name} = {value}" for name, value in values.items())
        picture.value = _picture(draw(**values), f"{alt}: {said}").value

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    return ipywidgets.VBox([*controls.values(), picture])


def _control(name: str, values: Sequence[str] | Sequence[int | float]) -> ipywidgets.Widget:
    """A menu of names, or a slider over numbers that answers when it is let go."""
    if isinstance(values[0], str):
        return ipywidgets.Dropdown(options=list(values), description=name)
    return ipywidgets.SelectionSlider(
        options=list(values), description=name, continuous_update=False
    )


def _picture(figure: Figure, alt: str) -> ipywidgets.HTML:
    """The figure as an HTML image."""
    checks.kind("figure", figure, Figure, "player([plots.panels(1)[0]], ['a'], name='n', alt='a')")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80, metadata={"Software": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return ipywidgets.HTML(f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">')
