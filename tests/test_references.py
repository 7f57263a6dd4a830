"""Every source that a docstring names, as (Author, year), stands in the bibliography."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = re.compile(r"\s*([A-Z][\w-]+)[^,]*,\s+(\d{4})[a-z]?\s*")
BIB = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
ENTRIES = {
    (re.search(r"author\s*=\s*\{+([^,}]+)", entry).group(1), re.search(r"year\D+(\d{4})", entry)[1])
    for entry in BIB.split("\n@")
}
PLAIN = {("Sz{\\'e", "2013"): ("Szekely", "2013")}  # as the accent is written in the two places


def docstrings(path):
    """The docstrings of a module and of all that it defines."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return " ".join(ast.get_docstring(node) or "" for node in nodes)


def named(text):
    """(author, year) of each source, in parentheses that may hold several."""
    parts = [part for group in re.findall(r"\(([^()]*)\)", text) for part in group.split(";")]
    return {match.groups() for match in map(SOURCE.fullmatch, parts) if match}


@pytest.mark.parametrize("path", sorted((ROOT / "fsps_lite").rglob("*.py")), ids=lambda p: p.name)
def test_named_sources_are_in_the_bibliography(path):
    known = {PLAIN.get(entry, entry) for entry in ENTRIES}
    missing = named(docstrings(path)) - known
    assert not missing, f"{path.name} names {missing}, which references.bib does not hold"


def test_the_pattern_finds_what_it_should():
    text = (
        "as in (Ho et al., 2020; Song et al., 2021a), (Tweedie; Robbins, 1956), (see above), (K, 2)"
    )
    assert named(text) == {("Ho", "2020"), ("Song", "2021"), ("Robbins", "1956")}
