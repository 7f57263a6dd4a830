"""Other packages, which are imported when an adapter is called."""

import importlib
from typing import Any


def needed(module: str) -> Any:
    """A module of another package; raises ImportError, and says how to install the package."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        how = f'{error}: {package} comes with pip install "fsps_lite[peers]"'
        raise ImportError(how) from error
