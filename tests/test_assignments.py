"""Every assignment: its reference gets full marks, its planted mistakes what they deserve."""

import copy
import marshal
import os
import re
import runpy
import subprocess
import sys

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from fsps_lite import Problem
from tools.coursework import examples, grade, submission
from tools.coursework.master import masters, student_version
from tools.coursework.sandbox import CHILD
from tools.execute import KERNEL_ENV, TIMEOUT

# The grader's processes have no shape checks either.
pytestmark = pytest.mark.usefixtures("unchecked")
MASTERS = {master.name: master for master in masters()}
# What holds for two draws of the inputs is no luck of one.
SEEDS = ["a secret", pytest.param("another", marks=pytest.mark.long)]
FEWEST = 5  # planted mistakes a question


QUESTIONS = [(m.name, q.name) for m in MASTERS.values() for q in m.questions if q.tests]
MISTAKES = [
    pytest.param(
        *(name, question, mistake),
        id=f"{name[:2]}-{question}-{mistake['mistake']}",
        marks=[pytest.mark.long] if mistake.get("long") else [],
    )
    for name in MASTERS
    for question, mistakes in examples.mistakes(MASTERS[name]).items()
    for mistake in mistakes
]
by_master = pytest.mark.parametrize("name", MASTERS)


@pytest.fixture(scope="module")
def child():
    """What the process that holds a submission can do, for our own solutions, without a sandbox."""
    pytest.importorskip("resource", reason="the grader needs Linux, macOS or WSL")
    sys.path.insert(0, str(CHILD))
    names = runpy.run_path(str(CHILD / "__main__.py"), run_name="child")
    sys.path.remove(str(CHILD))
    return names | {"run": names["cells"].run}


@pytest.fixture(scope="module")
def start(child):
    """A child without a sandbox: the same answers, of the same plain data.

    Like JSON, and in a tenth of the time, `marshal` hands over what two processes could exchange.
    """

    class Local:
        ended = None

        def __init__(self, cells, imports, seconds, megabytes):
            self.names = {"__name__": "submission"}
            self.failures = child["run"](cells, self.names)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def ask(self, request):
            request = marshal.loads(marshal.dumps(request))
            return marshal.loads(marshal.dumps(child["answer"](self.names, request)))

    return Local


@pytest.fixture(scope="module", autouse=True)
def remembered():
    """What no submission changes is worked out once: notebooks given out, the tests' own clouds.

    The functions of the set-up that are named here draw with generators of their own, from numbers
    that no submission has seen: for the same arguments the answer is the same.
    """
    versions = {name: student_version(master) for name, master in MASTERS.items()}
    answers, own_names = {}, grade.own_names

    def with_memory(*given):
        names = own_names(*given)
        own = {name: names[name] for name in ("rival", "ruler", "draw") if name in names}
        return names | {name: once(function, answers) for name, function in own.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "student_version", lambda m: copy.deepcopy(versions[m.name]))
        patch.setattr(grade, "own_names", with_memory)
        yield


def once(function, answers):
    """The function, which looks into `answers` before it computes."""

    def remember(*args, **kwargs):
        told = [*map(identity, args), *((name, identity(v)) for name, v in sorted(kwargs.items()))]
        key = (function.__name__, *told)
        if key not in answers:
            answers[key] = function(*args, **kwargs)
        found = answers[key]
        return found.clone() if isinstance(found, torch.Tensor) else found

    return remember


def identity(value):
    """What tells an argument from others: a problem's numbers, a method's name, or all of it."""
    if isinstance(value, Problem):
        prior = value.prior
        points = torch.linspace(-1.7, 2.1, 9, dtype=torch.float64)[:, None] + prior.means[:1]
        told = prior.log_weights, prior.means, prior.covs, value.likelihood.log_prob(points)
        return type(value.schedule).__name__, *(str(part.tolist()) for part in told)
    return value.__name__ if isinstance(value, type) else repr(value)


def outcome(start, tmp_path, name, question, seed="0", **deeds):
    """What the tests of one question say about a student who did this."""
    master = MASTERS[name]
    path = tmp_path / "submission.ipynb"
    path.write_text(examples.submission_text(master, **deeds), encoding="utf-8")
    handed_in = submission.read(path, master)
    (found,) = [q for q in master.questions if q.name == question]
    return found, grade.grade_question(master, found, handed_in, seed, start)


@pytest.mark.parametrize(("name", "question"), QUESTIONS)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_reference_gets_full_marks(start, tmp_path, name, question, seed):
    found, result = outcome(start, tmp_path, name, question, seed, solve="all")
    assert result.remarks == []
    assert result.points == found.points


