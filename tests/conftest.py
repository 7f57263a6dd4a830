"""What every test stands on: shapes checked at run time, one thread, the same draws each time."""

import os
import sys

import jaxtyping

# Where the library is already imported its shapes would go unchecked, and nobody would notice.
if "fsps_lite" in sys.modules:
    raise RuntimeError(
        "fsps_lite was imported before tests/conftest.py could check its shapes, got "
        f"{sys.modules['fsps_lite'].__file__}. No pytest plugin may import it at its top."
    )
jaxtyping.install_import_hook("fsps_lite", "beartype.beartype")

import hypothesis  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(int(os.environ.get("FSPS_THREADS", "1")))
hypothesis.settings.register_profile(
    "book", derandomize=True, deadline=None, database=None, print_blob=False
)
hypothesis.settings.load_profile("book")


@pytest.fixture
def unchecked():
    """Switch the shape checks off, as a user has them: our own messages then answer bad input.

    For one test: give it the argument `unchecked`. For a whole file: write
    `pytestmark = pytest.mark.usefixtures("unchecked")` at its top.
    """
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
