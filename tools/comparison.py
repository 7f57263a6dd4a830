"""What two runs of a notebook differ in: decimals with a tolerance, pictures, the rest exactly.

The tolerances are these, and no other:

- a decimal (a number with a point or an exponent): relative 1e-3; one that is a rounding error is
  printed by no cell, so that nothing is too small to be compared;
- a decimal that tests/edges.json names, because it lies near the edge between two roundings:
  one unit of its last digit;
- whole numbers and text: exact, but for the spaces before a decimal;
- a picture: same size, root-mean-square of the difference at most 0.02 of full scale, and in no
  tile of 16 x 16 pixels a mean difference above 0.1, so that a changed digit of a label is seen;
- a widget: the text and the pictures that it holds, as above.
"""

import base64
import binascii
import io
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from numpy.typing import NDArray
from PIL import Image

EDGES = Path(__file__).resolve().parent.parent / "tests" / "edges.json"
RTOL = 1e-3
RMS, TILE_MEAN, TILE = 0.02, 0.1, 16

NUMBER = re.compile(
    r" *[-+]?(?<![\w.])(?:(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+(?!\w))"
)
PICTURE_URI = re.compile(r"data:image/(?:png|jpeg);base64,([A-Za-z0-9+/=\s]+)")

PICTURES = ("image/png", "image/jpeg")
PAGE = "text/html"
MARKUP = re.compile(r"<[^<>]*>")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
# Of an output: what it is, not what it shows.
NOT_SHOWN = {"output_type", "name", "metadata", "execution_count", "traceback", "transient"}
# Of a widget's model: versions and places of code.
NOT_OF_MODEL = ("_model_", "_view_")

Shown = Mapping[str, list[str]]  # {kind: [value, ...]}
Edges = Mapping[str, Collection[str]]  # of one cell: {line: the decimals in it that lie on an edge}
Models = Mapping[str, Mapping[str, Any]]  # of a notebook: {id of a widget: its state}


def edges_of(notebook: str, number: int) -> Edges:
    """The edges of code cell ``number``, counted from 1, of the chapter ``notebook``."""
    found: Mapping[str, Mapping[str, Edges]] = json.loads(EDGES.read_text(encoding="utf-8"))
    return found.get(notebook, {}).get(str(number), {})


# What two values differ in: an answer is a sentence, or None where they agree.


def differences(stored: Shown, got: Shown, edges: Edges | None = None) -> list[str]:
    """Sentences on all that differs between two answers of `shown`."""
    found = []
    for kind in sorted({*stored, *got}):
        a, b = stored.get(kind, []), got.get(kind, [])
        if len(a) != len(b):
            found.append(f"{kind}: stored {len(a)} of them, got {len(b)}")
            found += [
                f"    {name}: {short(v)}" for name, vs in (("stored", a), ("got", b)) for v in vs
            ]
            continue
        reasons = (value_difference(kind, *pair, edges) for pair in zip(a, b, strict=True))
        found += [f"{kind}: {reason}" for reason in reasons if reason]
    return found


def value_difference(kind: str, stored: str, got: str, edges: Edges | None) -> str | None:
    if kind in PICTURES:
        return picture_difference(stored, got)
    return text_difference(stored, got, edges)


def picture_difference(stored: str, got: str) -> str | None:
    """Compare two pictures, each in base64."""
    try:
        a, b = (pixels(text) for text in (stored, got))
    except (OSError, binascii.Error) as error:
        return f"a picture cannot be decoded ({error})"
    if a.shape != b.shape:
        return "the size of the picture: stored {1} x {0}, got {3} x {2}".format(
            *a.shape[:2], *b.shape[:2]
        )
    rms, tile = root_mean_square(a - b), worst_tile(abs(a - b).mean(-1))
    if rms <= RMS and tile <= TILE_MEAN:
        return None
    return (
        f"the picture: root-mean-square difference {rms:.3f} (allowed {RMS}), mean difference of "
        f"the worst {TILE} x {TILE} tile {tile:.3f} (allowed {TILE_MEAN}), of full scale 1"
    )


def pixels(text: str) -> NDArray[np.float64]:
    """A picture as an array (height, width, 3) in [0, 1], laid on white."""
    picture = Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(white, picture).convert("RGB"), dtype=float) / 255


def root_mean_square(difference: NDArray[np.float64]) -> float:
    return math.sqrt((difference**2).mean())


def worst_tile(difference: NDArray[np.float64]) -> float:
    """The largest mean over tiles of an array (height, width); tiles at the rim are cut short."""
    rows, columns = difference.shape
    return max(
        float(difference[i : i + TILE, j : j + TILE].sum()) / TILE**2
        for i in range(0, rows, TILE)
        for j in range(0, columns, TILE)
    )


def text_difference(stored: str, got: str, edges: Edges | None = None) -> str | None:
    """Compare two texts line by line, and say where they first differ."""
    pairs = list(zip(stored.splitlines(), got.splitlines(), strict=False))
    for number, (a, b) in enumerate(pairs, start=1):
        reason = line_difference(a, b, (edges or {}).get(a, ()))
        if reason:
            return f"line {number}, {reason}\n    stored: {short(a)}\n    got:    {short(b)}"
    counts = [len(text.splitlines()) for text in (stored, got)]
    if counts[0] == counts[1]:
        return None
    longer = max(stored, got, key=lambda text: len(text.splitlines())).splitlines()
    return (
        f"the number of lines: stored {counts[0]}, got {counts[1]}; "
        f"the first that only one has: {short(longer[len(pairs)])}"
    )