@pytest.mark.parametrize(("name", "question"), QUESTIONS)
def test_the_untouched_notebook_gets_nothing_and_is_told_so(start, tmp_path, name, question):
    _, result = outcome(start, tmp_path, name, question)
    assert result.points == 0
    assert result.remarks


@pytest.mark.parametrize(("name", "question", "mistake"), MISTAKES)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_mistake_gets_what_it_deserves(start, tmp_path, name, question, mistake, seed):
    master = MASTERS[name]
    (found,) = [q for q in master.questions if q.name == question]
    wrong = examples.planted(master, found, mistake)
    _, result = outcome(start, tmp_path, name, question, seed, solve="all", write=wrong)
    remarks = " | ".join(result.remarks)
    assert re.search(mistake["says"], remarks), remarks
    assert result.points == mistake["points"], remarks


@by_master
def test_each_question_has_mistakes_and_says_what_it_is_for(name):
    master = MASTERS[name]
    mistakes = examples.mistakes(master)
    assert set(mistakes) == {q.name for q in master.questions if q.tests}
    assert {q: len(m) for q, m in mistakes.items() if len(m) < FEWEST} == {}
    assert all(q.objective and q.chapters and (q.rubric or not q.written) for q in master.questions)
    assert 60 <= master.notebook.metadata["fsps"]["minutes"] <= 120


@by_master
def test_the_set_up_is_the_same_in_all(name):
    def set_up(master):
        (cell,) = [cell for cell in master.cells if cell.name == "set-up"]
        return cell.source[cell.source.index("SEED = ") :]

    assert set_up(MASTERS[name]) == set_up(next(iter(MASTERS.values())))


@by_master
def test_the_text_tells_the_points_that_are_given(name):
    master = MASTERS[name]
    text = "\n".join(c.source for c in master.notebook.cells if c.cell_type == "markdown")
    told = re.findall(r"^## Question (\d+): .*\((\d+) points?\)$", text, re.MULTILINE)
    given = [(q.name[1:], f"{q.points + q.written_points:g}") for q in master.questions]
    assert told == given


@by_master
def test_the_student_version_holds_no_solution_and_no_hidden_line(name):
    master = MASTERS[name]
    version = student_version(master)
    text = "\n".join(cell.source for cell in version.cells)
    assert not re.search(r"### (BEGIN|END)", text)
    hidden = [
        line.strip()
        for cell in master.cells
        for region in re.findall(r"### BEGIN ([A-Z ]+)\n(.*?)### END \1", cell.source, re.DOTALL)
        for line in region[1].splitlines()
    ]
    seen = {line.strip() for cell in version.cells for line in cell.source.splitlines()}
    public = {line for line in seen if len(line) < 25}  # `}` and `return x` prove nothing
    assert hidden
    assert [line for line in hidden if line and line in seen - public] == []


def run_in_kernel(notebook):
    """Execute a notebook from top to bottom, failing at a cell that may not fail."""
    waits = {"timeout": TIMEOUT, "startup_timeout": TIMEOUT}  # a busy machine is no failure
    client = NotebookClient(notebook, kernel_name="python3", **waits)
    client.execute(env={**os.environ, **KERNEL_ENV}, stderr=subprocess.DEVNULL)
    errors = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                errors[cell.id] = f"{output.ename}: {output.evalue}"
    return errors


@pytest.fixture(params=["here", pytest.param("kernel", marks=pytest.mark.long)])
def run(request, child):
    """Execute a notebook, in this process or in a kernel; give the errors, {cell: error}."""

    def run_here(notebook):
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        cells = [(cell.get("id", f"cell {i}"), cell.source) for i, cell in enumerate(code, 1)]
        return child["run"](cells, {"__name__": "notebook"})

    return run_here if request.param == "here" else run_in_kernel


@by_master
def test_the_student_version_runs_to_its_end(run, name):
    notebook = student_version(MASTERS[name])
    roles = {cell.name: cell.role for cell in MASTERS[name].cells}
    errors = run(notebook)
    assert errors
    for cell, error in errors.items():
        assert roles[cell] in ("answer", "tests"), (cell, error)
        assert error.startswith(("NotImplementedError", "AssertionError", "NameError")), error


# The project plays its sampler for seconds; grading the reference, every day, plays it too.
SOLVED = [pytest.param(n, marks=[pytest.mark.long] if n[:2] == "06" else []) for n in MASTERS]


@pytest.mark.parametrize("name", SOLVED)
def test_the_solution_runs_from_top_to_bottom(run, name):
    notebook = nbformat.from_dict(MASTERS[name].notebook)
    for cell in notebook.cells:
        cell.pop("id", None)
    assert run(nbformat.v4.upgrade(notebook)) == {}
