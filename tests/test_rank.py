"""The league: its order, its ties, and that only measured figures count."""

import csv
import math
import sys

import pytest

from tools.coursework import __main__ as tool
from tools.coursework import examples, rank
from tools.coursework.master import read

MASTER = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
fsps:
  minutes: 60
  chapters: [1]
  rank: {question: q1, figures: figures}
  questions:
    q1: {objective: come close to 3, chapters: [1], asks: [near]}
---

# A race

```{code-cell} ipython3
---
nbgrader: {grade: false, grade_id: set-up, locked: true, schema_version: 3, solution: false, task: false}
---
SEED = 0
```

```{code-cell} ipython3
---
nbgrader: {grade: false, grade_id: q1, locked: false, schema_version: 3, solution: true, task: false}
---
def near(x):
    ### BEGIN SOLUTION
    return 3.0
    ### END SOLUTION
```

```{code-cell} ipython3
---
nbgrader: {grade: true, grade_id: q1-tests, locked: true, points: 1, schema_version: 3, solution: false, task: false}
---
### BEGIN HIDDEN TESTS
figures = {f"at {x}": abs(near(x) - 3.0) * 10 for x in (1, 2)}
assert max(figures.values()) < 5
### END HIDDEN TESTS
```
"""  # noqa: E501


@pytest.fixture
def master(tmp_path):
    path = tmp_path / "09-race.md"
    path.write_text(MASTER, encoding="utf-8")
    return read(path)


def test_the_league_is_in_order_and_ties_share_a_rank():
    found = {"b": {"p": 4.0, "q": 1.0}, "a": {"p": 2.0, "q": 2.0}, "=c": {"p": 0.1, "q": 0.2}}
    rows = rank.table(
        {
            **found,
            "lost": {},
            "diverged": {"p": 1.0, "q": math.inf},
            "nan": {"p": math.nan, "q": 1.0},
        }
    )
    assert rows[0] == ["rank", "student", "figure", "p", "q"]
    assert [row[:3] for row in rows[1:]] == [
        ["1", "'=c", "1.00"],  # luck below 1 is not rewarded, and no spreadsheet runs a name
        ["2", "a", "2.00"],
        ["2", "b", "2.00"],
        ["", "diverged", ""],
        ["", "lost", ""],
        ["", "nan", ""],
    ]


def test_a_missing_problem_is_no_advantage():
    rows = rank.table({"honest": {"p": 3.0, "q": 2.0}, "half": {"p": 1.0}})
    assert [row[1] for row in rows[1:]] == ["honest", "half"]
    assert rows[2][0] == ""


@pytest.mark.skipif(sys.platform == "win32", reason="submissions run on Linux, macOS or WSL")
def test_a_figure_counts_also_below_the_threshold_and_a_forged_one_does_not(master, tmp_path):
    answers = {
        "exact": "def near(x):\n    return 3.0",
        "far": "def near(x):\n    return 4.0",  # fails the test, and is ranked
        "forger": "figures = {'at 1': 0.0, 'at 2': 0.0}\ndef near(x):\n    return 3.5",
        "crash": "def near(x):\n    raise KeyError",
        "exits": "import os\nos._exit(0)",
    }
    for student, source in answers.items():
        path = tmp_path / "submissions" / student / "09-race.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(examples.submission_text(master, write={"q1": source}), encoding="utf-8")
    broken = tmp_path / "submissions" / "broken" / "09-race.ipynb"
    broken.parent.mkdir()
    broken.write_text("no notebook", encoding="utf-8")
    places = {"--masters": tmp_path, "--submissions": tmp_path / "submissions", "--out": tmp_path}
    told = [str(word) for pair in places.items() for word in pair]
    assert tool.main(["rank", *told]) == 0
    with (tmp_path / "09-race.league.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    assert [row[:3] for row in rows[1:4]] == [
        ["1", "exact", "1.00"],
        ["2", "forger", "5.00"],
        ["3", "far", "10.00"],
    ]
    assert {row[1] for row in rows[4:]} == {"crash", "exits", "broken"}
    assert all(row[0] == "" for row in rows[4:])
