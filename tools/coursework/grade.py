"""Grade one submission: the tests run here, the student's functions run in a child.

The test cells of the master call the student's functions by name. Here such a name is a stand-in
that sends the arguments to the child and gets the answer as data, so a test reads as in a notebook
and yet nothing that the submission does to Python reaches the place where answers are compared.
"""

import ast
import contextlib
import difflib
import functools
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

from tools.coursework import secret
from tools.coursework.child import wire
from tools.coursework.master import Cell, Master, Question
from tools.coursework.result import Outcome
from tools.coursework.sandbox import Child, Ended
from tools.coursework.submission import Submission

Start = Callable[..., Child]  # (cells, imports, seconds=, megabytes=)
LONGEST = 600  # characters of a remark
UNANSWERED = "not answered yet"
LEANS = "graded in the whole notebook, run from its top: there it gets more points"


class Wrong(AssertionError):
    """The submission cannot answer; the message says why, in words for the student."""


@dataclass(frozen=True)
class Asked:
    """Stands in for a function of the student."""

    name: str
    child: Child

    def __call__(self, *args: object, **kwargs: object) -> Any:
        told = {"args": wire.encode(args), "kwargs": wire.encode(kwargs)}
        return value_of(self.name, self.child.ask({"name": self.name, **told}))


def value_of(name: str, reply: wire.Message) -> Any:
    """The value in a reply. Raises Wrong when it holds an error, or something else altogether."""
    if "error" in reply:
        error = str(reply["error"])
        unanswered = error.startswith("NotImplementedError")
        raise Wrong(UNANSWERED if unanswered else f"your `{name}` raised {error}")
    try:
        return wire.decode(reply["value"])
    except (KeyError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise Wrong(f"your `{name}` answered with {error}") from None


def grade(master: Master, submission: Submission, phrase: str, start: Start) -> dict[str, Outcome]:
    """{question: outcome}; `start(cells, imports, seconds=, megabytes=)` starts a child.

    A question that alone does not get all its points is asked once more in the whole notebook,
    where an answer may lean on what another question or a test defines; unless a process was
    stopped before, because it would be again.
    """
    outcomes: dict[str, Outcome] = {}
    stopped = False
    for question in master.questions:
        found = grade_question(master, question, submission, phrase, start)
        stopped |= found.stopped
        answered = not submission.left_out(question)
        if found.points < question.points and answered and not stopped:
            whole = in_the_whole(master, question, submission, phrase, start)
            stopped = whole.stopped
            found = whole if whole.points > found.points else found
        outcomes[question.name] = found
    return outcomes


def grade_question(
    master: Master, question: Question, submission: Submission, phrase: str, start: Start
) -> Outcome:
    """The outcome of a question when only its own cells exist, and those that it needs."""
    if submission.left_out(question):
        return Outcome(remarks=[UNANSWERED] if question.tests else [])
    cells, lacking = submission.runs(master, question)
    names = own_names(master, question, phrase)
    return tested(master, question, cells, lacking, question.seconds, names, start)


def in_the_whole(
    master: Master, question: Question, submission: Submission, phrase: str, start: Start
) -> Outcome:
    """The outcome of a question when the notebook was run from its top, in the time of all."""
    above = master.questions[: master.questions.index(question) + 1]
    seconds = sum(each.seconds for each in above)
    cells = submission.whole(master, question)
    names = own_names(master, question, phrase)
    outcome = tested(master, question, cells, [], seconds, names, start)
    outcome.remarks.insert(0, LEANS)
    return outcome


def tested(
    master: Master,
    question: Question,
    cells: Sequence[tuple[str, str]],
    lacking: Collection[str],
    seconds: int,
    names: dict[str, Any],
    start: Start,
) -> Outcome:
    """What the tests of a question give for a child that has run these cells.

    They run in the namespace `names`, and leave there what they define.
    """
    outcome = Outcome()
    try:
        with start(cells, master.imports, seconds=seconds, megabytes=question.megabytes) as child:
            for cell in question.tests:
                remark = attempt(cell, question, names, child, lacking)
                outcome.points += 0 if remark else cell.points
                outcome.remarks += [remark] if remark else []
            outcome.stopped = child.ended is not None
    except Ended as error:  # before the first test
        outcome.remarks, outcome.stopped = [str(error)], True
    outcome.remarks = list(dict.fromkeys(outcome.remarks))  # one remark once
    return outcome


def own_names(master: Master, question: Question, phrase: str) -> dict[str, Any]:
    """Where the tests run: the master's own set-up, with the seed of the hidden tests."""
    names: dict[str, Any] = {"__name__": "tests"}
    for cell in master.seen_by(question):
        if cell.code and cell.role == "set-up":
            exec(compiled(cell), names)
    return {**names, "SEED": secret.seed(phrase, master.name, question.name), "SECRET": b""}


def attempt(
    cell: Cell, question: Question, names: dict[str, Any], child: Child, lacking: Collection[str]
) -> str:
    """Run one test cell; return what is wrong, or an empty string."""
    try:
        for name in used(cell.source, question.asks):
            names[name] = look_up(name, child, lacking)
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compiled(cell), names)
    except (AssertionError, Ended) as error:
        return shortened(error) or "a test failed that says no more"
    except Exception as error:  # an answer of a kind that the test did not think of
        return shortened(f"your answer cannot be checked ({type(error).__name__}: {error})")
    return ""


@functools.cache  # for one student as for another
def compiled(cell: Cell) -> CodeType:
    """A cell of the master, ready to run."""
    return compile(cell.source, cell.name, "exec")


def used(source: str, asks: Collection[str]) -> list[str]:
    """The names of the student that a test cell mentions."""
    return [name for name in asks if name in mentioned(source)]


@functools.cache
def mentioned(source: str) -> frozenset[str]:
    """Every name that a cell mentions."""
    nodes = ast.walk(ast.parse(source))
    return frozenset(node.id for node in nodes if isinstance(node, ast.Name))


def look_up(name: str, child: Child, lacking: Collection[str]) -> Any:
    """What a name of the student stands for: a value, or a function to ask."""
    reply = child.ask({"name": name})
    if "missing" in reply:
        raise Wrong(missing(name, reply["missing"], child.failures, lacking))
    return Asked(name, child) if reply.get("function") is True else value_of(name, reply)


def missing(
    name: str, there: Collection[Any], failures: Mapping[str, str], lacking: Collection[str]
) -> str:
    """Why a name is not there."""
    for cell, error in failures.items():
        unanswered = str(error).startswith("NotImplementedError")
        return UNANSWERED if unanswered else f"the cell {cell} raised {error}"
    if lacking:
        cells = ", ".join(lacking)
        return f"your notebook lacks the cell {cells}: was it deleted, or its type changed?"
    close = difflib.get_close_matches(name, [str(other) for other in there], n=1, cutoff=0.5)
    renamed = f"; there is `{close[0]}`: was it renamed?" if close else ""
    return f"your notebook does not define `{name}`{renamed}"


def shortened(remark: object) -> str:
    return " ".join(str(remark).split())[:LONGEST]
