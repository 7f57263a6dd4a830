"""The law of printed numbers finds a number that another processor could print otherwise."""

import ast
import builtins
import json
import math

import nbformat
import pytest
import torch

from tools.matrix import law, rows, running, table, unrounded
from tools.matrix.law import Printed


def printed(text="0.083", unit=1e-3, **values):
    return Printed("03-chapter", 4, text, f"weight {text}", unit, values)


FAR = {"plain": 0.08314, "avx2": 0.08314 + 1e-12}


def test_a_number_far_from_an_edge_keeps_the_law():
    assert not printed(**FAR).is_near_an_edge
    assert printed(**FAR).distance == pytest.approx(0.00036)


@pytest.mark.parametrize(
    "values",
    [
        {"plain": 0.083495, "avx2": 0.083495},  # a hundredth of a unit from 0.0835 and no more
        {"plain": 0.08314, "avx2": 0.08320},  # its spread is a sixth of its distance
        {"plain": 0.08314, "avx2": 0.08351},  # it is printed otherwise
        {"plain": 0.08314, "avx2": 0.08314, "threads": 0.083496},  # near in one row
    ],
)
def test_a_number_near_an_edge_breaks_it_and_is_listed(values):
    number = printed(**values)
    assert number.is_near_an_edge
    assert law.listed([number]) == {"03-chapter": {"4": {"weight 0.083": ["0.083"]}}}
    (told,) = law.unlisted([number])
    assert "0.083 in 'weight 0.083'" in told
    assert "plain 0.083" in told


@pytest.mark.parametrize(
    "number",
    [
        printed(plain=0.0831, avx2=0.0843),  # more than one unit apart
        printed("12", 1.0, plain=12.4999, avx2=12.4999),  # a whole number is compared exactly
    ],
)
def test_what_one_unit_does_not_cover_cannot_be_listed(number):
    assert number.is_near_an_edge
    assert law.listed([number]) == {}
    assert len(law.unlisted([number])) == 1


def test_what_the_general_tolerance_covers_needs_no_place():
    assert law.covered(printed("1234.5", 0.1, plain=1234.549))
    assert not law.covered(printed("0.083", 1e-3, plain=0.083495))


def test_all_digits_must_be_the_same_in_all_rows():
    assert printed("0.3", 0.0, plain=0.3, avx2=math.nextafter(0.3, 1)).is_near_an_edge
    assert not printed("0.3", 0.0, plain=0.3, avx2=0.3).is_near_an_edge


@pytest.fixture
def two_rows(tmp_path, monkeypatch):
    """Two rows of one notebook, kept as a run keeps them; the second can be changed."""
    cell = {
        "differences": [],
        "measured": [0.0, 0.0],
        "notes": [[0.08314, 1e-3, "0.083"], [0.5, 1e-2, " 0.50"], [7.1, 0.1, "7.1"]],
        "printed": ["weight 0.083\nspread  0.50 of 3.25\n"],
    }
    monkeypatch.setattr(law, "KEPT", tmp_path)
    monkeypatch.setattr(law, "twins", lambda: [tmp_path / "03-chapter.ipynb"])

    def keep(row, change=lambda cell: None):
        other = json.loads(json.dumps(cell))
        change(other)
        (tmp_path / row).mkdir(exist_ok=True)
        (tmp_path / row / "03-chapter.json").write_text(json.dumps({"cells": [other]}))

    keep("plain")
    keep("avx2")
    return keep


def test_numbers_are_found_where_they_are_printed(two_rows):
    found = list(law.printed_numbers(["plain", "avx2"], "03-chapter"))
    assert [n.text for n in found] == ["0.083", "0.50"]  # 7.1 stands in a figure only
    assert [n.line for n in found] == ["weight 0.083", "spread  0.50 of 3.25"]
    assert law.near_edges(["plain", "avx2"]) == []


def test_a_planted_difference_between_rows_is_found(two_rows):
    two_rows("avx2", lambda cell: cell["notes"].__setitem__(0, [0.08349, 1e-3, "0.083"]))
    (number,) = law.near_edges(["plain", "avx2"])
    assert number.values == {"plain": 0.08314, "avx2": 0.08349}


