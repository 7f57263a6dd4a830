"""Maps of numbers as shades: what Matplotlib drew, one byte per cell, and back to numbers."""

import base64
import math
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.image import AxesImage

from fsps_lite import checks
from fsps_lite.widgets.canvas import Canvas
from fsps_lite.widgets.shelf import Mark, thinned

LEVELS = 255  # of a colour scale; cells without a number have one more


def map_mark(picture: QuadMesh | AxesImage, name: str, canvas: Canvas) -> Mark:
    """A map as shades, one byte per cell, with the edges of its columns and rows."""
    values = numbers(picture)
    x, y = _edges(picture, values)
    height, width = values.shape
    rows, columns = _kept(height, width, canvas.cells)
    shades = _shades(values[np.ix_(rows, columns)], canvas.norm)
    return {
        "kind": "map",
        "name": name,
        "scale": canvas.scale,
        "smooth": isinstance(picture, QuadMesh),
        "x": canvas.across(x[np.append(columns, len(x) - 1)]),
        "y": canvas.up(y[np.append(rows, len(y) - 1)]),
        "cells": base64.b64encode(shades.tobytes()).decode(),
    }


def numbers(picture: ScalarMappable) -> np.ndarray:
    """The numbers of a map; NaN where one is masked."""
    array: Any = np.ma.asarray(picture.get_array(), float)
    values: np.ndarray = np.ma.filled(array, math.nan)
    return values


def _kept(rows: int, columns: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows and columns stay, so that a map has at most so many cells."""
    side = max(8, int(math.sqrt(most)))
    kept = thinned(rows, max(side, most // min(side, columns)))
    return kept, thinned(columns, max(8, most // len(kept)))


def _edges(picture: QuadMesh | AxesImage, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each column and each row begins, and where the last one ends."""
    if isinstance(picture, AxesImage):
        left, right, bottom, top = picture.get_extent()
        first, last = (bottom, top) if picture.origin == "lower" else (top, bottom)
        rows, columns = values.shape
        return np.linspace(left, right, columns + 1), np.linspace(first, last, rows + 1)
    corners = np.asarray(picture.get_coordinates())
    x, y = corners[0, :, 0], corners[:, 0, 1]
    if len(x) == values.shape[1]:  # shaded between its corners: gouraud
        x, y = _between(x), _between(y)
    return x, y


def _between(places: np.ndarray) -> np.ndarray:
    middle = (places[1:] + places[:-1]) / 2
    return np.concatenate([places[:1], middle, places[-1:]])


def _shades(values: np.ndarray, norm: Normalize | None) -> np.ndarray:
    """One byte per cell: 0 to 254 along the colour scale, 255 where there is no number."""
    assert norm is not None  # where there is a map
    share = np.ma.filled(np.clip(norm(np.ma.masked_invalid(values)), 0, 1), math.nan)
    levels = np.where(np.isnan(share), LEVELS, np.round(share * (LEVELS - 1)))
    shades: np.ndarray = levels.astype(np.uint8)
    return shades


def unshaded(shades: str, scale: Mark, shape: tuple[int, int]) -> np.ndarray:
    """The numbers that :func:`_shades` wrote, to 1 in 254 of the colour scale."""
    levels = np.frombuffer(base64.b64decode(shades), np.uint8).reshape(shape)
    low, high = scale["limits"]
    values = low + (high - low) * (levels / (LEVELS - 1)) ** (1 / scale["gamma"])
    return np.where(levels == LEVELS, math.nan, values)


def colours(picture: ScalarMappable) -> str:
    """The colour scale: three bytes per level, and three for cells without a number."""
    levels = np.append(np.linspace(0, 1, LEVELS), math.nan)
    shown = (picture.get_cmap()(np.ma.masked_invalid(levels))[:, :3] * 255).round()
    return base64.b64encode(shown.astype(np.uint8).tobytes()).decode()


def gamma(picture: ScalarMappable) -> float:
    """The power of the colour scale, 1 if it is even; raises ValueError for other scales."""
    norm = picture.norm
    if isinstance(norm, PowerNorm):
        return float(norm.gamma)
    if type(norm) is not Normalize:
        what = "a map in `frames` must have even shades, or those of a power (PowerNorm)"
        call = "axis.pcolormesh(x, y, field, norm=PowerNorm(0.5))"
        raise ValueError(checks.complaint(what, type(norm).__name__, call))
    return 1.0
