"""What is saved of a calibration: plain numbers for JSON, and a page of HTML."""

import base64
import html
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from fsps_lite.diagnosis.failure_maps import FailureMap
from fsps_lite.diagnosis.finding import Finding
from fsps_lite.diagnosis.over_y import RankCheck
from fsps_lite.estimate import Estimate
from fsps_lite.measures.ranks import RankTest

if TYPE_CHECKING:
    import matplotlib.figure

STYLE = (
    "body{font:16px sans-serif;max-width:60em;margin:2em auto}img{max-width:100%}"
    "td,th{padding:.2em 1em;text-align:left}"
)


def finding(one: Finding) -> dict[str, object]:
    """A finding, as it is written into JSON."""
    null = None if one.null is None else estimate(one.null)
    known = {"id": one.id, "label": one.label, "unit": one.unit, "verdict": one.verdict}
    return {**known, "value": estimate(one.value), "null": null, "truth": one.truth}


def ranks(check: RankCheck) -> dict[str, object]:
    """A test of ranks, of the method and of exact draws."""
    both = {"method": _test(check.method), "exact": _test(check.exact)}
    return {"label": check.label, "leaves_the_band": check.significant, **both}


def errors(found: FailureMap) -> dict[str, object]:
    """A failure map."""
    names = "y", "density", "weights", "tv", "w1"
    return {name: plain(getattr(found, name)) for name in names}


def estimate(one: Estimate) -> list[float | None]:
    """Value and error."""
    return [_number(one.value), _number(one.error)]


def plain(values: Tensor) -> list[Any]:
    """Numbers in lists, as they are written into JSON: None where one is not finite."""
    if values.ndim > 1:
        return [plain(row) for row in values]
    return [_number(value) for value in values.tolist()]


def table(title: str, rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """A table of results, below its title and above its notes."""
    head, *body = [[html.escape(cell) for cell in row] for row in rows]
    lines = "".join(f"<tr>{_cells(row, 'td')}</tr>" for row in body)
    items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    top = f"<p>{html.escape(title)}</p><table><thead><tr>{_cells(head, 'th')}</tr></thead>"
    return f"{top}<tbody>{lines}</tbody></table><ul>{items}</ul>"


def page(title: str, body: str, figure: "matplotlib.figure.Figure") -> str:
    """A whole page, which needs no other file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    image, name = base64.b64encode(buffer.getvalue()).decode(), html.escape(title)
    alt = f"The ranks and the excess of {name}, beside exact draws"
    head = f'<head><meta charset="utf-8"><title>{name}</title><style>{STYLE}</style></head>'
    shown = f'<img alt="{alt}" src="data:image/png;base64,{image}">'
    return (
        f'<!doctype html>\n<html lang="en">\n{head}\n<body><h1>{name}</h1>\n{body}\n{shown}\n'
        "</body>\n</html>\n"
    )


def _test(test: RankTest) -> dict[str, object]:
    bands = {name: plain(getattr(test, name)) for name in ("ecdf", "lower", "upper")}
    return {"p_value": _number(float(test.p_value)), "level": test.level, **bands}


def _cells(row: Sequence[str], tag: str) -> str:
    return "".join(f"<{tag}>{cell}</{tag}>" for cell in row)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