def line_difference(a: str, b: str, on_edge: Collection[str] = ()) -> str | None:
    """Compare pictures inside a line as pictures, decimals with tolerance, the rest exactly."""
    for stored, got in zip(PICTURE_URI.findall(a), PICTURE_URI.findall(b), strict=False):
        reason = picture_difference(stored, got)
        if reason:
            return reason
    a, b = without_pictures(a), without_pictures(b)
    if NUMBER.sub("#", a) != NUMBER.sub("#", b):
        return "the text or a whole number"
    for stored, got in zip(decimals(a), decimals(b), strict=True):
        allowed = tolerance(stored, stored in on_edge)
        if not (stored == got or abs(float(stored) - float(got)) <= allowed):
            return f"the number {stored}, now {got} (allowed: {allowed:.1g})"
    return None


def without_pictures(line: str) -> str:
    return PICTURE_URI.sub("PICTURE", line)


def decimals(line: str) -> list[str]:
    """The decimals of a line, as they are printed."""
    return [number.strip() for number in NUMBER.findall(line)]


def tolerance(number: str, on_edge: bool) -> float:
    """By how much a printed decimal may move: relative 1e-3, or one unit of its last digit."""
    return max(RTOL * abs(float(number)), 1.000001 * unit(number) if on_edge else 0.0)


def unit(number: str) -> float:
    """One unit of the last digit of a printed decimal."""
    mantissa, _, exponent = number.lower().partition("e")
    return float(10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2])))


def short(line: str, limit: int = 200) -> str:
    """A line that fits into a message; pictures are cut."""
    line = without_pictures(line)
    return line if len(line) <= limit else line[: limit - 3] + "..."


def measured(stored: Shown, got: Shown) -> tuple[float, float]:
    """The worst relative difference of a decimal, and the worst root-mean-square of a picture.

    Between two answers of `shown` that agree otherwise; what has no partner is not looked at.
    """
    relative, rms = [0.0], [0.0]
    for kind in {*stored} & {*got}:
        for a, b in zip(stored[kind], got[kind], strict=False):
            whole = [(a, b)] if kind in PICTURES else []
            inside = zip(PICTURE_URI.findall(a), PICTURE_URI.findall(b), strict=False)
            rms += [picture_distance(*pair) for pair in (*whole, *inside)]
            if kind not in PICTURES:
                pairs = zip(*(decimals(without_pictures(text)) for text in (a, b)), strict=False)
                relative += [relative_difference(*map(float, pair)) for pair in pairs]
    return max(relative), max(rms)


def picture_distance(stored: str, got: str) -> float:
    """Root-mean-square difference of two pictures in base64; 1, all of it, where sizes differ."""
    a, b = pixels(stored), pixels(got)
    return root_mean_square(a - b) if a.shape == b.shape else 1.0


def relative_difference(a: float, b: float) -> float:
    return 0.0 if a == b else abs(a - b) / max(abs(a), abs(b))


# What a cell shows: {kind: [value, ...]}, in the order in which the outputs came.


def shown(
    outputs: list[Any], models: Models, sanitize: Callable[[str], str]
) -> defaultdict[str, list[str]]:
    """Flatten outputs; the kinds are stream names, MIME types, `ename`, `evalue` and `widget`."""
    values: defaultdict[str, list[str]] = defaultdict(list)
    for output in outputs:
        if output["output_type"] == "stream":
            values[output["name"]].append(sanitize(output["text"]))
            continue
        for key in set(output) - NOT_SHOWN - {"data"}:
            values[key].append(sanitize(as_text(output[key])))
        for kind, value in told_once(output.get("data", {})).items():
            if kind in PICTURES:
                values[kind].append(value)
            elif kind == WIDGET_VIEW:
                values["widget"].append("\n".join(widget_lines(models, value["model_id"])))
            else:
                values[kind].append(sanitize(as_text(value)))
    return values


def told_once(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The forms of an output, without an HTML table whose numbers its text has too."""
    page, text = (as_text(data.get(kind, "")) for kind in (PAGE, "text/plain"))
    words = MARKUP.sub(" ", page)
    same = decimals(words) == decimals(text) and not PICTURE_URI.search(page)
    scripted = "<script" in page
    return {k: v for k, v in data.items() if k != PAGE} if same and not scripted else data


def as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=1, sort_keys=True)


def widget_lines(models: Models, model_id: str, path: str = "widget") -> Iterator[str]:
    """What a widget holds, a line a value; models are followed, since their ids are random."""
    if model_id not in models:
        yield f"{path}: not stored"
        return
    for key, value in sorted(models[model_id].items()):
        if not key.startswith(NOT_OF_MODEL):
            yield from value_lines(models, value, f"{path}.{key}")


def value_lines(models: Models, value: object, path: str) -> Iterator[str]:
    if isinstance(value, str) and value.startswith("IPY_MODEL_"):
        yield from widget_lines(models, value.removeprefix("IPY_MODEL_"), path)
    elif isinstance(value, list | tuple):
        for place, part in enumerate(value):
            yield from value_lines(models, part, f"{path}[{place}]")
    elif value is not None:
        yield f"{path} = {value!r}"


def stored_models(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """Widget models of a notebook file: {id: state}."""
    state = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    return {model_id: model["state"] for model_id, model in state.items()}


def sanitizer(config: Path) -> Callable[[str], str]:
    """What nbval does with its file of pairs, ``regex: ...`` and ``replace: ...``, in order."""
    text = config.read_text(encoding="utf-8")
    pairs = re.findall(r"^regex: (.*)\nreplace: (.*)$", text, re.MULTILINE)

    def sanitize(value: str) -> str:
        for pattern, replacement in pairs:
            value = re.sub(pattern, replacement, value)
        return value

    return sanitize
