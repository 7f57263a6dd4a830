"""The process that holds a submission: it runs the cells once and then only answers.

It is started with a socket for its standard input, gets the cells, and for each request `{name}` or
`{name, args, kwargs}` sends back a value or what went wrong. It knows no expected answer.
"""

import importlib
import importlib.util
import os
import socket
import sys
import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.coursework.child import cells, guards, wire
else:  # this folder is all that the process sees of the package
    import cells
    import guards
    import wire


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
        return {"error": cells.remark(error)}


def silence() -> socket.socket:
    """The socket to the parent; the three standard streams lead nowhere from here on."""
    channel = socket.socket(fileno=os.dup(0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    return channel


def close(start: wire.Message) -> wire.Message:
    """Import what the grader trusts, then give up all that computing does not need."""
    try:
        for name in start["imports"]:
            importlib.import_module(name)
        importlib.util.find_spec("fsps_lite")  # looks into its folder, which is closed afterwards
        return {"guards": guards.guard(guards.Wanted(**start["wanted"]))}
    except BaseException as error:  # no fault of a submission: none is here yet
        return {"failed": cells.remark(error)}


def main() -> None:
    channel, buffer = silence(), bytearray()
    sys.path.insert(1, sys.argv[1])  # where the library lies; the grader itself cannot be read
    tempfile.tempdir = os.getcwd()  # not looked for by writing, which some systems must forbid
    wire.send(channel, close(wire.receive(channel, buffer)))
    told = wire.receive(channel, buffer)["cells"]
    names = cells.namespace()
    wire.send(channel, {"failures": cells.run(told, names)})
    while True:
        wire.send(channel, answer(names, wire.receive(channel, buffer)))


if __name__ == "__main__":
    main()
