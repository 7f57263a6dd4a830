"""What nbval lacks: it compares pictures and widgets, allows round-off, refuses unrun cells.

Loaded by pytest everywhere, active with `--nbval`. The tolerances are these, and no other:

- a decimal (a number with a point or an exponent): relative 1e-3, and below 1e-12 all are equal;
  whole numbers and text: exact, but for the spaces before a decimal;
- a picture: same size, root-mean-square of the difference at most 0.02 of full scale, and in no
  tile of 16 x 16 pixels a mean difference above 0.1, so that a changed digit of a label is seen;
- a widget: the text and the pictures that it holds, as above.

Refused: cells that were never run, and tags that would keep a cell from being compared.
"""

import base64
import binascii
import io
import json
import math
import os
import re
from collections import defaultdict
from pathlib import Path

RTOL, ATOL = 1e-3, 1e-12
RMS, TILE_MEAN, TILE = 0.02, 0.1, 16

NUMBER = re.compile(
    r" *[-+]?(?<![\w.])(?:(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+(?!\w))"
)
PICTURE_URI = re.compile(r"data:image/(?:png|jpeg);base64,([A-Za-z0-9+/=\s]+)")
ANSI = re.compile(r"\x1b\[[0-9;]*m")
SANITIZER = Path(__file__).with_name("nbval_sanitize.cfg")
CELL_TIMEOUT = 300  # seconds

PICTURES = ("image/png", "image/jpeg")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
# Of an output: what it is, not what it shows.
NOT_SHOWN = {"output_type", "name", "metadata", "execution_count", "traceback", "transient"}
# Of a widget's model: versions and places of code.
NOT_OF_MODEL = ("_model_", "_view_")


# What two values differ in: an answer is a sentence, or None where they agree.


def picture_difference(stored, got):
    """Compare two pictures, each in base64."""
    try:
        a, b = (pixels(text) for text in (stored, got))
    except (OSError, binascii.Error) as error:
        return f"a picture cannot be decoded ({error})"
    if a.shape != b.shape:
        return "the size of the picture: stored {1} x {0}, got {3} x {2}".format(
            *a.shape[:2], *b.shape[:2]
        )
    rms, tile = math.sqrt(((a - b) ** 2).mean()), worst_tile(abs(a - b).mean(-1))
    if rms <= RMS and tile <= TILE_MEAN:
        return None
    return (
        f"the picture: root-mean-square difference {rms:.3f} (allowed {RMS}), mean difference of "
        f"the worst {TILE} x {TILE} tile {tile:.3f} (allowed {TILE_MEAN}), of full scale 1"
    )


def pixels(text):
    """A picture as an array (height, width, 3) in [0, 1], laid on white."""
    import numpy as np
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(white, picture).convert("RGB"), dtype=float) / 255


def worst_tile(difference):
    """The largest mean over tiles of an array (height, width); tiles at the rim are cut short."""
    rows, columns = difference.shape
    return max(
        difference[i : i + TILE, j : j + TILE].sum() / TILE**2
        for i in range(0, rows, TILE)
        for j in range(0, columns, TILE)
    )


def text_difference(stored, got):
    """Compare two texts line by line, and say where they first differ."""
    pairs = list(zip(stored.splitlines(), got.splitlines(), strict=False))
    for number, (a, b) in enumerate(pairs, start=1):
        reason = line_difference(a, b)
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


def line_difference(a, b):
    """Compare pictures inside a line as pictures, decimals with tolerance, the rest exactly."""
    for stored, got in zip(PICTURE_URI.findall(a), PICTURE_URI.findall(b), strict=False):
        reason = picture_difference(stored, got)
        if reason:
            return reason
    a, b = PICTURE_URI.sub("PICTURE", a), PICTURE_URI.sub("PICTURE", b)
    if NUMBER.sub("#", a) != NUMBER.sub("#", b):
        return "the text or a whole number"
    for stored, got in zip(NUMBER.findall(a), NUMBER.findall(b), strict=True):
        if not math.isclose(float(stored), float(got), rel_tol=RTOL, abs_tol=ATOL):
            return f"the number {stored.strip()}, now {got.strip()} (allowed: relative {RTOL:g})"
    return None


def short(line, limit=200):
    """A line that fits into a message; pictures are cut."""
    line = PICTURE_URI.sub("PICTURE", line)
    return line if len(line) <= limit else line[: limit - 3] + "..."


def value_difference(kind, stored, got):
    if kind in PICTURES:
        return picture_difference(stored, got)
    return text_difference(stored, got)


# What a cell shows: {kind: [value, ...]}, in the order in which the outputs came.


