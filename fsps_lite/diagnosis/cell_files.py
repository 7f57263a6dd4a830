"""A row of a leaderboard as a file: JSON of at most 5 kB, which a leaderboard reads again.

    {"format": 1, "problem": "two_atoms", "method": "DPS",
     "package": "fsps_lite", "version": "0.2.0",
     "settings": {"n": 1000, "steps": 100, "seed": 0, "measurements": 12},
     "of": "9f2c...",          of the text of the method, and of the measurements
     "refused": "",            why the method does not take the problem; then each list is empty
     "tuned": null,            or how the parameters were chosen
     "coupling": 0.0,          how far a particle moves by the others of its batch; null if it
                               is in a run of particles that depend on each other
     "y": [[0.3], ...],        the measurements; null where one has more than 4 numbers
     "each": {"total_variation": [...], "w1": [...], ...},      one number for each y
     "shares": [[...], ...], "truth": [[...], ...],             the weights of the parts at each y
     "times": [...], "ratios": [[...], ...]}                    the spread along the path at each y

What does not exist is null. Numbers keep four digits, weights and spreads three.
"""

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fsps_lite.diagnosis.cells import Judged
from fsps_lite.diagnosis.rows import Maker, Row
from fsps_lite.saving import save

FORMAT = 1
LISTS = ("shares", "truth", "times", "ratios")
NUMBERS = tuple(one.name for one in fields(Judged) if one.name not in LISTS)
WIDE = 4  # numbers in a measurement, above which it is simulated again rather than stored
DIGITS, FEWER = 4, 3


def plain(name: str) -> str:
    """A name as that of a file."""
    kept = "".join(letter if letter.isalnum() or letter in "-_." else " " for letter in name)
    return "_".join(kept.split())


def place(folder: str | Path, problem: str, method: str) -> Path:
    """Where the row of a method on a problem is stored."""
    return Path(folder) / plain(problem) / f"{plain(method)}.json"


def write(path: Path, row: Row) -> None:
    """Write the whole file, or leave the old one as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, text(row))


def text(row: Row) -> str:
    """The row as JSON, with a line for each entry."""
    made, wide = row.made, row.y.shape[-1] > WIDE
    data = {
        "format": FORMAT,
        "problem": row.problem,
        "method": row.method,
        "package": made.package,
        "version": made.version,
        "settings": made.settings,
        "of": made.of,
        "refused": row.refused,
        "tuned": made.tuned,
        "coupling": rounded(row.coupling, 2),
        "y": None if wide else [[rounded(v, 6) for v in one] for one in row.y.tolist()],
        "each": {name: [rounded(getattr(one, name)) for one in row.each] for name in NUMBERS},
        "times": [rounded(t) for t in next((one.times for one in row.each if one.times), ())],
    }
    for name in ("shares", "truth", "ratios"):
        data[name] = [[rounded(v, FEWER) for v in getattr(one, name)] for one in row.each]
    lines = (f"{json.dumps(key)}: {_compact(value)}" for key, value in data.items())
    return "{" + ",\n ".join(lines) + "}\n"


def read(path: Path, y: Tensor) -> Row | None:
    """The row in a file, at the measurements ``y``, ``(Y, m)``; None where none of this format."""
    data = loaded(path)
    return None if data is None else row_of(data, y)


def row_of(data: dict[str, Any], y: Tensor) -> Row:
    """The row that a file holds, at the measurements ``y``, ``(Y, m)``."""
    made = Maker(*(data[k] for k in ("package", "version", "settings", "of", "tuned")))
    return Row(
        data["problem"],
        data["method"],
        y,
        tuple(_judged(data, k) for k in range(len(data["each"]["w1"]))),
        math.nan if data["coupling"] is None else data["coupling"],
        made,
        data["refused"],
    )


def loaded(path: Path) -> dict[str, Any] | None:
    """What a file holds; None where there is no file, or one of another format."""
    if not path.is_file():
        return None
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data if data.get("format") == FORMAT else None


def _judged(data: dict[str, Any], k: int) -> Judged:
    """What was found at the measurement of this index."""
    known: dict[str, Any] = {name: tuple(data[name][k]) for name in ("shares", "truth", "ratios")}
    known["times"] = tuple(data["times"]) if known["ratios"] else ()
    for name in NUMBERS:
        value = data["each"][name][k]
        known[name] = math.nan if value is None else value
    return Judged(**known)


def rounded(value: float, digits: int = DIGITS) -> float | None:
    """A number with so many digits; None where it does not exist."""
    if not math.isfinite(value):
        return None
    return float(f"{value:.{digits}g}")


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def measured_at(path: Path) -> Tensor | None:
    """The measurements that a file holds, ``(Y, m)``; None where it holds none."""
    data = loaded(path)
    return None if data is None or data["y"] is None else torch.tensor(data["y"]).double()
