"""Where the figures of the pages are drawn and kept: one file for the same data, text and style."""

import hashlib
import inspect
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from fsps_lite import plots

DPI = 160


@dataclass(frozen=True)
class Studio:
    """Keeps figures in the folder `pictures`, for pages below `book`."""

    pictures: Path
    book: Path

    def file(self, place: str, by: ModuleType, make: Callable[..., plots.Figure], *of: Any) -> str:
        """The file of ``make(*of)``, seen from a page; what was drawn before is not drawn anew."""
        told = json.dumps(of, sort_keys=True), inspect.getsource(by), inspect.getsource(plots)
        name = hashlib.sha256("\n".join([make.__name__, *told]).encode()).hexdigest()[:20]
        file = self.pictures / f"{name}.png"
        if not file.exists():
            self.pictures.mkdir(parents=True, exist_ok=True)
            make(*of).savefig(file, dpi=DPI)
        return os.path.relpath(file, (self.book / place).parent)
