"""The comparison of notebooks catches what it should and lets pass what it may.

One small notebook is executed once and tampered with in many ways; nbval then runs on the variants.
"""

import base64
import copy
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from tools.comparison import (
    PICTURE_URI,
    WIDGET_STATE,
    differences,
    picture_difference,
    pixels,
    text_difference,
)
from tools.execute import execute

ROOT = Path(__file__).resolve().parent.parent

CHAPTER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

```{code-cell} ipython3
import matplotlib.pyplot as plt
import numpy as np
```

```{code-cell} ipython3
print("a third:", 1 / 3, "of", 17)
```

```{code-cell} ipython3
np.array([0.125, 2.5])
```

```{code-cell} ipython3
plt.plot([0, 1])
plt.show()
```

```{code-cell} ipython3
plt.title("a quiet end");
```

```{code-cell} ipython3
import base64, io, ipywidgets
buffer = io.BytesIO()
figure, axes = plt.subplots()
axes.plot([1, 0])
figure.savefig(buffer)
plt.close(figure)
data = base64.b64encode(buffer.getvalue()).decode()
ipywidgets.VBox([ipywidgets.HTML(f'<img alt="a line" src="data:image/png;base64,{data}">')])
```
"""


# The same cells again, so that one notebook can have all the faults: each notebook costs a kernel.
PRINTS, ARRAY, PICTURE, _, WIDGET = CHAPTER.split("\n\n```{code-cell}")[2:]
MORE = [PRINTS] * 2 + [ARRAY] + [PICTURE] * 4
MORE += [PRINTS, PICTURE, WIDGET.replace("a line", "another")]
AGAIN = "".join(f"\n```{{code-cell}}{cell}\n" for cell in MORE)


def replace_text(notebook, cell, old, new):
    text = str(notebook.cells[cell].outputs)
    assert old in text, f"cell {cell} shows no {old!r}: {text[:300]}"
    for output in notebook.cells[cell].outputs:
        if "text" in output:
            output.text = output.text.replace(old, new)
        else:
            output.data["text/plain"] = output.data["text/plain"].replace(old, new)


def png(array):
    buffer = io.BytesIO()
    Image.fromarray((array * 255).round().clip(0, 255).astype(np.uint8)).save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def change_picture(notebook, cell, change):
    data = notebook.cells[cell].outputs[0].data
    data["image/png"] = png(change(pixels(data["image/png"])))


def change_frame(notebook, alt, change):
    """The same to the picture inside a widget."""
    changed = 0
    for model in notebook.metadata.widgets[WIDGET_STATE]["state"].values():
        value = model["state"].get("value", "")
        if f'alt="{alt}"' in value:
            (data,) = PICTURE_URI.findall(value)
            model["state"]["value"] = value.replace(data, png(change(pixels(data))))
            changed += 1
    assert changed == 1


def shift(array):
    return array + 2 / 255 * np.where(array > 0.5, -1, 1)


def flip(array):
    return array[::-1]


def strip(notebook):
    for cell in notebook.cells:
        cell.outputs, cell.execution_count = [], None


def drop_picture(notebook):
    del notebook.cells[9].outputs[0].data["image/png"]


def drop_output(notebook):
    notebook.cells[12].outputs = []


def corrupt_picture(notebook):
    data = notebook.cells[10].outputs[0].data
    data["image/png"] = data["image/png"][:200]


def break_code(notebook):
    notebook.cells[8].source = "1 / 0"


def hide(notebook):
    notebook.cells[7].metadata.tags = ["nbval-ignore-output"]


CELLS = 16
ALLOWED = [
    lambda nb: replace_text(nb, 13, "0.3333333", "0.3333366"),
    lambda nb: change_picture(nb, 14, shift),
    lambda nb: change_frame(nb, "another", shift),
]
# Notebook, code cell at fault, what is done to it, what the message says.
FAILS = [
    ("faulty", 2, lambda nb: replace_text(nb, 1, "0.333", "0.343"), "the number 0.3433"),
    ("faulty", 3, lambda nb: replace_text(nb, 2, "2.5", "2.6"), "the number 2.6, now 2.5"),
    ("faulty", 4, lambda nb: change_picture(nb, 3, flip), "root-mean-square difference"),
    ("faulty", 6, lambda nb: change_frame(nb, "a line", flip), "widget: line .* root-mean-square"),
    ("faulty", 7, lambda nb: replace_text(nb, 6, "of 17", "of 18"), "stored: .* of 18"),
    ("faulty", 8, hide, "keeps its outputs from being compared"),
    ("faulty", 9, break_code, "ZeroDivisionError"),
    ("faulty", 10, drop_picture, "image/png: stored 0 of them, got 1"),
    ("faulty", 11, corrupt_picture, "cannot be decoded"),
    ("faulty", 12, lambda nb: change_picture(nb, 11, lambda a: a[1:]), "size of the picture"),
    ("faulty", 13, drop_output, "image/png: stored 0 of them, got 1"),
    ("stripped", 1, strip, "without having been run"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What nbval says of all variants, in one text."""
    folder = tmp_path_factory.mktemp("notebooks")
    chapter = folder / "chapter.md"
    chapter.write_text(CHAPTER + AGAIN, encoding="utf-8")
    original = execute(chapter)
    changes = {"faulty": list(ALLOWED)}
    for name, _, change, _ in FAILS:
        changes.setdefault(name, []).append(change)
    for name, listed in changes.items():
        notebook = copy.deepcopy(original)
        for change in listed:
            change(notebook)
        nbformat.write(notebook, folder / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "-p", "tests.nbval_plugin", "-c", os.devnull]
    command += ["--rootdir", str(folder), "--nbval", "-rA", "--color=no"]
    command += ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]  # seconds to import
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    run = subprocess.run(
        [*command, str(folder)],
        cwd=folder,
        env=env | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return run.stdout + run.stderr


def test_what_is_the_same_or_nearly_passes_beside_the_faults(report):
    found = re.findall(r"^(PASSED|FAILED|ERROR) faulty\.ipynb::Cell (\d+)", report, re.MULTILINE)
    outcomes = {int(cell) + 1: outcome for outcome, cell in found}
    assert len(found) == CELLS, report
    faulty = {cell for name, cell, _, _ in FAILS if name == "faulty"}
    assert {cell for cell in outcomes if outcomes[cell] != "PASSED"} == faulty, report


@pytest.mark.parametrize(("name", "cell", "change", "message"), FAILS)
def test_fails_and_names_the_cell(report, name, cell, change, message):
    assert re.search(rf"FAILED {name}\.ipynb::Cell {cell - 1}\b", report), report
    where = rf"^{name}\.ipynb, code cell {cell}: (.*?)^(?:___|===)"
    details = re.search(where, report, re.MULTILINE | re.DOTALL)
    assert details, report
    assert re.search(message, details.group(1), re.DOTALL), details.group(1)


@pytest.mark.parametrize(
    ("stored", "got"),
    [
        ("x = 0.5", "x = 0.50001"),
        ("[ 9.9999 1.]", "[10.0001 1.]"),
        ("tensor(1.)", "tensor(1.0005)"),
        ("-0.0 ok", "0.0 ok"),
        ("nan", "nan"),
    ],
)
def test_equal_texts(stored, got):
    assert text_difference(stored, got) is None


@pytest.mark.parametrize(
    ("stored", "got"),
    [
        ("x = 0.5", "x = 0.502"),
        ("x = 0.5", "x = -0.5"),
        ("x = 0.5", "y = 0.5"),
        ("17 atoms", "18 atoms"),
        ("x = 1", "x = 1.0"),
        ("0.5", "nan"),
        ("version 1.2.3", "version 1.2.4"),
        ("a\nb", "a"),
        ("a", "a\nb"),
        ("1e-3", "2e-3"),
        ("error 3e-17", "error 8.1e-16"),
    ],
)
def test_different_texts(stored, got):
    assert text_difference(stored, got)


def test_a_number_of_a_label_is_seen():
    """A small part of a large picture: too little for the mean over the whole."""
    page = np.ones((400, 600, 3))
    changed = page.copy()
    changed[100:110, 200:206] = 0
    assert "worst 16 x 16 tile" in picture_difference(png(page), png(changed))


def test_all_differences_are_told():
    found = differences({"stdout": ["1"], "text/plain": ["a"]}, {"stdout": ["2"]})
    assert [line.split(":")[0].strip() for line in found] == ["stdout", "text/plain", "stored"]
