"""Saving a file as a whole: a save that fails leaves the old file as it was."""

import os
import shutil
from pathlib import Path
from uuid import uuid4

from fsps_lite.checks import complaint


def save(path: str | Path, text: str) -> None:
    """Write ``text`` into a new file beside ``path``, then move that file to ``path``.

    A letter that UTF-8 cannot write becomes "?".
    """
    save_bytes(path, text.encode("utf-8", "replace"))


def save_bytes(path: str | Path, data: bytes) -> None:
    """The same for bytes."""
    target = Path(path).resolve()
    if target.exists() and not target.is_file():  # a terminal or a pipe holds nothing to protect
        target.write_bytes(data)
        return
    part = target.with_name(f".{uuid4().hex}.part")
    try:
        part.write_bytes(data)
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def check_target(name: str, path: str | Path, call: str) -> None:
    """Raise ValueError, before any work, unless ``path`` is a file in a writable folder."""
    target = Path(path).resolve()
    named = bool(str(path)) and "\0" not in str(path) and not target.is_dir()
    if not named or not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        what = f"`{name}` must name a file in a folder that exists and can be written"
        raise ValueError(complaint(what, repr(str(path)), call))
