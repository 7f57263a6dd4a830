"""Run the cells of a notebook as Jupyter runs them, in one namespace, also after one that failed.

Plain Python is executed at once. Where a cell needs more than Python (a magic, `name?`, top-level
`await`, `get_ipython()`, `Out[1]`), all cells go through a shell of IPython, which takes a third of
a second to import.
"""

import __future__

import ast
import builtins
import linecache
import os
import re
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

Cell = tuple[str, str]  # name and source
Run = Callable[[str, str], BaseException | None]  # of a name and a source: what was raised
LONGEST_REMARK = 400  # characters
# Cell magics that would start a program.
PROGRAMS = {"bash", "sh", "script", "!", "sx", "system", "ruby", "perl", "pypy", "cmd"}
PROGRAMS |= {"python", "python2", "python3"}
OF_THE_SHELL = re.compile(r"get_ipython|__IPYTHON__|In|Out|_{1,3}|_i{1,3}|_i?\d+|_[dio]h")
OF_THE_LOOP = re.compile(r"\b(async|await|asyncio)\b")
# Promises about all that follows, which Jupyter keeps from one cell to the next.
FUTURE = [getattr(__future__, name).compiler_flag for name in __future__.all_feature_names]


def namespace() -> dict[str, Any]:
    """Where the cells run: a fresh `__main__`, with what Jupyter would have put there."""
    here()
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    names = vars(module)
    names["display"] = display
    names["__builtins__"] = builtins
    return names


def here() -> None:
    """Let modules be imported that a notebook writes, whatever their names: ours give way."""
    ours = os.path.dirname(os.path.abspath(__file__))
    for name, module in list(sys.modules.items()):
        if os.path.dirname(getattr(module, "__file__", None) or "") == ours:
            del sys.modules[name]
    sys.path[:] = [os.getcwd(), *(folder for folder in sys.path if folder != ours)]


def display(*shown: object, display_id: object = None, **options: object) -> object:
    """Show nothing; who asks for a handle, to change later what is shown, gets one."""
    if not display_id:
        return None
    from IPython.display import DisplayHandle

    handle: Any = DisplayHandle
    return handle(None if display_id is True else display_id)


def run(cells: Sequence[Cell], names: dict[str, Any]) -> dict[str, str]:
    """Run each cell in the namespace; return {cell: what was raised}."""
    by_shell = any(needs_shell(source) for _, source in cells)
    one = shell(names) if by_shell else plain(names)
    failures = {}
    for cell, source in cells:
        error = one(cell, source)
        if error is not None:
            failures[cell] = remark(error)
    return failures


def needs_shell(source: str) -> bool:
    """Whether a cell is more than Python, or asks for a name that IPython defines."""
    if OF_THE_LOOP.search(source):
        return True
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return True
    except (RecursionError, MemoryError):  # it will fail by itself, with its own remark
        return False
    nodes = list(ast.walk(tree))
    read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    written = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    others = {a.name for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names}
    others |= {n.attr for n in nodes if isinstance(n, ast.Attribute)} & {"get_ipython"}
    return any(map(OF_THE_SHELL.fullmatch, (read - written) | others))


def plain(names: dict[str, Any]) -> Run:
    """How to run a cell of plain Python."""
    promised = 0

    def run_cell(cell: str, source: str) -> BaseException | None:
        nonlocal promised
        try:
            code = compile(source, cell, "exec", flags=promised, dont_inherit=True)
            promised |= sum(flag for flag in FUTURE if code.co_flags & flag)
            lines = source.splitlines(keepends=True)  # for tracebacks and `inspect.getsource`
            linecache.cache[cell] = (len(source), None, lines, cell)
            exec(code, names)
        except BaseException as error:  # a submission may raise anything, SystemExit too
            return error
        return None

    return run_cell


def shell(names: dict[str, Any]) -> Run:
    """How to run a cell of IPython: in a shell of this namespace that starts no program.

    One loop runs under all cells, as in Jupyter: a task of one can be awaited in another.
    """
    import asyncio

    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    settings = Config()
    settings.HistoryManager.enabled = False
    module = sys.modules["__main__"]
    made: Any = InteractiveShell.instance(config=settings, user_module=module, user_ns=names)
    quiet(made)
    loop = asyncio.new_event_loop()

    def run_cell(cell: str, source: str) -> BaseException | None:
        try:
            ended = loop.run_until_complete(in_shell(made, source))
        except BaseException as error:
            return error
        found: BaseException | None = ended.error_before_exec or ended.error_in_exec
        return found

    return run_cell


async def in_shell(made: Any, source: str) -> Any:
    """What came of a cell; one that cannot be read at all is left to the shell to complain of."""
    try:
        transformed, failed = made.transform_cell(source), None
    except Exception:
        transformed, failed = source, sys.exc_info()
    told = {"transformed_cell": transformed, "preprocessing_exc_tuple": failed}
    return await made.run_cell_async(source, store_history=True, **told)


def quiet(made: Any) -> None:
    """Let a shell print no traceback and start no program; a magic that it lacks does nothing."""
    from IPython.utils.text import SList

    line, block = made.run_line_magic, made.run_cell_magic

    def run_line_magic(name: str, text: str, _stack_depth: int = 1) -> Any:
        try:  # it looks for the names of its caller, which stands one deeper here
            return line(name, text, _stack_depth=_stack_depth + 1)
        except Exception:  # of a front end that is not here, like %config InlineBackend
            return None

    def run_cell_magic(name: str, text: str, body: str) -> Any:
        known = made.find_cell_magic(name) is not None
        return block(name, text, body) if known and name not in PROGRAMS else None

    made.showtraceback = made.showsyntaxerror = lambda *given, **options: None
    made.system = lambda *given, **options: None
    made.getoutput = lambda *given, split=True, **options: SList([]) if split else ""
    made.run_line_magic, made.run_cell_magic = run_line_magic, run_cell_magic


def remark(error: BaseException) -> str:
    """One short line about an error."""
    try:
        text = f"{type(error).__name__}: {error}".rstrip(": ")
    except BaseException:  # an error of the submission's own may fail to say itself
        text = type(error).__name__
    return text.replace("\n", " ")[:LONGEST_REMARK]
