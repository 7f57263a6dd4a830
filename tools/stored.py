"""The results that a chapter has stored: JSON in a cell ``STORED = json.loads(...)``."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CELL = re.compile(r'(?<=STORED = json\.loads\("""\n).*?(?=\n"""\))', re.DOTALL)


def results_of(chapter: Path, text: str | None = None) -> dict[str, Any]:
    """What a chapter has stored, or what would be stored with this text of it."""
    found = CELL.search(chapter.read_text(encoding="utf-8") if text is None else text)
    if not found:
        raise LookupError(f'{chapter.name} has no cell with STORED = json.loads("""')
    told: dict[str, Any] = json.loads(found[0])
    return told


def store(chapter: Path, results: Mapping[str, Any]) -> None:
    """Put the results into the cell of a chapter, in place of those that are there."""
    text = CELL.sub(lambda _: written(results), chapter.read_text(encoding="utf-8"))
    chapter.write_text(text, encoding="utf-8", newline="\n")


def written(results: Mapping[str, Any]) -> str:
    """JSON with a line for each list, so that a change shows where it is."""
    text = json.dumps(results, indent=1)
    flat_lists = re.sub(r"\[[^][]*\]", lambda m: re.sub(r"\s+", "", m[0]), text)
    return re.sub(r"\{[^{}[\]]*\}", lambda m: re.sub(r"\s+", "", m[0]), flat_lists)
