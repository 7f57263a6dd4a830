"""The report on a run: it prints, draws its curves, and saves itself as JSON and as HTML."""

import base64
import html
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fsps_lite.diagnosis.cost import Cost
from fsps_lite.diagnosis.decomposition import Decomposition
from fsps_lite.diagnosis.finding import Curve, Finding, Missing, called
from fsps_lite.diagnosis.nulls import DRAWS, FAR, Nulls
from fsps_lite.estimate import Estimate
from fsps_lite.saving import save
from fsps_lite.tables import Table, aligned

if TYPE_CHECKING:
    import matplotlib.figure

WHOSE = "Whose error it is, the network's or that of the approximate guidance"
LEARNED = "a learned denoiser"
LEGEND = (
    f"* outside {DRAWS} direct exact draws, by {FAR:.0f} of their deviations or more; "
    "the exact score's run is not"
)
OTHERWISE = {
    "errors": f"{FAR:.0f} joint standard errors or more",
    "own": "most paths above 0",
}


@dataclass(frozen=True)
class Report:
    """What :func:`diagnose` found; prints as a table, draws itself, saves as JSON and as HTML.

    ``findings`` are numbers and ``curves`` are panels, both of the method and of the exact sampler.
    ``notes`` are sentences that a reader must not miss, for example that the number of steps
    matters. ``report["distance"]`` is the finding with this label or id. ``decomposition`` says
    whose error it is where the method sees a learned denoiser.
    """

    problem: str
    method: str
    settings: Mapping[str, int]
    findings: tuple[Finding, ...]
    curves: tuple[Curve, ...]
    notes: tuple[str, ...] = ()
    stars: bool = True  # False where the posterior has too few atoms to tell
    missing: tuple[Missing, ...] = ()  # the rows that the kind of the method does not allow
    cost: Cost | None = field(default=None, compare=False)  # None for finished samples
    decomposition: Decomposition | None = None  # of a method that sees a learned denoiser

    def __getitem__(self, name: str) -> Finding:
        """The finding with this label or id; raises KeyError, and lists those that exist."""
        if (finding := called(name, self.findings)) is not None:
            return finding
        known = ", ".join(finding.label for finding in self.findings)
        raise KeyError(f"no finding called {name!r}; this report has: {known}")

    @property
    def title(self) -> str:
        """The method, the problem and the settings, in one line."""
        settings = ", ".join(f"{key} = {value}" for key, value in self.settings.items())
        learned = "" if self.decomposition is None else f" with {LEARNED}"
        return f"{self.method}{learned} on {self.problem} ({settings})"

    @property
    def legend(self) -> tuple[str, ...]:
        """What a star means, if the report has stars, and the rows that have another rule."""
        if not self.stars:
            return ()
        rest = [
            f"  {what}: {'; '.join(labels)}"
            for rule, what in OTHERWISE.items()
            if (labels := [one.label for one in self.findings if one.judged and one.rule == rule])
        ]
        return (LEGEND, *rest)

    @property
    def lenses(self) -> list[str]:
        """The column with the error of the lens: its heading, then one cell per finding."""
        cells = ["" if one.lens is None else f"{one.lens:.2g}" for one in self.findings]
        return ["lens ±", *cells]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The table: its heading, then one row per finding.

        The error of the lens has a column where a finding has one, stars where there may be any.
        """
        rows = [("", self.method, "exact", "truth", ""), *(f.cells for f in self.findings)]
        lenses = [(cell,) for cell in self.lenses]
        some = any(one.lens is not None for one in self.findings)
        return [
            (*row[:4], *(lens if some else ()), *(row[4:] if self.stars else ()))
            for row, lens in zip(rows, lenses, strict=True)
        ]

    def __str__(self) -> str:
        table, notes = aligned(self.rows), (f"- {note}" for note in self.notes)
        whose = [] if self.decomposition is None else ["", f"{WHOSE}:", str(self.decomposition)]
        return "\n".join([self.title, "", *table, "", *self.legend, *notes, *whose])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The report as HTML, for a notebook."""
        head, *body = [[html.escape(cell) for cell in row] for row in self.rows]
        rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in body)
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in (*self.legend, *self.notes))
        return (
            f"<p>{html.escape(self.title)}</p><table><thead><tr>"
            + "".join(f"<th>{cell}</th>" for cell in head)
            + f"</tr></thead><tbody>{rows}</tbody></table><ul>{notes}</ul>{self._whose}"
        )

    @property
    def _whose(self) -> str:
        """The decomposition as HTML."""
        if self.decomposition is None:
            return ""
        head, *rows = self.decomposition.rows
        table = Table(head, tuple(rows))
        said = html.escape(self.decomposition.sentence)
        return f"<p>{WHOSE}:</p>{table._repr_html_()}<p>{said}</p>"

    def figure(self) -> "matplotlib.figure.Figure":
        """The curves: one panel per quantity, with the method and the exact sampler in it."""
        from fsps_lite import plots

        groups = {}
        for curve in self.curves:
            lines = {self.method: curve.value, "exact": curve.null}
            groups[curve.label] = {k: (curve.x, y) for k, y in lines.items() if y is not None}
        axes, levels = [c.axis for c in self.curves], [c.level for c in self.curves]
        return plots.report(groups, xlabels=axes, levels=levels)

    def save_json(self, path: str | Path) -> None:
        """Save all numbers and curves as JSON; a number that is not finite is null.

        Raises OSError where the file cannot be written.
        """
        data = {
            "problem": self.problem,
            "method": self.method,
            "settings": dict(self.settings),
            "findings": [_row(finding) for finding in self.findings],
            "curves": [_panel(curve) for curve in self.curves],
            "notes": list(self.notes),
            "cost": self.cost and asdict(self.cost),
            "missing": [{"id": m.id, "label": m.label, "why": m.why} for m in self.missing],
            "decomposition": self.decomposition and self.decomposition.numbers,
        }
        save(path, json.dumps(data, indent=1, allow_nan=False))

    def save_html(self, path: str | Path) -> None:
        """Save one HTML page that needs no other file: the table, and the figure inside it.

        Raises OSError where the file cannot be written.
        """
        buffer = io.BytesIO()
        self.figure().savefig(buffer, format="png", metadata={"Software": None})
        image = base64.b64encode(buffer.getvalue()).decode()
        title = html.escape(f"{self.method} on {self.problem}")
        page = (
            f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>'
            "<style>body{font:16px sans-serif;max-width:60em;margin:2em auto}img{max-width:100%}"
            "td,th{padding:.2em 1em;text-align:left}</style></head>\n"
            f"<body><h1>{title}</h1>\n{self._repr_html_()}\n"
            f'<img alt="The curves of {title}, beside the exact sampler" '
            f'src="data:image/png;base64,{image}">\n</body>\n</html>\n'
        )
        save(path, page)


