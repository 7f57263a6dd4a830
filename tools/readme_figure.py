"""Copy the README's figure out of the notebook that draws it, so that the two cannot differ.

python tools/readme_figure.py
"""

import base64
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "book" / "chapters" / "a-sampler-you-can-check.ipynb"
FIGURE = ROOT / "book" / "_static" / "truth-and-dps.png"
NAME = "fig-first-maps"


def stored_figure(notebook: Path = NOTEBOOK, name: str = NAME) -> bytes:
    """The PNG that the figure cell called ``name`` has stored."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == name:
            return base64.b64decode(cell.outputs[0].data["image/png"])
    raise LookupError(f"no figure called {name!r} in {notebook.name}, which the README shows")


if __name__ == "__main__":
    FIGURE.write_bytes(stored_figure())
