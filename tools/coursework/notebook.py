"""A notebook file as a stranger sends it: read as text, whatever wrote it, and nothing more.

`load` takes every notebook format from 3 on and every encoding that editors write. All that it
cannot take ends as `Unreadable`. By hand and not by nbformat, which trusts what it converts.
"""

import errno
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

LARGEST = 20_000_000  # bytes: a notebook with figures has one or two million
Kind = Literal["code", "text"]
FLAGS = os.O_RDONLY  # and what the system has of these: follow no link, wait for no pipe
for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
    FLAGS |= getattr(os, flag, 0)
FIRST_BYTES = {
    b"%PDF": "it looks like a PDF",
    b"\x89PNG": "it looks like an image",
    b"\xff\xd8\xff": "it looks like an image",
    b"\x1f\x8b": "it looks like a compressed archive: unpack it",
    b"7z\xbc\xaf": "it looks like a 7z archive: unpack it",
    b"Rar!": "it looks like a RAR archive: unpack it",
    b"\xd0\xcf\x11\xe0": "it looks like a Word file",
    b"{\\rtf": "it looks like a text document (RTF)",
}
ZIPPED = {b"word/": "a Word file", b"xl/": "an Excel file", b"opendocument": "an OpenOffice file"}
TEXTS = {
    r"\A\s*<(!doctype|html|head|body|\?xml)": "it looks like an HTML page, not the notebook itself",
    r'\A\s*\{[\s\S]*"cells"': "it looks like a notebook that was damaged or cut short",
    r"(?m)^((import|from|def|class) \w|# %%|# In\[)": "it looks like a Python script (.py)",
}


class Unreadable(Exception):
    """The file is no submission; the message says why, in words for the student."""


class RawCell(NamedTuple):
    """A cell as it stands in the file, with every name that it claims, the best one first."""

    names: tuple[str, ...]
    kind: Kind
    source: str


@dataclass(frozen=True)
class Notebook:
    """The cells of a file, the assignment that it says it is, and what was done to read it."""

    cells: list[RawCell]
    assignment: str | None
    notes: list[str]


def load(path: Path) -> Notebook:
    """The notebook in a file. Raises Unreadable, and nothing else."""
    notes: list[str] = []
    found = parsed(content(path), notes)
    cells = cells_of(found, notes)
    raw = [raw_cell(cell) for cell in cells if isinstance(cell, dict)]
    if len(raw) < len(cells):
        notes.append(f"{len(cells) - len(raw)} entries were no cells and were left out")
    metadata = found.get("metadata")
    told = metadata.get("fsps") if isinstance(metadata, dict) else None
    name = told.get("assignment") if isinstance(told, dict) else None
    return Notebook(raw, name if isinstance(name, str) else None, notes)


def content(path: Path) -> bytes:
    """The bytes of an ordinary file, which alone is opened. Raises Unreadable."""
    try:
        ordinary(os.lstat(path))
        with open(os.open(path, FLAGS), "rb") as file:
            ordinary(os.fstat(file.fileno()))  # it may have been exchanged meanwhile
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise Unreadable("there is no such file") from None
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise Unreadable("its name is too long") from None
        why = getattr(error, "strerror", None) or error
        raise Unreadable(f"it cannot be read ({type(error).__name__}): {why}") from None
    if len(data) > LARGEST:
        raise Unreadable(f"it has more than {LARGEST // 1_000_000} MB: clear its outputs")
    if not data.strip():
        raise Unreadable("it is not a notebook: it is empty")
    return data


def ordinary(status: os.stat_result) -> None:
    """Raises Unreadable unless this is an ordinary file."""
    kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder"}
    if not stat.S_ISREG(status.st_mode):
        what = kinds.get(stat.S_IFMT(status.st_mode), "a device or a pipe")
        raise Unreadable(f"it is {what}, not a file")


def parsed(data: bytes, notes: list[str]) -> dict[str, Any]:
    """The object that the file holds. Raises Unreadable."""
    try:
        found = json.loads(decoded(data, notes))
    except (ValueError, RecursionError, MemoryError) as error:
        why = looks_like(data) or f"it is no JSON ({type(error).__name__})"
        raise Unreadable(f"it is not a notebook: {why}") from None
    if not isinstance(found, dict):
        raise Unreadable("it is not a notebook: it is JSON, but has no cells")
    return found


def decoded(data: bytes, notes: list[str]) -> str:
    """The text of the file; a note says so when it is not plain UTF-8."""
    encoding = json.detect_encoding(data)
    if encoding != "utf-8":
        name = "UTF-8 with a byte order mark" if encoding == "utf-8-sig" else encoding.upper()
        notes.append(f"it was saved as {name}, and was read as that")
    try:
        return data.decode(encoding, "surrogatepass")
    except UnicodeDecodeError:
        notes.append("it was not saved as UTF-8, and was read as Windows-1252")
        return data.decode("cp1252", "replace")


def looks_like(data: bytes) -> str:
    """What a file is that holds no JSON; empty when that cannot be told."""
    for start, what in FIRST_BYTES.items():
        if data.startswith(start):
            return what
    if data.startswith(b"PK\x03\x04"):
        kinds = [what for piece, what in ZIPPED.items() if piece in data]
        return f"it looks like {(kinds or ['a zip archive: unpack it'])[0]}"
    text = decoded(data, [])
    return next((what for start, what in TEXTS.items() if re.search(start, text, re.I)), "")


def cells_of(found: dict[str, Any], notes: list[str]) -> list[Any]:
    """The list of cells, in format 4 or in the worksheets of format 3. Raises Unreadable."""
    cells, sheets = found.get("cells"), found.get("worksheets")
    if cells is None and isinstance(sheets, list):
        notes.append("it is in an old notebook format, 3 or earlier")
        lists = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
        return [cell for cells in lists if isinstance(cells, list) for cell in cells]
    if not isinstance(cells, list):
        raise Unreadable("it is not a notebook: it has no list of cells")
    return cells


def raw_cell(cell: dict[str, Any]) -> RawCell:
    """A cell, with its name from nbgrader, from the format (4.5 on), or from Colab."""
    metadata = cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    told = metadata.get("nbgrader")
    names = [told.get("grade_id")] if isinstance(told, dict) else []
    names += [cell.get("id"), metadata.get("id")]
    source = text_of(cell.get("source", cell.get("input", "")))
    if cell.get("cell_type") == "heading":  # format 3 keeps the level elsewhere
        level = cell.get("level")
        source = "#" * (level if isinstance(level, int) and 0 < level < 7 else 1) + " " + source
    kind: Kind = "code" if cell.get("cell_type") == "code" else "text"
    return RawCell(tuple(name for name in names if isinstance(name, str)), kind, source)


def text_of(source: object) -> str:
    """One text, which UTF-8 can hold, of a text or of a list of lines."""
    if isinstance(source, list):
        lines = [line for line in source if isinstance(line, str)]
        bare = not any(line.endswith("\n") for line in lines)  # some converters cut the ends off
        source = ("\n" if bare else "").join(lines)
    text = source if isinstance(source, str) else ""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")
