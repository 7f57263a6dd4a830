"""Run notebooks as a student does, and say which cells raise: in Jupyter, or in one process.

As a program it runs many notebooks from its standard input, each in a fork of one process that has
imported IPython and torch: the same answers as Jupyter's in a tenth of the time.
"""

import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
import types

import nbformat
from nbclient import NotebookClient

from tools.execute import KERNEL_ENV, ROOT, TIMEOUT


def in_kernel(notebook, folder):
    """{id of a cell: error} of a notebook that runs in this folder, in a kernel of Jupyter."""
    notebook = nbformat.from_dict(notebook)
    waits = {"timeout": TIMEOUT, "startup_timeout": TIMEOUT}  # a busy machine is no failure
    place = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, kernel_name="python3", resources=place, **waits)
    client.allow_errors = True
    client.execute(env={**os.environ, **KERNEL_ENV}, stderr=subprocess.DEVNULL)
    return {
        cell.id: f"{output.ename}: {output.evalue}"
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    }


def in_one_process(notebooks):
    """The same of many notebooks, {name: notebook} -> {name: {id of a cell: error}}."""
    command = [sys.executable, "-m", __name__]
    environment = {**os.environ, **KERNEL_ENV, "MPLBACKEND": "agg"}
    given = json.dumps(notebooks)
    run = subprocess.run(
        command, input=given, env=environment, capture_output=True, text=True, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def played(notebook):
    """{id of a cell: error} of a notebook, from a fork of this process."""
    ours, theirs = os.pipe()
    if os.fork() == 0:
        with tempfile.TemporaryDirectory() as folder, os.fdopen(theirs, "wb") as pipe:
            os.chdir(folder)
            sys.path.insert(0, folder)
            with contextlib.redirect_stdout(io.StringIO()):
                errors = played_here(notebook)
            pickle.dump(errors, pipe)
            os.chdir("/")
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        errors = pickle.load(pipe)
    os.wait()
    return errors


def played_here(notebook):
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    settings = Config()
    settings.HistoryManager.enabled = False  # it would be the history of whoever tests
    module = types.ModuleType("__main__")
    names = vars(module)
    shell = InteractiveShell.instance(config=settings, user_module=module, user_ns=names)
    shell.enable_gui = shell.showtraceback = lambda *given, **options: None
    errors = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            ended = shell.run_cell(cell["source"], store_history=True)
            error = ended.error_before_exec or ended.error_in_exec
            if error is not None:
                errors[cell["id"]] = f"{type(error).__name__}: {error}"
    return errors


if __name__ == "__main__":
    import IPython.core.interactiveshell  # noqa: F401  # once for all forks
    import torch  # noqa: F401

    print(json.dumps({name: played(told) for name, told in json.load(sys.stdin).items()}))
