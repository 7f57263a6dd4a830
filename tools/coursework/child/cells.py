"""Run the cells of a notebook as Jupyter runs them, in one namespace, also after one that failed.

Plain Python is executed at once, top-level `await` too. Where a cell needs more than Python (a
magic, `name?`, `get_ipython()`, `Out[1]`), all cells go through a shell of IPython, which takes a
third of a second to import.
"""

import ast
import builtins
import inspect
import os
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

Cell = tuple[str, str]  # name and source
Run = Callable[[str, str], BaseException | None]  # of a name and a source: what was raised
LONGEST_REMARK = 400  # characters
# Cell magics that would start a program.
PROGRAMS = {"bash", "sh", "script", "!", "sx", "system", "ruby", "perl", "pypy", "python3", "cmd"}
OF_THE_SHELL = {"get_ipython", "In", "Out", "_", "__", "___", "_ih", "_oh"}


def namespace() -> dict[str, Any]:
    """Where the cells run: a fresh `__main__`, with what Jupyter would have put there."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    names = vars(module)
    names["display"] = lambda *shown, **options: None
    names["__builtins__"] = builtins
    return names


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
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return True
    except (RecursionError, MemoryError):  # it will fail by itself, with its own remark
        return False
    nodes = list(ast.walk(tree))
    read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    written = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    imported = {a.name for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names}
    return bool(OF_THE_SHELL & ((read - written) | imported))


def plain(names: dict[str, Any]) -> Run:
    """How to run a cell of plain Python."""

    def run_cell(cell: str, source: str) -> BaseException | None:
        try:
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            code = compile(source, cell, "exec", flags=flags, dont_inherit=True)
            if code.co_flags & inspect.CO_COROUTINE:
                import asyncio  # few cells wait, and it takes as long as all the rest

                asyncio.run(eval(code, names))
            else:
                exec(code, names)
        except BaseException as error:  # a submission may raise anything, SystemExit too
            return error
        return None

    return run_cell


def shell(names: dict[str, Any]) -> Run:
    """How to run a cell of IPython: in a shell of this namespace that starts no program."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    settings = Config()
    settings.HistoryManager.enabled = False
    module = sys.modules["__main__"]
    made: Any = InteractiveShell.instance(config=settings, user_module=module, user_ns=names)
    quiet(made)

    def run_cell(cell: str, source: str) -> BaseException | None:
        try:
            ended = made.run_cell(source, store_history=True)
        except BaseException as error:
            return error
        found: BaseException | None = ended.error_before_exec or ended.error_in_exec
        return found

    return run_cell


def quiet(made: Any) -> None:
    """Let a shell print no traceback and start no program; a magic that it lacks does nothing."""
    line, block = made.run_line_magic, made.run_cell_magic

    def run_line_magic(name: str, text: str, *rest: Any, **options: Any) -> Any:
        try:
            return line(name, text, *rest, **options)
        except Exception:  # of a front end that is not here, like %config InlineBackend
            return None

    def run_cell_magic(name: str, text: str, body: str) -> Any:
        known = made.find_cell_magic(name) is not None
        return block(name, text, body) if known and name not in PROGRAMS else None

    made.showtraceback = made.showsyntaxerror = lambda *given, **options: None
    made.system = made.getoutput = lambda *given, **options: None
    made.run_line_magic, made.run_cell_magic = run_line_magic, run_cell_magic


def remark(error: BaseException) -> str:
    """One short line about an error."""
    try:
        text = f"{type(error).__name__}: {error}".rstrip(": ")
    except BaseException:  # an error of the submission's own may fail to say itself
        text = type(error).__name__
    return text.replace("\n", " ")[:LONGEST_REMARK]


def here() -> None:
    """Let the modules that a notebook writes be imported, as from the folder of a notebook."""
    sys.path.insert(0, os.getcwd())
