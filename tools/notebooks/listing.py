"""The library's own text, as a `literalinclude` of the book shows it."""

import ast
import textwrap
from pathlib import Path


def listing(path: Path, name: str = "") -> str:
    """The text of a file, or of one function, class or method in it (`Class.method`)."""
    text = path.read_text(encoding="utf-8")
    if not name:
        return text.rstrip("\n")
    first, end = lines_of(ast.parse(text), name)
    return textwrap.dedent("\n".join(text.splitlines()[first - 1 : end]))


def lines_of(tree: ast.Module, name: str) -> tuple[int, int]:
    """First and last line of what has this name, decorators and all. Raises a LookupError."""
    node: ast.AST = tree
    for part in name.split("."):
        below = {child.name: child for child in getattr(node, "body", ()) if hasattr(child, "name")}
        if part not in below:
            raise LookupError(f"the file holds no {name}")
        node = below[part]
    lines = [child.lineno for child in getattr(node, "decorator_list", ())]
    assert isinstance(node, ast.stmt)
    return min([node.lineno, *lines]), node.end_lineno or node.lineno
