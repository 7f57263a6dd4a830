"""An error of one per cent in any number that the book stores is seen by the comparison."""

import json
from pathlib import Path

import nbformat
import pytest

from tools.comparison import (
    EDGES,
    NUMBER,
    decimals,
    edges_of,
    line_difference,
    sanitizer,
    shown,
    stored_models,
    tolerance,
    unit,
    without_pictures,
)
from tools.matrix.law import WHOLE
from tools.matrix.running import SANITIZER, twins

PICTURES = ("image/png", "image/jpeg")


def lines_of(twin):
    """(number of the code cell, line) of all that a notebook stores as text, widgets too."""
    notebook, clean = nbformat.read(twin, as_version=4), sanitizer(SANITIZER)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells, start=1):
        for kind, values in shown(cell.outputs, stored_models(notebook), clean).items():
            texts = [] if kind in PICTURES else values
            yield from ((number, line) for text in texts for line in text.splitlines())


MANY = 100  # numbers of a line that are tried: a live figure has thousands in one


def some(places):
    """All places of a short line, and some of a long one, spread over it."""
    found = list(places)
    return found[:: 1 + len(found) // MANY]


def perturbed(line, known):
    """The line with one number wrong by 1 %, or by more than its tolerance, for each number."""
    for place in some(NUMBER.finditer(line)):
        text = place.group().strip()
        value = float(text)
        step = max(0.01 * abs(value), 1.01 * tolerance(text, text in known) if text in known else 0)
        wrong = value + (step or unit(text))
        yield text, f"{line[: place.start()]} {wrong:.12g}{line[place.end() :]}"
    for place in some(WHOLE.finditer(NUMBER.sub(lambda found: "x" * len(found.group()), line))):
        wrong = int(place.group()) + max(1, round(0.01 * abs(int(place.group()))))
        yield place.group(), line[: place.start()] + str(wrong) + line[place.end() :]


@pytest.mark.parametrize("twin", twins(), ids=lambda path: path.stem)
def test_one_per_cent_in_any_stored_number_is_found(twin):
    tried = 0
    for cell, line in lines_of(twin):
        known = edges_of(twin.stem, cell).get(line, ())
        plain = without_pictures(line)
        assert line_difference(plain, plain, known) is None
        for number, wrong in perturbed(plain, known):
            tried += 1
            assert line_difference(plain, wrong, known), (twin.stem, cell, number, plain)
    assert tried > 10


def test_an_edge_is_one_unit_and_no_more():
    line = "weight 0.083, spread 1.4e-03"
    assert line_difference(line, "weight 0.084, spread 1.4e-03", ["0.083"]) is None
    assert line_difference(line, "weight 0.083, spread 1.3e-03", ["1.4e-03"]) is None
    assert line_difference(line, "weight 0.085, spread 1.4e-03", ["0.083"])
    assert line_difference(line, "weight 0.084, spread 1.4e-03", ["1.4e-03"])
    assert line_difference(line, "weight 0.084, spread 1.4e-03")


@pytest.mark.parametrize(
    ("number", "wanted"),
    [("0.083", 1e-3), ("12.", 1.0), ("1.4e-03", 1e-4), ("-3e+02", 1e2), ("+.5", 0.1)],
)
def test_the_unit_is_that_of_the_last_digit(number, wanted):
    assert unit(number) == pytest.approx(wanted)


def test_each_edge_is_a_number_that_its_cell_prints():
    """One that is not was left behind when its chapter changed: take it out of the list."""
    listed = json.loads(EDGES.read_text(encoding="utf-8"))
    chapters = {path.stem: path for path in twins()}
    assert set(listed) <= set(chapters)
    for stem, cells in listed.items():
        printed = set(lines_of(chapters[stem]))
        for cell, lines in cells.items():
            for line, numbers in lines.items():
                assert (int(cell), line) in printed, (stem, cell, line)
                assert set(numbers) <= set(decimals(line)), (stem, cell, line)


def test_the_sanitizer_reads_every_pair():
    text = Path(SANITIZER).read_text(encoding="utf-8")
    assert sanitizer(SANITIZER)("at 0x7f00aa11bb") == "at ADDRESS"
    assert text.count("regex: ") == text.count("replace: ") == 4
