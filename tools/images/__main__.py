"""python -m tools.images     compute what the chapter *From toys to images* has stored: ten minutes

What is done is kept in build/images.json. Called again after it was stopped, the command goes on
there; at the end it writes the results into the chapter, and takes that file away.
"""

import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tools.images.asked import asked
from tools.images.cells import CELLS, cell
from tools.images.sizes import sizes
from tools.stored import results_of, store

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = ROOT / "book" / "chapters" / "from-toys-to-images.md"
HALFWAY = ROOT / "build" / "images.json"


def stored() -> dict[str, Any]:
    """What the chapter has stored."""
    return results_of(CHAPTER)


def truths(name: str) -> dict[str, list[float]]:
    """What the exact posteriors of a problem say, image by image."""
    told = [asked(name).truth(k) for k in range(len(asked(name).y))]
    columns = {  # there is no N_eff without atoms
        "n_eff": [truth.effective_size for truth in told],
        "variance": [truth.variance for truth in told],
        "misfit": [truth.misfit for truth in told],
    }
    known = {key: column for key, column in columns.items() if all(map(math.isfinite, column))}
    return {key: [round(value, 4) for value in known.get(key, [])] for key in columns}


def parts() -> dict[str, Callable[[], Any]]:
    """All that is computed, part by part."""
    made: dict[str, Callable[[], Any]] = {"sizes": sizes}
    for name, methods in CELLS.items():
        made[f"{name}|truth"] = partial(truths, name)
        for method in methods:
            made[f"{name}|{method}"] = partial(columns, name, method)
    return made


def columns(name: str, method: str) -> dict[str, list[float]]:
    """All that was measured of one method on one problem, image by image."""
    return asdict(cell(name, method))


def main(tell: Callable[[str], object] = print, halfway: Path = HALFWAY) -> int:
    """Compute what is not yet done, and write all into the chapter."""
    torch.set_num_threads(1)
    halfway.parent.mkdir(exist_ok=True)
    done: dict[str, Any] = json.loads(halfway.read_text()) if halfway.exists() else {}
    for key, compute in parts().items():
        if key not in done:
            done[key] = compute()
            halfway.write_text(json.dumps(done))
            tell(key)
    store(CHAPTER, nested(done))
    halfway.unlink()
    return 0


def nested(done: dict[str, Any]) -> dict[str, Any]:
    """{problem: {method: results}} from {"problem|method": results}."""
    told: dict[str, Any] = {}
    for key in parts():
        name, _, method = key.partition("|")
        if method:
            told.setdefault(name, {})[method] = done[key]
        else:
            told[name] = done[key]
    return told


if __name__ == "__main__":
    sys.exit(main())
