"""Works of `references.bib`: how a text names one, and how a list shows it."""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pybtex.backends.markdown import Backend  # type: ignore[import-untyped]
from pybtex.database import Entry, Person, parse_file  # type: ignore[import-untyped]
from pybtex.style.formatting.plain import Style  # type: ignore[import-untyped]


class Plain(Backend):  # type: ignore[misc]
    """Markdown as people write it: no sign is escaped but those that would change the text."""

    def format_str(self, text: str) -> str:
        return re.sub(r"([*_`$])", r"\\\1", text)


@dataclass(frozen=True)
class Work:
    """A work: `Song et al.`, its year, and its line in a list."""

    name: str
    year: str
    line: str


@functools.cache
def works(path: Path) -> dict[str, Work]:
    """{key: work} of a file in BibTeX's format."""
    entries = parse_file(str(path), "bibtex").entries
    lines = Style().format_entries(list(entries.values()))
    found = {line.key: re.sub(r"\s+", " ", line.text.render(Plain())) for line in lines}
    return {
        key: Work(named(entry), entry.fields["year"], found[key]) for key, entry in entries.items()
    }


def named(entry: Entry) -> str:
    """`Song et al.`: the last names, as the pages write them."""
    names = [last_name(person) for person in entry.persons.get("author") or entry.persons["editor"]]
    return f"{names[0]} et al." if len(names) > 2 else " and ".join(names)


def last_name(person: Person) -> str:
    return " ".join(str(part) for part in [*person.rich_prelast_names, *person.rich_last_names])


def cited(found: Iterable[Work], *, inside: bool) -> str:
    """`Song et al. (2021)` in a sentence, `(Song et al., 2021; Ho et al., 2020)` beside one."""
    if inside:
        return " and ".join(f"{work.name} ({work.year})" for work in found)
    return f"({'; '.join(f'{work.name}, {work.year}' for work in found)})"


def listed(found: Iterable[Work]) -> str:
    """A list of works, by author and year."""
    ordered = sorted(found, key=lambda work: (work.name.casefold(), work.year, work.line))
    return "\n".join(f"- {work.line}" for work in ordered)
