"""Executing a chapter is deterministic, happens when it must, and says what failed."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.test_nbval_plugin import CHAPTER
from tools import execute

ROOT = Path(__file__).resolve().parent.parent
# Two cells, of which the second fails: a kernel that imports nothing starts in half the time.
BROKEN = CHAPTER.split("```{code-cell}")[0] + (
    "```{code-cell} ipython3\nx = 0\n```\n\n```{code-cell} ipython3\n1 / x\n```\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A chapter with a figure and a widget, executed once, and a library of one file."""
    folder = tmp_path_factory.mktemp("book")
    (folder / "library").mkdir()
    (folder / "library" / "module.py").write_text("x = 1\n")
    (folder / "01-chapter.md").write_text(CHAPTER, encoding="utf-8")
    assert execute.write_twin(folder / "01-chapter.md", folder / "library")
    return folder


def test_twice_gives_the_same_bytes(folder):
    before = (folder / "01-chapter.ipynb").read_bytes()
    assert not execute.write_twin(folder / "01-chapter.md", folder / "library")
    assert (folder / "01-chapter.ipynb").read_bytes() == before
    assert b"image/png" in before
    assert b"widget-view" in before


def test_the_twin_holds_no_path_and_no_time(folder):
    text = (folder / "01-chapter.ipynb").read_text(encoding="utf-8")
    assert str(folder) not in text
    assert "iopub" not in text


def test_cells_are_numbered_and_valid(folder):
    notebook = nbformat.read(folder / "01-chapter.ipynb", as_version=4)
    nbformat.validate(notebook)
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("changed", ["01-chapter.md", "library/module.py"])
def test_a_change_makes_the_twin_stale(folder, changed):
    chapter, library = folder / "01-chapter.md", folder / "library"
    assert execute.is_current(chapter, library)
    path = folder / changed
    before = path.read_text(encoding="utf-8")
    path.write_text(before + "\n", encoding="utf-8")
    assert not execute.is_current(chapter, library)
    path.write_text(before, encoding="utf-8")
    assert execute.is_current(chapter, library)


def test_a_missing_twin_is_not_current(tmp_path):
    (tmp_path / "02-chapter.md").write_text(CHAPTER, encoding="utf-8")
    assert not execute.is_current(tmp_path / "02-chapter.md", tmp_path)


def test_a_twin_with_the_marks_of_a_merge_is_made_anew(tmp_path):
    (tmp_path / "chapter.md").write_text("text")
    (tmp_path / "chapter.ipynb").write_text("<<<<<<< ours\n{}\n=======\n{}\n>>>>>>> theirs\n")
    assert not execute.is_current(tmp_path / "chapter.md", tmp_path)


def run(*arguments):
    command = [sys.executable, str(ROOT / "tools" / "execute.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ)


def test_a_failing_chapter_is_told_with_its_cell(tmp_path):
    chapter = tmp_path / "03-broken.md"
    chapter.write_text(BROKEN, encoding="utf-8")
    result = run(chapter)
    assert result.returncode == 1
    assert "FAILED  03-broken.ipynb" in result.stdout
    assert "03-broken.md, code cell 2:\n\n1 / x" in result.stderr
    assert "ZeroDivisionError" in result.stderr
    assert "\x1b" not in result.stderr
    assert not chapter.with_suffix(".ipynb").exists()


def test_a_notebook_in_place_of_a_chapter_is_refused(tmp_path):
    result = run(tmp_path / "01-chapter.ipynb")
    assert result.returncode == 2
    assert "give the .md of a chapter" in result.stderr


def test_streams_are_joined():
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in "ab"]
    outputs += [nbformat.v4.new_output("stream", name="stderr", text="c")]
    assert [output.text for output in execute.merge_streams(outputs)] == ["ab", "c"]
