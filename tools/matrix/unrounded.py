"""Keep the value behind every number that a notebook prints, before it is rounded.

Loaded into a kernel by tools/matrix.py, never by a reader. Every place that turns a number into
text (f-strings, ``format``, ``round``, and how tensors and arrays print) goes on as before and
notes what it was given. After each cell the notes are written to the file that FSPS_UNROUNDED
names, one line of JSON a cell: ``[[value, unit, text], ...]``, where ``unit`` is that of the last
digit printed, and 0 where all digits were.

FSPS_THREADS, if set, is the number of threads that torch uses, whatever the notebook asks for.
"""

import ast
import builtins
import importlib.machinery
import json
import math
import os
import re
import string
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPEC = re.compile(r".*?(?:\.(\d+))?([a-zA-Z%]?)$", re.DOTALL)
LIBRARY = str(Path(__file__).resolve().parent.parent / "fsps_lite")

notes: list[tuple[float, float, str]] = []


def note(value: object, spec: str, text: str) -> str:
    """Remember ``value`` if it is a number with a fraction, and return its ``text``."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    number = float(value) if whole and "." in spec else as_float(value)  # type: ignore[arg-type]
    if number is not None and math.isfinite(number):
        notes.append((number, unit_of(number, spec), text))
    return text


def as_float(value: object) -> float | None:
    """A float, or a tensor or an array that holds one; whole numbers are no decimals."""
    if isinstance(value, float):  # those of NumPy, too
        return float(value)
    dtype = str(getattr(value, "dtype", ""))
    single = "float" in dtype and getattr(value, "ndim", 1) == 0
    return float(value) if single else None  # type: ignore[arg-type]


def unit_of(value: float, spec: str) -> float:
    """One unit of the last digit that a format prints: 10^-2 for 3.14159 and ``.2f``."""
    found = SPEC.match(spec)
    precision, kind = found.groups() if found else (None, "")
    if precision is None and kind == "":
        return 0.0
    digits = int(precision if precision is not None else 6)
    if kind.lower() == "f":
        return float(10.0**-digits)
    if kind == "%":
        return float(10.0 ** -(digits + 2))
    size = math.floor(math.log10(abs(value))) if value else 0
    return float(10.0 ** (size - (digits if kind.lower() == "e" else max(digits, 1) - 1)))


def formatted(value: object, spec: str = "") -> str:
    """What ``format(value, spec)`` gives."""
    return note(value, spec, plain_format(value, spec))


def rounded(number: Any, ndigits: int | None = None) -> Any:
    """What ``round`` gives."""
    result = plain_round(number, ndigits)
    if ndigits is not None and isinstance(result, float):
        notes.append((float(number), float(10.0**-ndigits), repr(result)))
    return result


plain_format, plain_round = format, round


class Formatter(string.Formatter):
    """``str.format``, field by field."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        return formatted(value, format_spec)


class Noting(ast.NodeTransformer):
    """Let f-strings and ``"...".format(...)`` ask :func:`formatted`."""

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        self.generic_visit(node)
        if node.conversion != -1:  # !r, !s, !a: no number any more
            return node
        spec = node.format_spec or ast.Constant("")
        call = ast.Call(ast.Name("__formatted__", ast.Load()), [node.value, spec], [])
        return ast.copy_location(ast.FormattedValue(call, -1, None), node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = node.func
        if not (isinstance(function, ast.Attribute) and function.attr == "format"):
            return node
        if not (isinstance(function.value, ast.Constant) and isinstance(function.value.value, str)):
            return node
        name = ast.Name("__format_all__", ast.Load())
        return ast.copy_location(ast.Call(name, [function.value, *node.args], node.keywords), node)


class Loader(importlib.machinery.SourceFileLoader):
    """The library, compiled with its f-strings changed, and never from stored bytecode."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        tree = Noting().visit(ast.parse(self.get_data(path)))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


class Finder:
    """Finds the modules of the library, before anybody else does."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] != "fsps_lite":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path or [os.path.dirname(LIBRARY)])
        if spec and spec.origin:
            spec.loader = Loader(name, spec.origin)
        return spec


def watch_printing() -> None:
    """Tensors and arrays print through classes of their own."""
    import numpy as np
    import torch

    watched(torch._tensor_str._Formatter, "format", tensor_digits)
    printing = getattr(np, "_core", None) or np.core  # NumPy 1 has another name for it
    watched(printing.arrayprint.FloatingFormat, "__call__", array_digits)


def watched(cls: Any, name: str, digits: Callable[[Any], int]) -> None:
    """Replace a method that makes text of a number by one that notes it."""
    plain = getattr(cls, name)

    def noted(self: Any, value: Any) -> str:
        return note(value, f".{digits(self)}f", str(plain(self, value)))

    setattr(cls, name, noted)


def tensor_digits(formatter: Any) -> int:
    import torch

    return int(torch._tensor_str.PRINT_OPTS.precision)


def array_digits(formatter: Any) -> int:
    import numpy as np

    return int(np.get_printoptions()["precision"])


def keep_threads(count: int) -> None:
    """From here on torch uses this many threads, whatever anybody sets."""
    import torch

    torch.set_num_threads(count)
    torch.set_num_threads = lambda nthreads: None


def write_notes(_: object = None) -> None:
    """After a cell: its notes, on a line of their own."""
    with open(os.environ["FSPS_UNROUNDED"], "a", encoding="utf-8") as file:
        file.write(json.dumps(notes) + "\n")
    notes.clear()


def start(shell: Any) -> None:
    """Watch everything that this kernel will print."""
    sys.meta_path.insert(0, Finder())
    names = {"__formatted__": formatted, "__format_all__": Formatter().format}
    for name, value in (names | {"format": formatted, "round": rounded}).items():
        setattr(builtins, name, value)
    shell.ast_transformers.append(Noting())
    watch_printing()
    shell.events.register("post_run_cell", write_notes)
    if os.environ.get("FSPS_THREADS"):
        keep_threads(int(os.environ["FSPS_THREADS"]))