def shown(outputs, models, sanitize):
    """Flatten outputs; the kinds are stream names, MIME types, `ename`, `evalue` and `widget`."""
    values = defaultdict(list)
    for output in outputs:
        if output["output_type"] == "stream":
            values[output["name"]].append(sanitize(output["text"]))
            continue
        for key in set(output) - NOT_SHOWN - {"data"}:
            values[key].append(sanitize(as_text(output[key])))
        for kind, value in output.get("data", {}).items():
            if kind in PICTURES:
                values[kind].append(value)
            elif kind == WIDGET_VIEW:
                values["widget"].append("\n".join(widget_lines(models, value["model_id"])))
            else:
                values[kind].append(sanitize(as_text(value)))
    return values


def as_text(value):
    return value if isinstance(value, str) else json.dumps(value, indent=1, sort_keys=True)


def widget_lines(models, model_id, path="widget"):
    """What a widget holds, a line a value; models are followed, since their ids are random."""
    if model_id not in models:
        yield f"{path}: not stored"
        return
    for key, value in sorted(models[model_id].items()):
        if not key.startswith(NOT_OF_MODEL):
            yield from value_lines(models, value, f"{path}.{key}")


def value_lines(models, value, path):
    if isinstance(value, str) and value.startswith("IPY_MODEL_"):
        yield from widget_lines(models, value.removeprefix("IPY_MODEL_"), path)
    elif isinstance(value, list | tuple):
        for place, part in enumerate(value):
            yield from value_lines(models, part, f"{path}[{place}]")
    elif value is not None:
        yield f"{path} = {value!r}"


def stored_models(notebook):
    """Widget models of a notebook file: {id: state}."""
    state = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    return {model_id: model["state"] for model_id, model in state.items()}


# The methods of nbval that are replaced.


def compare_outputs(cell, test, ref, skip_compare=None):
    """Whether a cell shows what is stored; `comparison_traceback` says what does not agree."""
    stored = shown(ref, stored_models(cell.parent.nb), cell.sanitize)
    got = shown(test, getattr(cell.parent.kernel, "models", {}), cell.sanitize)
    cell.comparison_traceback = differences(stored, got)
    return not cell.comparison_traceback


def differences(stored, got):
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
        reasons = (value_difference(kind, *pair) for pair in zip(a, b, strict=True))
        found += [f"{kind}: {reason}" for reason in reasons if reason]
    return found


def refusal(cell):
    """Why the outputs of a cell would not be compared, or None."""
    if cell.options["skip"] or not cell.options["check"]:
        return "A tag or a comment of this cell keeps its outputs from being compared: remove it"
    if cell.cell.execution_count is None:
        return "This cell was stored without having been run: run `make notebooks`"
    return None


def describe(cell, error):
    """The message of a failure: where, what, the code, and the details."""
    path = os.path.relpath(cell.path, cell.config.rootpath)
    where = f"{path}, code cell {cell.cell_num + 1}"
    if not hasattr(error, "inner_traceback"):
        return f"{where}: {type(error).__name__}: {error}"
    code = "\n".join(f"    {line}" for line in error.source.splitlines())
    return f"{where}: {error}\n\n{code}\n\n{ANSI.sub('', error.inner_traceback or '')}"


def install(cell_class, kernel_class):
    """Put our comparison into nbval, and let kernels keep what widgets and histories need."""
    run, execute, receive = (
        cell_class.runtest,
        kernel_class.execute_cell_input,
        kernel_class.get_message,
    )

    def runtest(cell):
        reason = refusal(cell)
        if reason:
            cell.raise_cell_error(reason)
        run(cell)

    def execute_cell_input(kernel, source, allow_stdin=None):
        """As a notebook does, with a history: without it, IPython overlooks a `;` at the end."""
        if not source.strip():
            return execute(kernel, source, allow_stdin)
        return kernel.kc.execute(source, allow_stdin=allow_stdin, stop_on_error=False)

    def get_message(kernel, stream, timeout=None):
        message = receive(kernel, stream, timeout=timeout)
        remember_widget(kernel.__dict__.setdefault("models", {}), message)
        return message

    cell_class.runtest = runtest
    cell_class.compare_outputs = compare_outputs
    cell_class.repr_failure = lambda cell, excinfo: describe(cell, excinfo.value)
    kernel_class.execute_cell_input = execute_cell_input
    kernel_class.get_message = get_message


def remember_widget(models, message):
    """Follow the messages by which a kernel makes and changes widgets."""
    content = message["content"]
    if message["msg_type"] in ("comm_open", "comm_msg"):
        state = content["data"].get("state", {})
        models.setdefault(content["comm_id"], {}).update(state)


def pytest_configure(config):
    if not config.option.nbval:
        return
    import nbval.kernel
    import nbval.plugin

    from tools.execute import KERNEL_ENV

    os.environ.update(KERNEL_ENV)
    config.option.nbval_current_env = True
    config.option.nbval_sanitize_with = config.option.nbval_sanitize_with or str(SANITIZER)
    config.option.nbval_cell_timeout = min(config.option.nbval_cell_timeout, CELL_TIMEOUT)
    if nbval.plugin.IPyNbCell.compare_outputs is not compare_outputs:
        install(nbval.plugin.IPyNbCell, nbval.kernel.RunningKernel)
