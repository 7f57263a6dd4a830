"""Draw the house of fsps_lite, its rooms on their floors, from what the files import.

python tools/house.py            write tools/house.svg
python tools/house.py --check    only say whether it is what would be written

A room is a folder, or a file that stands alone. The contract in pyproject.toml says on which floor
it stands, its own first sentence what it is for, and its imports are its arrows. What only a type
checker imports does not count, as in the contract. Where each box and each arrow goes says
:mod:`tools.house_plan`.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.house_plan import House, Room, draw

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "tools" / "house.svg"
PACKAGE = "fsps_lite"


def read(root: Path = ROOT) -> House:
    """The house as its files and its contract say it is."""
    library, contracts = root / PACKAGE, contracts_of(root)
    private = {name.removeprefix(f"{PACKAGE}.") for name in contracts["protected_modules"]}
    exist = {path.stem: path for path in library.iterdir() if is_room(path)}
    floors = [re.findall(r"\w+", floor) for floor in contracts["layers"]]
    homeless = sorted(set(exist) - {name for floor in floors for name in floor})
    if homeless:
        raise SystemExit(f"no floor in pyproject.toml names {', '.join(homeless)}: add it there")
    rooms = [tuple(room(exist[n], n in private) for n in floor if n in exist) for floor in floors]
    imports = {name: frozenset({*imported(exist[name])} & {*exist} - {name}) for name in exist}
    return House(tuple(filter(None, rooms)), imports)


def contracts_of(root: Path) -> dict[str, Any]:
    """What the contracts of import-linter hold, all in one."""
    with (root / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return {key: value for contract in contracts for key, value in contract.items()}


def is_room(path: Path) -> bool:
    """A folder of modules, or a module that stands alone."""
    return (path / "__init__.py").exists() or (path.suffix == ".py" and path.stem != "__init__")


def room(path: Path, private: bool) -> Room:
    """Its name, the first clause of what it says of itself, and its files."""
    files = sorted(file.stem for file in path.rglob("*.py") if file.stem != "__init__")
    text = (path / "__init__.py" if path.is_dir() else path).read_text(encoding="utf-8")
    sentence = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0]
    clause = re.split(r"[:;.](?:\s|$)", " ".join(sentence.split()))[0]
    return Room(path.stem, clause, tuple(files), private)


def imported(path: Path) -> Iterator[str]:
    """The rooms that the files of a room import from, also inside functions."""
    for file in sorted(path.rglob("*.py")) or [path]:
        for node in running(ast.parse(file.read_text(encoding="utf-8"))):
            for name in names(node):
                if name.startswith(f"{PACKAGE}."):
                    yield name.split(".")[1]


def running(node: ast.AST) -> Iterator[ast.AST]:
    """All that Python runs: what stands under `if TYPE_CHECKING:` is left out."""
    yield node
    skipped = node.body if isinstance(node, ast.If) and is_typing(node.test) else []
    for child in ast.iter_child_nodes(node):
        if child not in skipped:
            yield from running(child)


def is_typing(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def names(node: ast.AST) -> list[str]:
    """The full names that one statement imports."""
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def main(arguments: Sequence[str]) -> int:
    picture = draw(read())
    if "--check" not in arguments:
        TARGET.write_text(picture, encoding="utf-8", newline="\n")
        return 0
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == picture:
        return 0
    print(f"{TARGET.name} is not what the imports say. Draw it again: python tools/house.py")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
