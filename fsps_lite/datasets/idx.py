"""IDX files: an array of numbers behind a head of a few bytes, as MNIST comes."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from fsps_lite import checks

GZIP = b"\x1f\x8b"
KINDS = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
CALL = "files.load('train-images-idx3-ubyte.gz', labels='train-labels-idx1-ubyte.gz')"


def is_idx(path: Path) -> bool:
    """Whether a file begins as an IDX file does: two zeros, a kind, a number of axes."""
    head = _bytes(path, 4)
    return len(head) == 4 and head[:2] == b"\0\0" and head[2] in KINDS and 1 <= head[3] <= 4


def idx(path: Path) -> np.ndarray:
    """The array of an IDX file. Raises ValueError where the file is shorter or longer than said."""
    data = _bytes(path)
    axes = data[3]
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", min(axes, (len(data) - 4) // 4), 4))
    kind = np.dtype(KINDS[data[2]])
    said = 4 + 4 * axes + kind.itemsize * math.prod(shape)
    if len(shape) < axes or len(data) != said:
        what = f"{path.name} is damaged: its head says {said:,} bytes, for an array {shape}"
        raise ValueError(checks.complaint(what, f"{len(data):,}", CALL))
    return np.frombuffer(data, kind, offset=4 + 4 * axes).reshape(shape)


def _bytes(path: Path, count: int = -1) -> bytes:
    """What a file holds, unpacked where it is packed by gzip."""
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            return file.read(count)
    except (EOFError, OSError, zlib.error) as error:
        what = f"{path.name} cannot be unpacked: it is damaged"
        raise ValueError(checks.complaint(what, str(error), CALL)) from None
