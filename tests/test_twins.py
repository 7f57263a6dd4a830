"""Every chapter (.md) has an executed twin (.ipynb) that says the same and is fit to be read."""

import json
import re
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupytext.compare import NotebookDifference, compare_notebooks

from tools.comparison import WIDGET_STATE, WIDGET_VIEW
from tools.contents import chapters

BOOK = Path(__file__).resolve().parent.parent / "book"
FOLDER = BOOK / "chapters"
TEXTS = {path.stem for path in FOLDER.glob("*.md")}
NOTEBOOKS = {path.stem for path in FOLDER.glob("*.ipynb")}
TWINS = sorted(TEXTS & NOTEBOOKS)
MAKE = "run `make notebooks`"
# Folders of the machine at hand, and those of any other where people work.
HERE = "|".join(re.escape(str(path)) for path in (BOOK.parent, Path.home(), sys.prefix))
MACHINE_PATH = re.compile(rf"(?:{HERE}|/home/|/Users/|/tmp/|/usr/|[A-Z]:\\\\)[\w./-]*")


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_cells(notebook):
    """(number, cell), the number as the reader counts."""
    return list(enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1))


def outputs(notebook):
    """(number of the cell, cell, output)."""
    return [(n, cell, output) for n, cell in code_cells(notebook) for output in cell.outputs]


def disagreement(text, notebook):
    """How the cells of a chapter differ from those of its twin; None where they agree."""
    try:
        compare_notebooks(text, notebook, fmt="md:myst", compare_outputs=False)
    except NotebookDifference as difference:
        return str(difference)
    return None


def unrun(notebook):
    """Code cells that do not carry the number of their place."""
    return [n for n, cell in code_cells(notebook) if cell.execution_count != n]


def unseen(notebook):
    """Cells with a picture and no text for those who do not see it."""
    return [
        n
        for n, cell, output in outputs(notebook)
        if "image/png" in output.get("data", {})
        and not cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "").strip()
    ]


def lost_widgets(notebook):
    """Cells with a widget that is not stored in the notebook."""
    state = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    return [
        n
        for n, _, output in outputs(notebook)
        if WIDGET_VIEW in output.get("data", {})
        and output.data[WIDGET_VIEW]["model_id"] not in state
    ]


def progress_bars(notebook):
    """Bars that a run showed because it was slow: the next one may show none."""
    state = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    return [m for m in state.values() if m["model_name"] == "FloatProgressModel"]


def test_there_are_twins():
    assert TWINS, "book/chapters has no chapter with a notebook: " + MAKE


def test_each_text_has_a_notebook_and_each_notebook_a_text():
    assert TEXTS == NOTEBOOKS, f"only one of the two exists: {sorted(TEXTS ^ NOTEBOOKS)}; {MAKE}"


def test_the_contents_list_every_chapter():
    assert {chapter.name for chapter in chapters()} == TEXTS


@pytest.mark.parametrize("name", TWINS)
def test_text_and_notebook_agree(name):
    text = jupytext.read(FOLDER / f"{name}.md", fmt="md:myst")
    difference = disagreement(text, read(name))
    assert not difference, f"{name}.md was edited after {name}.ipynb: {MAKE}\n{difference}"


@pytest.mark.parametrize("name", TWINS)
def test_every_cell_was_run_in_order(name):
    assert not unrun(read(name)), f"cells {unrun(read(name))} were not run in order: {MAKE}"


@pytest.mark.parametrize("name", TWINS)
def test_no_error_is_stored(name):
    raised = [n for n, _, output in outputs(read(name)) if output.output_type == "error"]
    assert not raised, f"cells {raised} raised"


@pytest.mark.parametrize("name", TWINS)
def test_no_warning_is_stored(name):
    warned = [n for n, _, output in outputs(read(name)) if output.get("name") == "stderr"]
    assert not warned, f"cells {warned} wrote to stderr: what the reader sees there is a defect"


@pytest.mark.parametrize("name", TWINS)
def test_no_path_of_a_machine_is_stored(name):
    text = json.dumps([output for _, _, output in outputs(read(name))])
    found = MACHINE_PATH.findall(re.sub(r'"image/png": "[^"]*"', "", text))
    assert not found, f"outputs name {found}"


@pytest.mark.parametrize("name", TWINS)
def test_every_picture_has_a_text(name):
    cells = unseen(read(name))
    assert not cells, f"cells {cells} draw without `mystnb: {{image: {{alt: ...}}}}` in their head"


@pytest.mark.parametrize("name", TWINS)
def test_every_widget_is_stored(name):
    assert not lost_widgets(read(name)), f"widgets of cells {lost_widgets(read(name))}: {MAKE}"


@pytest.mark.parametrize("name", TWINS)
def test_no_progress_bar_is_stored(name):
    bars = progress_bars(read(name))
    assert not bars, f"{len(bars)} progress bars: TQDM_DISABLE=1 must silence them"


# These checks notice what they are for.

SMALL = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
fsps:
  builds: [operators.Linear]
---

# A title

```{code-cell} ipython3
---
mystnb:
  image:
    alt: A line.
---
1 + 1
```
"""


def small(source="1 + 1"):
    notebook = jupytext.reads(SMALL.replace("1 + 1", source), fmt="md:myst")
    for number, cell in code_cells(notebook):
        cell.execution_count = number
        cell.outputs = [nbformat.v4.new_output("display_data", {"image/png": ""})]
    return notebook


def test_an_edited_text_is_noticed():
    text = jupytext.reads(SMALL, fmt="md:myst")
    assert not disagreement(text, small())
    assert disagreement(text, small("1 + 2"))
    edited = jupytext.reads(SMALL.replace("A title", "Another"), fmt="md:myst")
    assert disagreement(edited, small())


def test_a_changed_head_of_a_cell_is_noticed():
    edited = jupytext.reads(SMALL.replace("A line.", "Two lines."), fmt="md:myst")
    assert disagreement(edited, small())


def test_stripped_and_unordered_cells_are_noticed():
    notebook = small()
    assert not unrun(notebook)
    for count in (None, 2):
        notebook.cells[1].execution_count = count
        assert unrun(notebook) == [1]


def test_a_picture_without_text_is_noticed():
    notebook = small()
    assert not unseen(notebook)
    for metadata in ({}, {"mystnb": {"image": {"alt": " "}}}):
        notebook.cells[1].metadata = nbformat.from_dict(metadata)
        assert unseen(notebook) == [1]


def test_a_lost_widget_is_noticed():
    notebook = small()
    view = nbformat.v4.new_output("display_data", {WIDGET_VIEW: {"model_id": "a"}})
    notebook.cells[1].outputs = [view]
    assert lost_widgets(notebook) == [1]


@pytest.mark.parametrize("start", ["/home/me", "/tmp/x1", "C:\\\\Users", str(BOOK)])
def test_a_path_is_noticed(start):
    assert MACHINE_PATH.search(f"saved to {start}/file")
