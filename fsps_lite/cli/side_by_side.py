"""Several reports in one table: a row for each finding, a column for each method."""

from collections.abc import Iterator, Sequence

from fsps_lite.diagnosis import Report
from fsps_lite.tables import aligned

NONE = "-"  # a row that the kind of a method does not have


def beside(reports: Sequence[Report]) -> str:
    """Reports on one problem as text: the numbers side by side, then what each report notes."""
    first = reports[0]
    settings = ", ".join(f"{key} = {value}" for key, value in first.settings.items())
    title = f"{len(reports)} methods on {first.problem} ({settings})"
    head = ("", *(report.method for report in reports), "exact", "truth")
    legend = dict.fromkeys(line for report in reports for line in report.legend)
    return "\n".join([title, "", *aligned([head, *_rows(reports)]), "", *legend, *_notes(reports)])


def _rows(reports: Sequence[Report]) -> Iterator[tuple[str, ...]]:
    """One row a finding; the exact sampler's number is that of the first report that has it."""
    cells = [{one.id: one.cells for one in report.findings} for report in reports]
    for id in dict.fromkeys(id for known in cells for id in known):
        label, _, exact, truth, _ = next(known[id] for known in cells if id in known)
        mine = [
            _cell(known.get(id), report.stars) for known, report in zip(cells, reports, strict=True)
        ]
        yield label, *mine, exact, truth


def _cell(cells: tuple[str, ...] | None, stars: bool) -> str:
    """A number, and its star."""
    if cells is None:
        return NONE
    return f"{cells[1]} {cells[4]}".rstrip() if stars else cells[1]


def _notes(reports: Sequence[Report]) -> Iterator[str]:
    """The notes of all reports once, the others with the name of the method."""
    for note in dict.fromkeys(note for report in reports for note in report.notes):
        told = [report.method for report in reports if note in report.notes]
        yield f"- {note}" if len(told) == len(reports) else f"- {', '.join(told)}: {note}"
