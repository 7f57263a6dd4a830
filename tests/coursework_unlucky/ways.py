"""How a notebook came to the grader: what tools and people do to the file on its way."""

import base64
import json
import os
import random

import nbformat


def packed(notebook):
    return json.dumps(notebook).encode()


def without_names(notebook):
    """The notebook without metadata and ids, as a converter leaves it."""
    cells = [{k: v for k, v in cell.items() if k != "id"} for cell in notebook["cells"]]
    cells = [{**cell, "metadata": {}} for cell in cells]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 2}


def without_ids(notebook):
    cells = [{k: v for k, v in cell.items() if k != "id"} for cell in notebook["cells"]]
    return {**notebook, "cells": cells, "nbformat_minor": 4}


def without_nbgrader(notebook):
    return {**notebook, "cells": [{**cell, "metadata": {}} for cell in notebook["cells"]]}


def colab(notebook):
    """Colab gives ids of its own, keeps them in the metadata, and adds its own entries."""
    numbers = random.Random(0)
    cells = []
    for cell in notebook["cells"]:
        own = {"id": f"{numbers.getrandbits(48):012x}", "colab": {"base_uri": "https://localhost/"}}
        cells.append({k: v for k, v in cell.items() if k != "id"} | {"metadata": own})
    told = {"colab": {"provenance": []}, "kernelspec": {"name": "python3"}}
    return {"cells": cells, "metadata": told, "nbformat": 4, "nbformat_minor": 0}


def vs_code(notebook):
    cells = [
        {**cell, "metadata": {**cell["metadata"], "vscode": {"languageId": "python"}}}
        for cell in notebook["cells"]
    ]
    return {**notebook, "cells": cells}


def windows(notebook):
    """Line ends, trailing blanks and a list of lines, as an editor on Windows writes them."""
    cells = []
    for cell in notebook["cells"]:
        lines = cell["source"].split("\n")
        source = [line + "  \r\n" for line in lines[:-1]] + lines[-1:]
        cells.append({**cell, "source": source})
    return {**notebook, "cells": cells}


def old(notebook):
    """In the format 3 of IPython."""
    made = nbformat.convert(nbformat.from_dict(without_ids(notebook)), 3)
    return json.loads(json.dumps(made))


def format_4_0(notebook):
    return {**without_ids(notebook), "nbformat_minor": 0}


def with_pictures(notebook):
    """5 MB of pictures among the outputs."""
    picture = base64.b64encode(random.Random(0).randbytes(1_200_000)).decode()
    output = {"output_type": "display_data", "metadata": {}, "data": {"image/png": picture}}
    cells = [
        {**cell, "outputs": [output], "execution_count": number} if cell["id"] in PICTURED else cell
        for number, cell in enumerate(notebook["cells"])
    ]
    return {**notebook, "cells": cells}


PICTURED = ("q1", "q2", "q4")


def as_file(change, path="ada/{name}.ipynb"):
    """One file in a student's folder, after a change of the notebook."""
    return lambda notebook, name: {path.format(name=name): packed(change(notebook))}


def encoded(encoding):
    """One file in another encoding, with its letters as they are."""

    def file(notebook, name):
        data = json.dumps(notebook, ensure_ascii=False, indent=1).encode(encoding)
        return {f"ada/{name}.ipynb": data}

    return file


def twice(notebook, name):
    """An early try beside the real one, which has the exact name."""
    early = {**notebook, "cells": notebook["cells"][:4]}
    return {f"ada/{name} (1).ipynb": packed(early), f"ada/{name}.ipynb": packed(notebook)}


def same(notebook):
    return notebook


WAYS = {
    "plain": as_file(same),
    "metadata stripped": as_file(without_names),
    "ids stripped": as_file(without_ids),
    "nbgrader's metadata stripped": as_file(without_nbgrader),
    "Colab": as_file(colab),
    "VS Code": as_file(vs_code),
    "Windows": as_file(windows),
    "format 3": as_file(old),
    "format 4.0": as_file(format_4_0),
    "pictures": as_file(with_pictures),
    "BOM": encoded("utf-8-sig"),
    "UTF-16": encoded("utf-16"),
    "(1)": as_file(same, "ada/{name} (1).ipynb"),
    "flat": as_file(same, "{name}-ada.ipynb"),
    "Canvas": as_file(same, "lovelaceada_LATE_4711_815_{name}-2.ipynb"),
    "Moodle": as_file(same, "Ada Lovelace_4711_assignsubmission_file_/{name}.ipynb"),
    "nbgrader's folders": as_file(same, "ada/{name}/{name}.ipynb"),
    "another name": as_file(same, "ada/homework.ipynb"),
    "another name, stripped": as_file(without_names, "ada/homework.ipynb"),
    "two of one student": twice,
}


def lay(files, folder):
    """Write the files into a folder."""
    for name, data in files.items():
        path = folder / name
        os.makedirs(path.parent, exist_ok=True)
        path.write_bytes(data)
