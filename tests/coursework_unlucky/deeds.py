"""What an unlucky student did: from the reference's notebook to theirs."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.coursework_unlucky import ways
from tools.coursework import examples
from tools.coursework.master import masters

MASTERS = {master.name[:2]: master for master in masters()}
KINDS = {"code": "code", "text": "markdown", "raw": "raw"}
ENDS = {"first": "{new}\n{old}", "last": "{old}\n\n{new}"}


@dataclass(frozen=True)
class Variant:
    """An unlucky notebook.

    `then` happens after the student ran the notebook, and `way` is how it came to the grader.
    `fails` names the cells that raise in Jupyter too. `public` says that the hidden tests ask for
    more than this student gives, and `day` that it is tried every day. `written` is a piece of each
    written answer that must be found.
    """

    name: str
    why: str
    kind: str = ""
    assignment: str = "01"
    do: list[dict[str, Any]] = field(default_factory=list)
    then: list[dict[str, Any]] = field(default_factory=list)
    way: str = "plain"
    fails: list[str] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    public: bool = False
    day: bool = False

    @property
    def master(self):
        return MASTERS[self.assignment]

    def ran(self):
        """The notebook as the student ran it, as JSON."""
        return done(reference(self.assignment), self.do)

    def files(self):
        """{path in the folder of submissions: bytes}."""
        return ways.WAYS[self.way](done(self.ran(), self.then), self.master.name)

    def ran_as(self, test):
        """The cell in which a test ran: another than its own if they were merged."""
        merged = [deed["merge"] for deed in self.do if "merge" in deed]
        return next((told[test] for told in merged if test in told), test)

    def questions(self):
        """The questions that the deeds may matter to: those they touch, or all."""
        names = {question.name for question in self.master.questions}
        touched = set()
        for deed in self.do:
            touched |= set() if set(deed) <= {*ENDS, "write", "replace"} else names
            touched |= {cell.split("-")[0] for cells in deed.values() for cell in cells}
        every = self.then or self.way != "plain" or not touched or touched - names
        chosen = [q for q in self.master.questions if every or {q.name, *q.needs} & touched]
        return [question for question in chosen if question.tests]


def variants():
    """Every variant, the references first."""
    found = [
        Variant("reference", "who does nothing odd is the first to be graded", "plain", number)
        for number in MASTERS
    ]
    for path in sorted(Path(__file__).parent.glob("*.yaml")):
        for told in yaml.safe_load(path.read_text(encoding="utf-8")):
            found.append(Variant(kind=path.stem, **told))
    return found


def reference(number):
    """The reference's student notebook, as JSON whose sources are texts."""
    notebook = json.loads(examples.submission_text(MASTERS[number], solve="all"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook


def done(notebook, deeds):
    """The notebook after these deeds, one after another."""
    notebook = json.loads(json.dumps(notebook))
    for deed in deeds:
        for what, told in deed.items():
            DEEDS[what](notebook["cells"], told)
    return notebook


def place(cells, name):
    """Where the cell of a name stands; `top` and `end` are no cells, but places."""
    if name in ("top", "end"):
        return 0 if name == "top" else len(cells)
    (found,) = [at for at, cell in enumerate(cells) if cell["id"] == name]
    return found


def write(cells, told):
    for name, source in told.items():
        cells[place(cells, name)]["source"] = source.rstrip("\n")


def put(end):
    """Lines before the answer, or behind it."""

    def put_lines(cells, told):
        for name, lines in told.items():
            cell = cells[place(cells, name)]
            cell["source"] = ENDS[end].format(new=lines.rstrip("\n"), old=cell["source"])

    return put_lines


def replace(cells, told):
    for name, (piece, other) in told.items():
        cell = cells[place(cells, name)]
        assert cell["source"].count(piece) >= 1, (name, piece)
        cell["source"] = cell["source"].replace(piece, other)


def add(side):
    """A cell before the named one, or behind it: {name: {code: source}}."""

    def add_cell(cells, told):
        for name, new in told.items():
            ((kind, source),) = new.items()
            number = sum(cell["id"].startswith("added-") for cell in cells)
            cell = {"cell_type": KINDS[kind], "id": f"added-{number}", "metadata": {}}
            cell["source"] = source.rstrip("\n")
            cell |= {"outputs": [], "execution_count": None} if kind == "code" else {}
            cells.insert(
                place(cells, name) + (side == "after" and name not in ("top", "end")), cell
            )

    return add_cell


def drop(cells, told):
    for name in told:
        del cells[place(cells, name)]


def move(cells, told):
    """{name: the cell before which it stands now}."""
    for name, before in told.items():
        cell = cells.pop(place(cells, name))
        cells.insert(place(cells, before), cell)


def copy(cells, told):
    """{name: source of the copy, which stands above the original, under the same name}."""
    for name, source in told.items():
        at = place(cells, name)
        twin = json.loads(json.dumps(cells[at]))
        cells.insert(at, twin | {"source": source.rstrip("\n"), "id": f"{name}-copied"})


def merge(cells, told):
    """{name: the cell that its source moves into, at the end}."""
    for name, into in told.items():
        source = cells.pop(place(cells, name))["source"]
        cells[place(cells, into)]["source"] += "\n\n" + source


DEEDS = {
    "write": write,
    "first": put("first"),
    "last": put("last"),
    "replace": replace,
    "before": add("before"),
    "after": add("after"),
    "drop": drop,
    "move": move,
    "copy": copy,
    "merge": merge,
}
