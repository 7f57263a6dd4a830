"""What a page says of a method beside its docstring and its results: `words.yaml`, checked."""

import functools
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import fsps_lite

WORDS = Path(__file__).with_name("words.yaml")
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Words:
    """One method: `name` is that of its class in fsps_lite, `show` the part that is its update."""

    name: str
    source: str
    family: str
    show: str
    idea: str
    update: str
    assumes: str
    use: str
    cost: str
    where: str = ""
    broken: str = ""
    title: str = ""

    @property
    def heading(self) -> str:
        return self.title or self.name

    @property
    def place(self) -> str:
        """The page, as `_toc.yml` names it."""
        return f"gallery/{self.name}"

    @property
    def made(self) -> Any:
        """The class."""
        return getattr(fsps_lite, self.name)

    @property
    def shown(self) -> tuple[str, str]:
        """The file that holds the update, from the root of the project, and what to show of it."""
        owner = getattr(fsps_lite, self.show.split(".")[0])
        file = inspect.getsourcefile(owner)
        if file is None:
            raise ValueError(f"words.yaml: `show` of {self.name} has no source: {self.show!r}")
        return Path(file).resolve().relative_to(ROOT).as_posix(), self.show


@functools.cache
def words() -> dict[str, Words]:
    """{name of the class: its words}, in the order of the file."""
    read = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    return {name: Words(name, **told) for name, told in read.items()}
