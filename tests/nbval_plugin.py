"""What nbval lacks: it compares pictures and widgets, allows round-off, refuses unrun cells.

Loaded by pytest everywhere, active with `--nbval`. How two outputs are compared, and with which
tolerances, stands in tools/comparison.py. Refused here: cells that were never run, and tags that
would keep a cell from being compared.
"""

import os
import re
from pathlib import Path

from tools.comparison import differences, edges_of, shown, stored_models

ANSI = re.compile(r"\x1b\[[0-9;]*m")
SANITIZER = Path(__file__).with_name("nbval_sanitize.cfg")
CELL_TIMEOUT = 300  # seconds


# The methods of nbval that are replaced.


def compare_outputs(cell, test, ref, skip_compare=None):
    """Whether a cell shows what is stored; `comparison_traceback` says what does not agree."""
    stored = shown(ref, stored_models(cell.parent.nb), cell.sanitize)
    got = shown(test, getattr(cell.parent.kernel, "models", {}), cell.sanitize)
    edges = edges_of(Path(cell.path).stem, cell.cell_num + 1)
    cell.comparison_traceback = differences(stored, got, edges)
    return not cell.comparison_traceback


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
