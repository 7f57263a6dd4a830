"""Put notebooks where people work on them, and never write over what somebody has changed."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import nbformat

from fsps_lite.saving import save

LIST = ".handed-out.json"  # in the folder: {file name: hash of what was written there}


def hand_out(folder: Path, notebooks: Mapping[str, str]) -> Iterator[str]:
    """Write notebooks, {file name: text}, into a folder; say in a line each what was done.

    A file that was changed since it was handed out stays; where there is something newer, that is
    written beside it as `name.new.ipynb`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = recorded(folder / LIST)
    for name, text in notebooks.items():
        path, new = folder / name, hash_of(text.encode())
        old = hash_of(path.read_bytes()) if path.exists() else None
        if old in (None, new, known.get(name)):
            save(path, text)
            yield f"written  {path}"
        elif known.get(name) == new:
            yield f"kept     {path}, in which you have worked"
        else:
            beside = path.with_suffix(".new.ipynb")
            save(beside, text)
            yield f"kept     {path}, in which you have worked; the new one is {beside.name}"
        known[name] = new
    save(folder / LIST, json.dumps(known, indent=1) + "\n")


def recorded(path: Path) -> dict[str, str]:
    """What was handed out before; nothing, when the list is gone or broken."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def hash_of(content: bytes) -> str:
    """The same for notebooks of the same cells: JupyterLab writes other metadata when it saves."""
    try:
        cells = nbformat.reads(content.decode("utf-8"), as_version=4).cells
    except (ValueError, AttributeError, nbformat.reader.NotJSONError, nbformat.ValidationError):
        return hashlib.sha256(content).hexdigest()
    told = [[cell.cell_type, cell.source, cell.get("outputs", [])] for cell in cells]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
