"""What the grader gives for each test cell of a folder of submissions."""

import copy
import dataclasses
import warnings
from functools import partial

from tools.coursework import grade, sandbox, students, submission
from tools.coursework.master import Master, role_of, student_source


def counted(master: Master, questions, public: bool) -> Master:
    """The master, whose tests give 1, 2, 4, ... points, so that the sum names those that passed.

    Of its questions only some are there; if `public`, its tests are those that students see.
    """
    notebook = copy.deepcopy(master.notebook)
    for question in master.questions:
        names = [cell.name for cell in question.tests]
        for cell in notebook.cells:
            told = cell.metadata.get("nbgrader", {})
            if told.get("grade_id") in names:
                cell.source = student_source(role_of(cell)) if public else cell.source
                told["points"] = 2 ** names.index(told["grade_id"])
    found = dataclasses.replace(master, notebook=notebook)
    chosen = {question.name for question in questions}
    vars(found)["questions"] = [q for q in found.questions if q.name in chosen]
    return found


def handed_in(folder, masters, master):
    """The submission that lies in a folder: it must belong to this master."""
    found = students.handed_in(folder, masters)
    (student,) = found.files[master.name]
    assert student.path is not None, found
    return submission.read(student.path, master)


def passed(master: Master, handed, room: str) -> tuple[set[str], list[str]]:
    """The test cells that give their points, and the remarks about the others."""
    start = partial(sandbox.Child, room=room)
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # as in make grade
        outcomes = grade.grade(master, handed, "an honest class", start)
    cells, remarks = set(), []
    for question in master.questions:
        points = int(outcomes[question.name].points)
        cells |= {c.name for n, c in enumerate(question.tests) if points >> n & 1}
        remarks += [f"{question.name}: {remark}" for remark in outcomes[question.name].remarks]
    return cells, remarks
