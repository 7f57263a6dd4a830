"""Execute chapters one way: name.md (the source) -> name.ipynb (its executed twin).

    python tools/execute.py              the chapters whose text, or the library, has changed
    python tools/execute.py --all        every chapter
    python tools/execute.py FILE.md ...  these

The same source gives the same bytes: cell ids are hashes of the source, widget ids are renamed,
times are not recorded. So a difference in a notebook is a difference in what it says.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ROOT / "book" / "chapters"
LIBRARY = ROOT / "fsps_lite"
TIMEOUT = 600  # seconds a cell

# What a kernel must see for its outputs to come out the same again; nbval runs under it too.
KERNEL_ENV = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "TQDM_DISABLE": "1",
    "COLUMNS": "100",
}
WIDGETS = "application/vnd.jupyter.widget-state+json"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class ChapterFailed(Exception):
    """A cell of a chapter raised; the message says which and why."""


def source_hash(chapter: Path, library: Path = LIBRARY) -> str:
    """Hash of all that decides the outputs: the chapter's text and the library's."""
    digest = hashlib.sha256(chapter.read_bytes())
    for path in sorted(library.rglob("*.py")):
        digest.update(path.relative_to(library).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def read_source(chapter: Path) -> NotebookNode:
    """The chapter as a notebook that is not yet run, with ids that depend on the text alone."""
    notebook: NotebookNode = jupytext.read(chapter, fmt="md:myst")
    seen: Counter[tuple[str, str]] = Counter()
    for cell in notebook.cells:
        key = (cell.cell_type, cell.source)
        cell.id = hashlib.sha256(repr((*key, seen[key])).encode()).hexdigest()[:12]
        seen[key] += 1
    return notebook


def execute(chapter: Path, library: Path = LIBRARY) -> NotebookNode:
    """The chapter's twin, run from the first cell to the last."""
    notebook = read_source(chapter)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=TIMEOUT,
        record_timing=False,
        resources={"metadata": {"path": str(chapter.parent)}},
    )
    try:
        # The kernel's own stderr holds only its start-up remarks; cells' stderr is an output.
        client.execute(env={**os.environ, **KERNEL_ENV}, stderr=subprocess.DEVNULL)
    except Exception as error:  # whatever ends a run is reported with its cell
        raise ChapterFailed(describe_failure(chapter, notebook, error)) from None
    notebook.metadata = plain_metadata(notebook.metadata, source_hash(chapter, library))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = merge_streams(cell.outputs)
    return rename_widgets(notebook, chapter.stem)


def describe_failure(chapter: Path, notebook: NotebookNode, error: Exception) -> str:
    """Say which cell failed, show it, and show the error without colours."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                traceback = ANSI.sub("", "\n".join(output.traceback))
                return f"{chapter.name}, code cell {number}:\n\n{cell.source}\n\n{traceback}"
    started = [number for number, cell in enumerate(code, 1) if cell.execution_count]
    where = f"after code cell {started[-1]}" if started else "before its first code cell"
    return f"{chapter.name}, {where}: {ANSI.sub('', str(error)) or repr(error)}"


def plain_metadata(metadata: NotebookNode, digest: str) -> NotebookNode:
    """Only what a reader's Jupyter needs, the widgets, and the hash of what this was made from."""
    kept = {
        "fsps": {"source_hash": digest},
        "kernelspec": metadata.kernelspec,
        "language_info": {"name": "python"},
    }
    if "widgets" in metadata:
        kept["widgets"] = metadata.widgets
    plain: NotebookNode = nbformat.from_dict(kept)
    return plain


def merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring pieces of one stream: where a print is cut is a matter of timing."""
    merged: list[NotebookNode] = []
    for output in outputs:
        last = merged[-1] if merged else None
        stream = output.output_type == "stream"
        if stream and last and last.output_type == "stream" and last.name == output.name:
            last.text += output.text
        else:
            merged.append(output)
    return merged


def rename_widgets(notebook: NotebookNode, name: str) -> NotebookNode:
    """Give widget models ids that depend on the chapter and their order, not on chance."""
    if "widgets" not in notebook.metadata:
        return notebook
    random_ids = set(notebook.metadata.widgets[WIDGETS]["state"])
    text = json.dumps({"cells": notebook.cells, **notebook})
    order = dict.fromkeys(i for i in re.findall(r"[0-9a-f]{32}", text) if i in random_ids)
    for count, old in enumerate(order):
        text = text.replace(old, hashlib.sha256(f"{name} {count}".encode()).hexdigest()[:32])
    renamed: NotebookNode = nbformat.from_dict(json.loads(text))
    return renamed


def write_twin(chapter: Path, library: Path = LIBRARY) -> bool:
    """Execute one chapter and write its twin; return whether the file changed."""
    twin = chapter.with_suffix(".ipynb")
    text = nbformat.writes(execute(chapter, library)) + "\n"
    if twin.exists() and twin.read_text(encoding="utf-8") == text:
        return False
    twin.write_text(text, encoding="utf-8", newline="\n")
    return True


def is_current(chapter: Path, library: Path = LIBRARY) -> bool:
    """Whether the twin was made from this text and this library."""
    twin = chapter.with_suffix(".ipynb")
    if not twin.exists():
        return False
    try:
        metadata = json.loads(twin.read_text(encoding="utf-8"))["metadata"]
    except json.JSONDecodeError:  # the marks of a merge: made anew, like any other old twin
        return False
    made_from: str = metadata.get("fsps", {}).get("source_hash", "")
    return made_from == source_hash(chapter, library)


def attempt(chapter: Path) -> tuple[Path, str, str | None]:
    """For a worker: (chapter, what happened, error or None)."""
    try:
        return chapter, "changed" if write_twin(chapter) else "same bytes", None
    except ChapterFailed as error:
        return chapter, "FAILED", str(error)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("chapters", nargs="*", type=Path, help="the .md of chapters")
    parser.add_argument("--all", action="store_true", help="also those that have not changed")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    chosen = parser.parse_args(arguments)
    for path in chosen.chapters:
        if path.suffix != ".md" or not path.exists():
            parser.error(f"{path}: give the .md of a chapter, for example {next_best(path)}")
    chapters = [path.resolve() for path in chosen.chapters] or sorted(CHAPTERS.glob("*.md"))
    if not (chosen.all or chosen.chapters):
        chapters = [path for path in chapters if not is_current(path)]
    if not chapters:
        print("Every notebook is made from the present text and library: nothing to execute.")
        return 0
    return run(chapters, chosen.jobs)


def next_best(path: Path) -> Path:
    """A path that would have been right, to show in the message."""
    twin = path.with_suffix(".md")
    return twin if twin.exists() else Path("book/chapters/bayes-by-reweighting.md")


def run(chapters: Sequence[Path], jobs: int) -> int:
    """Execute on a few processes, tell how each went, and return the exit status."""
    failures = []
    with ProcessPoolExecutor(min(jobs, len(chapters))) as pool:
        for chapter, outcome, error in pool.map(attempt, chapters):
            print(f"{outcome:>10}  {chapter.with_suffix('.ipynb').name}", flush=True)
            if error:
                failures.append(error)
    for error in failures:
        print(f"\n{'-' * 80}\n{error}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
