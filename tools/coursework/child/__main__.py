"""The process that holds a submission: it runs the cells once and then only answers.

It is started with a socket for its standard input, gets the cells, and for each request `{name}` or
`{name, args, kwargs}` sends back a value or what went wrong. It knows no expected answer.
"""

import importlib
import os
import socket
import sys
import tempfile
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.coursework.child import guards, wire
else:  # this folder is all that the process sees of the package
    import guards
    import wire

LONGEST_REMARK = 400  # characters


def namespace() -> dict[str, Any]:
    """Where the cells run: a fresh `__main__`, with what Jupyter would have put there."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    names = vars(module)
    names["display"] = lambda *shown, **options: None
    return names


def run(cells: Iterable[tuple[str, str]], names: dict[str, Any]) -> dict[str, str]:
    """Run each cell, also after one that failed; return {cell: what was raised}."""
    failures = {}
    for cell, source in cells:
        try:
            exec(compile(plain_python(source), cell, "exec"), names)
        except BaseException as error:  # a submission may raise anything, SystemExit too
            failures[cell] = remark(error)
    return failures


def plain_python(source: str) -> str:
    """The source without lines for IPython (`%magic`, `!command`), if it needs that to compile."""
    try:
        compile(source, "cell", "exec")
    except SyntaxError:
        lines = source.split("\n")
        return "\n".join("" if line.lstrip()[:1] in ("%", "!") else line for line in lines)
    return source


def answer(names: dict[str, Any], request: wire.Message) -> wire.Message:
    """The reply to one request."""
    if request["name"] not in names:
        return {"missing": sorted(str(n) for n in names if not str(n).startswith("_"))[:200]}
    try:
        value = names[request["name"]]
        if "args" in request:
            value = value(*wire.decode(request["args"]), **wire.decode(request["kwargs"]))
        elif callable(value):
            return {"function": True}
        return {"value": wire.encode(value)}
    except BaseException as error:
        return {"error": remark(error)}


def remark(error: BaseException) -> str:
    """One short line about an error."""
    return f"{type(error).__name__}: {error}".rstrip(": ").replace("\n", " ")[:LONGEST_REMARK]


def silence() -> socket.socket:
    """The socket to the parent; the three standard streams lead nowhere from here on."""
    channel = socket.socket(fileno=os.dup(0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    return channel


def main() -> None:
    channel, buffer = silence(), bytearray()
    sys.path.insert(1, sys.argv[1])  # where the library lies; the grader itself cannot be read
    tempfile.tempdir = os.getcwd()  # packages ask for one when they are imported; it is not written
    start = wire.receive(channel, buffer)
    for name in start["imports"]:
        importlib.import_module(name)
    held = guards.guard(start["seconds"], start["megabytes"], start["readable"])
    wire.send(channel, {"guards": held})
    names = namespace()
    wire.send(channel, {"failures": run(start["cells"], names)})
    while True:
        wire.send(channel, answer(names, wire.receive(channel, buffer)))


if __name__ == "__main__":
    main()