def test_a_number_that_nobody_noted_is_told(two_rows, tmp_path):
    def stored(source):
        cells = [nbformat.v4.new_code_cell(source)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "03-chapter.ipynb")
        return list(law.unexplained(tmp_path / "03-chapter.ipynb"))

    told = "03-chapter, cell 1: 3.25 in 'spread  0.50 of 3.25'"
    assert stored("print(measured)") == [told]
    assert stored('print(f"spread {s:.2f} of 3.25")') == []


def test_another_count_of_values_is_told(two_rows):
    two_rows("avx2", lambda cell: cell["notes"].pop(0))
    (told,) = law.unlike(["plain", "avx2"], "03-chapter")
    assert "{'plain': 2, 'avx2': 1}" in told


@pytest.fixture
def noted(monkeypatch):
    """Run code as a watched kernel does; what it printed, and the notes."""
    monkeypatch.setattr(unrounded, "notes", [])
    names = {"__formatted__": unrounded.formatted, "round": unrounded.rounded}
    names |= {"format": unrounded.formatted, "__format_all__": unrounded.Formatter().format}
    names |= {"torch": torch, "x": 2 / 3, "n": 3}

    def run(expression):
        tree = unrounded.Noting().visit(ast.parse(expression, mode="eval"))
        code = compile(ast.fix_missing_locations(tree), "cell", "eval")
        return eval(code, {"__builtins__": {**vars(builtins), **names}})

    return run


@pytest.mark.parametrize(
    ("expression", "unit"),
    [
        ('f"{x:.3f}"', 1e-3),
        ('f"{x:8.2f} of {n}"', 1e-2),
        ('f"{x:.{n}f}"', 1e-3),
        ('f"{x:.2e}"', 1e-3),
        ('f"{x:.3g}"', 1e-3),
        ('f"{100 * x:.3g}"', 0.1),
        ('f"{x:.1%}"', 1e-3),
        ('f"{x}"', 0.0),
        ('f"{2 * n:.1e}"', 0.1),
        ('f"{torch.tensor(x, dtype=torch.float64):.3f}"', 1e-3),
        ('"{:.2f} {}".format(x, n)', 1e-2),
        ('"{a:.2f}".format(a=x)', 1e-2),
        ('format(x, ".3f")', 1e-3),
        ("str(round(x, 2))", 1e-2),
    ],
)
def test_a_text_is_the_same_and_its_value_is_noted(noted, expression, unit):
    plain = eval(expression, {"torch": torch, "x": 2 / 3, "n": 3})
    assert noted(expression) == plain
    ((value, size, text),) = unrounded.notes
    wanted = 66.667 if "100" in expression else 6 if "2 * n" in expression else 2 / 3
    assert value == pytest.approx(wanted, rel=1e-4)
    assert size == pytest.approx(unit)
    assert text in plain


def test_what_is_no_number_is_left_alone(noted):
    assert noted("f\"{n} {'a'!r:>5} {x!r:.5} {True}\"") == "3   'a' 0.666 True"
    assert unrounded.notes == []


def test_every_row_has_a_name_of_its_own_and_changes_something():
    names = [row.name for row in rows.ROWS]
    assert names[0] == "plain"
    assert len(set(names)) == len(names)
    assert all(row.env or row.python or row.versions for row in rows.ROWS[1:])


def test_the_oldest_versions_are_those_that_are_promised():
    limits = rows.constraints("oldest").splitlines()
    for name in rows.MOVING:
        assert [line for line in limits if line.startswith(f"{name}==")] == [
            f"{name}=={rows.least(name)}"
        ]
    assert not any(line.startswith(("torch==", "scipy==")) for line in rows.constraints("newest"))


def test_an_answer_is_kept_until_what_it_depends_on_changes(tmp_path):
    path = tmp_path / "row" / "answer.json"
    assert running.kept(path, "a") is None
    running.keep(path, "a", {"passed": 3})
    assert running.kept(path, "a")["passed"] == 3
    assert running.kept(path, "b") is None


def test_the_table_says_when_a_setting_had_no_effect(two_rows, monkeypatch):
    monkeypatch.setattr(table, "twins", law.twins)
    assert table.effect("avx2") == "none: it had no effect"
    two_rows("avx2", lambda cell: cell["notes"].__setitem__(0, [0.08315, 1e-3, "0.083"]))
    assert table.effect("avx2") == "1 of 2: 0.08314, 0.08315"
