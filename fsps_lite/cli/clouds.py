"""Files of samples: ``.npy``, ``.npz``, ``.pt`` and ``.csv``, also with weights and runs."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fsps_lite.cli.unknown import Unknown, unknown
from fsps_lite.diagnosis import Samples
from fsps_lite.types import Time

PARTS = ("x", "log_weights", "runs")  # what a file may name
Named = Mapping[str, Tensor]
OTHER = "it is no such file, or holds Python objects, which are not loaded"


def read(path: str, *, dtype: torch.dtype, time: Time = 0.0) -> Samples:
    """The samples of a file, ``x`` as ``(n, d)``, in ``dtype``.

    A ``.npy`` file holds x. A ``.npz`` file and a dictionary in a ``.pt`` file name "x", and may
    name "log_weights" and "runs". A ``.csv`` file has one row for each sample; if its first row
    holds names, the columns "log_weights" and "runs" are none of x. Raises Unknown where the file
    is missing, of another kind, or cannot be read.
    """
    target = Path(path)
    if target.suffix.lower() not in READERS:
        raise Unknown(f"{path!r} must end in {', '.join(READERS)}, to say how samples are stored")
    if not target.is_file():
        near = [one.name for one in target.parent.glob("*") if one.suffix.lower() in READERS]
        raise Unknown(unknown(f"file in {str(target.parent)!r}", target.name, near))
    try:
        named = READERS[target.suffix.lower()](target)
    except (OSError, ValueError) as error:
        raise Unknown(f"cannot read {path!r}: {error}") from error
    if "x" not in named or not set(named) <= set(PARTS):
        wanted = "'x', and may name 'log_weights' and 'runs'"
        raise Unknown(f"{path!r} must name {wanted}, got {', '.join(map(repr, named))}")
    weights, runs = named.get("log_weights"), named.get("runs")
    weights = None if weights is None else _as(torch.float64, weights)
    return Samples(_as(dtype, named["x"]), time, weights, runs)


def _as(dtype: torch.dtype, value: Tensor) -> Tensor:
    """Floating numbers in another precision; what is not floating stays, and is refused later."""
    return value.to(dtype) if value.is_floating_point() else value


def _npy(path: Path) -> Named:
    return {"x": torch.from_numpy(_loaded(lambda: np.load(path, allow_pickle=False)))}


def _npz(path: Path) -> Named:
    """The arrays of the file; a single one needs no name."""
    arrays = _loaded(lambda: dict(np.load(path, allow_pickle=False)))
    named = {"x": next(iter(arrays.values()))} if len(arrays) == 1 else arrays
    return {name: torch.from_numpy(array) for name, array in named.items()}


def _pt(path: Path) -> Named:
    found = _loaded(lambda: torch.load(path, weights_only=True, map_location="cpu"))
    named = {"x": found} if isinstance(found, Tensor) else found
    if not isinstance(named, dict) or not all(isinstance(v, Tensor) for v in named.values()):
        raise ValueError("it holds neither a tensor nor a dictionary of tensors")
    return {name: value.detach() for name, value in named.items()}


def _loaded(load: Callable[[], Any]) -> Any:
    """What NumPy or torch loads; a broken file raises almost anything there."""
    try:
        return load()
    except OSError:
        raise
    except Exception as error:
        raise ValueError(OTHER) from error


def _csv(path: Path) -> Named:
    with path.open(newline="", encoding="utf-8-sig") as file:  # a spreadsheet writes a mark first
        rows = [(i, row) for i, row in enumerate(csv.reader(file), 1) if row]
    head = [name.strip() for name in rows[0][1]] if rows and not _numbers(rows[0][1]) else None
    if head and len(set(head)) < len(head):
        raise ValueError("two of its columns have one name")
    body = rows if head is None else rows[1:]
    wide = len(head) if head else len(body[0][1]) if body else 0
    wrong = next((i for i, row in body if len(row) != wide or not _numbers(row)), None)
    if wrong is not None or not body:
        raise ValueError(f"line {wrong or 1} is not a row of {wide or 'some'} numbers")
    table = torch.tensor([[float(cell) for cell in row] for _, row in body], dtype=torch.float64)
    columns = dict(zip(head, table.T, strict=True)) if head else {}
    named = {name: columns.pop(name) for name in PARTS[1:] if name in columns}
    if "runs" in named:
        named["runs"] = _whole(named["runs"])
    if head and not columns:
        raise ValueError("it has no column of x")
    return {"x": torch.stack(list(columns.values()), -1) if head else table, **named}


def _whole(runs: Tensor) -> Tensor:
    """Runs, which a table holds as floating numbers."""
    if not bool((runs == runs.round()).all()):
        raise ValueError("the runs are not whole numbers")
    return runs.long()


def _numbers(row: list[str]) -> bool:
    """Whether each cell is a number."""
    try:
        return bool([float(cell) for cell in row])
    except ValueError:
        return False


READERS: dict[str, Callable[[Path], Named]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".pt": _pt,
    ".csv": _csv,
}