def _row(finding: Finding) -> dict[str, object]:
    """A finding, as it is written into JSON."""
    pairs = {"value": _pair(finding.value), "null": finding.null and _pair(finding.null)}
    lens = finding.lens
    return {"id": finding.id, "label": finding.label, "unit": finding.unit, **pairs} | {
        "truth": finding.truth,
        "lens": None if lens is None else _plain([lens])[0],
        "direct": finding.direct and _draws(finding.direct),
        "rule": finding.rule,
        "verdict": finding.verdict,
    }


def _draws(direct: Nulls) -> dict[str, object]:
    """What direct draws have, as it is written into JSON."""
    names = "mean", "deviation", "low", "high"
    numbers = direct.mean, direct.deviation(), direct.low, direct.high
    return {"draws": len(direct.values), **dict(zip(names, _plain(numbers), strict=True))}


def _panel(curve: Curve) -> dict[str, object]:
    """A curve, as it is written into JSON."""
    lines = {"x": curve.x, "value": curve.value, "null": curve.null}
    head = {"id": curve.id, "label": curve.label, "axis": curve.axis}
    return head | {k: None if v is None else _plain(v.tolist()) for k, v in lines.items()}


def _pair(estimate: Estimate) -> list[float | None]:
    return _plain([estimate.value, estimate.error])


def _plain(values: Iterable[float]) -> list[float | None]:
    """Numbers, as they are written into JSON: None where one is not finite."""
    return [value if math.isfinite(value) else None for value in values]
