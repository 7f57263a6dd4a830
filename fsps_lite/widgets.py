"""Figures that the reader moves. They work in the built pages too, with no kernel behind them."""

import base64
import html
import io
from collections.abc import Sequence

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
    if not frames or len(frames) != len(labels):
        what = "`frames` and `labels` must be as many, and at least one"
        call = "player([figure], ['y = 0.3'], name='y', alt='the posterior as y moves')"
        raise ValueError(checks.complaint(what, f"{len(frames)} and {len(labels)}", call))
    pictures = [_picture(f, f"{alt}: {label}") for f, label in zip(frames, labels, strict=True)]
    stack = ipywidgets.Stack(pictures, selected_index=0)
    slider = ipywidgets.SelectionSlider(
        options=list(labels), description=name, continuous_update=True
    )
    ipywidgets.jslink((slider, "index"), (stack, "selected_index"))
    return ipywidgets.VBox([slider, stack])


def _picture(figure: Figure, alt: str) -> ipywidgets.HTML:
    """The figure as an HTML image."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80, metadata={"Software": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return ipywidgets.HTML(f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">')
