"""make assignments: the student notebooks, and example submissions beside them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import nbformat

from tools.coursework import examples
from tools.coursework.master import Master, masters, student_version
from tools.handout import hand_out


def student_notebooks(assignments: Sequence[Master]) -> dict[str, str]:
    """{file name: text} of what students get."""
    return {f"{m.name}.ipynb": nbformat.writes(student_version(m)) + "\n" for m in assignments}


def release(folder: Path, out: Path, only: str) -> Iterator[str]:
    """Write what students get, and the examples; say in a line each what was done."""
    yield from hand_out(out, student_notebooks(masters(folder, only)))
    for path in examples.write(folder, out.parent / "examples", only):
        yield f"written  {path}"
