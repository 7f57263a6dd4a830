"""The rows that the book has stored, beside which a new method is ranked."""

from collections.abc import Iterator
from pathlib import Path

import torch

from fsps_lite.diagnosis.cell_files import loaded, place, read
from fsps_lite.diagnosis.leaderboard import Asked, version
from fsps_lite.diagnosis.rows import Row

CHECKOUT = Path(__file__).resolve().parents[2]
STORED = CHECKOUT / "book" / "gallery" / "cells"
NONE = "no stored row fits"
ROUNDED = 1e-5  # of a stored measurement, relative: it keeps six digits


def stored_rows(folder: Path, asked: Asked) -> tuple[list[Row], str]:
    """The rows of a folder that were made as is asked, and what to say of the others.

    They agree in the settings and in each y, and were made by this version of the library, or by a
    published package.
    """
    where = place(folder, asked.problem.name, "any").parent
    if not where.is_dir():
        return [], f"no rows of {asked.problem.name} are stored in {folder}"
    fits, rest = [], []
    for path in sorted(where.glob("*.json")):
        row, why = _fitting(path, asked)
        fits += [] if row is None else [row]
        rest += [why] if why else []
    told = f"{len(fits)} stored rows, whose seconds are of another run" if fits else NONE
    return fits, "; ".join([told, *_counted(rest)])


def _fitting(path: Path, asked: Asked) -> tuple[Row | None, str]:
    """The row of a file, or why it does not stand beside what is asked."""
    data = loaded(path)
    if data is None:
        return None, "of another format"
    if data["settings"] != asked.settings:
        known = ", ".join(f"{name} {value}" for name, value in data["settings"].items())
        return None, f"made with {known}"
    if data["package"] == "fsps_lite" and data["version"] != version():
        return None, f"of version {data['version']}"
    if data["y"] is not None and not _near(data["y"], asked.y):
        return None, "of other measurements"
    row = read(path, asked.y)
    return (row, "") if row is not None and row.each else (None, "")


def _near(stored: list[list[float]], y: torch.Tensor) -> bool:
    known = torch.tensor(stored, dtype=torch.float64)
    return known.shape == y.shape and torch.allclose(known, y.double(), rtol=ROUNDED, atol=ROUNDED)


def _counted(reasons: list[str]) -> Iterator[str]:
    """Each reason once, with the number of rows that it keeps out."""
    for why in sorted(set(reasons)):
        yield f"{reasons.count(why)} left out, {why}"
