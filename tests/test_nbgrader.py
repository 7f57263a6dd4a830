"""nbgrader, where it is installed, takes our masters: it releases them and grades them in full."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

from tools.coursework import examples
from tools.coursework.master import masters, student_version
from tools.execute import KERNEL_ENV

pytest.importorskip("nbgrader", reason="nbgrader is optional: pip install -e .[coursework]")
MASTERS = {master.name: master for master in masters()}
CONFIG = 'c = get_config()\nc.CourseDirectory.course_id = "trial"\n'


@pytest.fixture(params=MASTERS)
def course(request, tmp_path):
    """A course with one assignment, the reference and an untouched notebook handed in."""
    master = MASTERS[request.param]
    source = tmp_path / "source" / "one" / f"{master.name}.ipynb"
    source.parent.mkdir(parents=True)
    notebook = nbformat.from_dict(master.notebook)
    notebook.nbformat_minor = 5
    jupytext.write(notebook, source, fmt="ipynb")
    for student, deeds in (("right", {"solve": "all"}), ("untouched", {})):
        path = tmp_path / "submitted" / student / "one" / source.name
        path.parent.mkdir(parents=True)
        path.write_text(examples.submission_text(master, **deeds), encoding="utf-8")
    (tmp_path / "nbgrader_config.py").write_text(CONFIG)
    return master, tmp_path


def nbgrader(folder, *arguments):
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # it calls alembic
    environment = {**os.environ, **KERNEL_ENV, "HOME": str(folder), "PATH": programs}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]


@pytest.mark.long
def test_nbgrader_releases_and_grades(course):
    master, folder = course
    nbgrader(folder, "generate_assignment", "one", "--create", "--force")
    released = nbformat.read(folder / "release" / "one" / f"{master.name}.ipynb", as_version=4)
    ours = student_version(master)
    pairs = zip(released.cells, ours.cells, strict=True)  # the texts between stay MyST in theirs
    assert all(a.source == b.source for a, b in pairs if "nbgrader" in b.metadata)
    nbgrader(folder, "autograde", "one", "--create", "--force")
    nbgrader(folder, "export")
    with (folder / "grades.csv").open(newline="") as file:
        scores = {row["student_id"]: float(row["raw_score"]) for row in csv.DictReader(file)}
    assert scores == {"right": sum(q.points for q in master.questions), "untouched": 0}
