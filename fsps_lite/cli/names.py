"""Names of the shell: of the gallery and this library, or ``module:name`` from one's own folder."""

import importlib
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from fsps_lite import checks, guidance, problems, samplers
from fsps_lite.cli.unknown import Unknown, unknown
from fsps_lite.diagnosis import Method
from fsps_lite.diagnosis.method import name_of
from fsps_lite.problems import Problem

NOT_THEIRS = str(Path(__file__).resolve().parents[1]), "site-packages", "<"  # no fault is a user's
PROBLEMS = {make.__name__: make for make in problems.GALLERY}
METHODS = {
    kind.__name__: kind
    for kind in (
        guidance.DPS,
        guidance.ZetaDPS,
        guidance.PiGDM,
        guidance.TMPD,
        guidance.DiagonalTMPD,
        guidance.LGD,
        guidance.MMPS,
        guidance.DMPS,
        guidance.SDA,
        samplers.DAPS,
        samplers.DiffPIR,
        samplers.PnPDM,
        samplers.DDRM,
        samplers.DDNM,
        samplers.DDNMPlus,
        samplers.REDDiff,
        samplers.RePaint,
        samplers.TDS,
        samplers.MCGDiff,
    )
}


def find_problem(name: str) -> Problem:
    """The problem called ``name``: of the gallery, or ``module:name``.

    The latter is a Problem, or a function without arguments that returns one. Raises Unknown with
    the nearest name, and where there is no such problem or its function raises.
    """
    if ":" not in name:
        if name not in PROBLEMS:
            raise Unknown(unknown("problem", name, PROBLEMS) + "; your own is module:name")
        return PROBLEMS[name]()
    what = "a Problem, or a function without arguments that returns one"
    found = made(name, (Problem,), what)
    assert isinstance(found, Problem)
    return found


def made(name: str, kinds: tuple[type, ...], what: str, *given: object) -> object:
    """``module:name`` of one of these kinds, or what such a function returns for what is ``given``.

    Raises Unknown, and says ``what`` is wanted, where there is none, and where the function raises.
    """
    found = _attribute(name)
    if callable(found) and not isinstance(found, (*kinds, Tensor, torch.nn.Module)):
        try:
            found = found(*given)
        except Exception as error:
            raise Unknown(f"{name}() raised {_told(error)}") from error
    if not isinstance(found, kinds) or isinstance(found, type):
        raise Unknown(f"{name} must be {what}, got {checks.described(found)}")
    return found


def find_method(name: str) -> Method:
    """``module:name``, or a method of this library; raises Unknown with the nearest name."""
    if ":" not in name:
        if name not in METHODS:
            raise Unknown(unknown("method", name, METHODS) + "; your own is module:name")
        return METHODS[name]
    method: Method = _attribute(name)  # type: ignore[assignment]
    return method


def find_methods(names: Iterable[str]) -> dict[str, Method]:
    """Each method by the name that its report has; two of one name are told apart by module.

    Raises Unknown where one is named twice.
    """
    asked = list(names)
    if twice := next((name for name in asked if asked.count(name) > 1), None):
        raise Unknown(f"{twice!r} is named twice: name each method once")
    found = {name: find_method(name) for name in asked}
    short = {name: called(name, method) for name, method in found.items()}
    alone = {name for name in asked if list(short.values()).count(short[name]) == 1}
    return {short[name] if name in alone else name: found[name] for name in asked}


def called(name: str, method: Method) -> str:
    """The name of the method; what is nameless has that by which it was asked for."""
    own = name_of(method)
    return name.rpartition(":")[2] if own in ("<lambda>", "samples") else own


def _attribute(name: str) -> object:
    """What ``module:name`` names."""
    place, attribute = name.split(":", 1)
    module = _imported(place)
    if attribute not in vars(module):
        own = (known for known in vars(module) if not known.startswith("_"))
        raise Unknown(unknown(f"name in {place}", attribute, own))
    return getattr(module, attribute)


def _imported(name: str) -> ModuleType:
    """The module of this name, also from the current folder; raises Unknown."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise Unknown(f"no module can be called {name!r}; mine:X is X in the file mine.py")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise Unknown(f"cannot import {name!r}: {error}") from error
    except Exception as error:
        raise Unknown(f"cannot import {name!r}: it raised {_told(error)}") from error


def _told(error: Exception) -> str:
    """The last line of an error, and where in somebody's own files it was raised."""
    text = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    frames = traceback.extract_tb(error.__traceback__)
    places = [(frame.filename, frame.lineno) for frame in frames]
    if isinstance(error, SyntaxError):  # raised by the import, and not in the file
        places.append((str(error.filename), error.lineno))
    own = [place for place in places if not any(part in place[0] for part in NOT_THEIRS)]
    return f"{text} ({own[-1][0]}, line {own[-1][1]})" if own else text
