"""Submissions made from masters: what a class hands in, and planted wrong solutions.

Every assignment has the same eight example students: one who is right, one who is half right, one
who did nothing, and five who make the common mistakes that `NN-name.mistakes.yaml` lists beside the
master: the first of each question, the second, and so on.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import nbformat
import yaml

from fsps_lite.saving import save
from tools.coursework.master import FOLDER, Master, Question, masters, student_version

MISTAKES = 5  # students who make some


def write(folder: Path, out: Path, only: str = "") -> list[Path]:
    """Write the example submissions of every master; return the paths."""
    written = []
    for master in masters(folder, only):
        for student, deeds in students(master, folder).items():
            path = out / student / f"{master.name}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, submission_text(master, **deeds))
            written.append(path)
    return written


def students(master: Master, folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """{name: what this student did, as arguments of `submission_text`}."""
    answers = [question.of("answer") + question.written for question in master.questions]
    half = [cell.name for cells in answers[::2] for cell in cells]
    deeds: dict[str, dict[str, Any]] = {
        "right": {"solve": "all"},
        "half-right": {"solve": half},
        "untouched": {},
    }
    known = mistakes(master, folder)
    for k in range(MISTAKES if known else 0):
        wrong: dict[str, str] = {}
        for question in master.questions:
            if question.name in known:
                wrong |= planted(master, question, known[question.name][k])
        deeds[f"mistakes-{k + 1}"] = {"solve": "all", "write": wrong}
    return deeds


def mistakes(master: Master, folder: Path = FOLDER) -> dict[str, list[dict[str, Any]]]:
    """{question: its planted mistakes}; nothing when the master has no list of them."""
    path = folder / f"{master.name}.mistakes.yaml"
    found: dict[str, list[dict[str, Any]]] = {}
    if path.exists():
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def submission_text(
    master: Master,
    solve: Collection[str] = (),
    write: Mapping[str, str] | None = None,
    drop: Collection[str] = (),
    forge: Mapping[str, Any] | None = None,
    raw: str | None = None,
) -> str:
    """The file of a student who did this.

    `solve` fills cells with the master's solution (`all`: every one), `write` puts other text into
    cells, `drop` deletes some, `forge` replaces their metadata, and `raw` replaces the whole file.
    """
    if raw is not None:
        return raw
    notebook = student_version(master)
    solutions, write, forge = reference(master), dict(write or {}), dict(forge or {})
    wanted = solutions if solve == "all" else {name: solutions[name] for name in solve}
    for cell in notebook.cells:
        cell.source = write.pop(cell.id, wanted.get(cell.id, cell.source))
        cell.metadata.update(forge.pop(cell.id, {}))
    if write or forge:
        raise ValueError(f"{master.name} has no cells {sorted({**write, **forge})}")
    notebook.cells = [cell for cell in notebook.cells if cell.id not in drop]
    text: str = nbformat.writes(notebook)
    return text + "\n"


def reference(master: Master) -> dict[str, str]:
    """The master's own answers, {cell: source}."""
    answers = [cell for cell in master.cells if cell.role in ("answer", "written")]
    return {cell.name: solved(cell.source) for cell in answers}


def solved(source: str) -> str:
    """A solution without the lines that mark it."""
    return "\n".join(line for line in source.split("\n") if not line.lstrip().startswith("### "))


def planted(master: Master, question: Question, mistake: Mapping[str, Any]) -> dict[str, str]:
    """The sources of a question's answer cells with one planted mistake.

    A mistake has `replace` and `by`, a piece of the reference solution and what stands there
    instead (both may be lists); or `code`, all of the question's first answer cell.
    """
    names = [cell.name for cell in question.of("answer")]
    sources = {name: text for name, text in reference(master).items() if name in names}
    if "code" in mistake:
        return {**sources, names[0]: mistake["code"]}
    pairs = [(mistake["replace"], mistake["by"])]
    if isinstance(mistake["replace"], list):
        pairs = list(zip(mistake["replace"], mistake["by"], strict=True))
    for piece, other in pairs:
        held = [name for name, text in sources.items() if text.count(piece) == 1]
        if len(held) != 1:
            raise ValueError(f"{question.name}: the solution does not hold {piece!r} exactly once")
        sources[held[0]] = sources[held[0]].replace(piece, other)
    return sources
