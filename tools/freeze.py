"""Write constraints.txt: the exact versions that are installed here, for every Python we support.

    python tools/freeze.py            write constraints.txt
    python tools/freeze.py --check    only say whether it is what would be written

The list holds what `fsps_lite[test]` needs and nothing else that happens to be installed. A package
whose newest version wants a newer Python than 3.11 gets a marker, and pip chooses freely below it.
"""

import argparse
import sys
from collections.abc import Collection, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "constraints.txt"
PROJECT = "fsps-lite"
PYTHONS = ("3.11", "3.12", "3.13")
HEADER = """\
# The exact versions that the stored outputs were made with (Python 3.11).
# Written by tools/freeze.py: change pyproject.toml, install, and run it again.
"""


def wanted(requirement: Requirement, extras: Collection[str]) -> bool:
    """Whether a requirement's marker asks for it here, under one of these extras."""
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({"extra": extra}) for extra in extras or {""})


def needed(project: str = PROJECT, extras: Collection[str] = ("test",)) -> list[str]:
    """Names of all that the project needs, directly or through others; itself left out."""
    todo, seen = [(project, frozenset(extras))], set[tuple[str, frozenset[str]]]()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for line in metadata.requires(name) or []:
            requirement = Requirement(line)
            if wanted(requirement, extras):
                child = canonicalize_name(requirement.name)
                todo.append((child, frozenset(requirement.extras)))
    return sorted({name for name, _ in seen} - {project})


def pin(name: str) -> str:
    """One line of the list: name==version, with a marker where some Python is too old for it."""
    found = metadata.metadata(name)
    version = Version(found["Version"]).public  # torch 2.13.0+cpu is torch 2.13.0
    allowed = SpecifierSet(found["Requires-Python"] or "")
    fits = [python for python in PYTHONS if f"{python}.99" in allowed]
    if not fits:
        raise SystemExit(f"{name} {version} wants Python {allowed}: none of {', '.join(PYTHONS)}")
    marker = "" if fits[0] == PYTHONS[0] else f' ; python_version >= "{fits[0]}"'
    return f"{name}=={version}{marker}"


def frozen() -> str:
    """The whole text of constraints.txt."""
    return HEADER + "".join(f"{pin(name)}\n" for name in needed())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    text = frozen()
    if parser.parse_args(arguments).check:
        same = TARGET.exists() and TARGET.read_text(encoding="utf-8") == text
        print(f"{TARGET.name} is {'current' if same else 'not what is installed'}")
        return 0 if same else 1
    TARGET.write_text(text, encoding="utf-8", newline="\n")
    print(f"{TARGET.name}: {len(text.splitlines()) - 2} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
