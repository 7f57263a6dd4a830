"""One list of dependencies, pyproject.toml: the other files agree with it and with what runs."""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools import freeze

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
PIN_OF = {canonicalize_name(pin.name): pin for pin in PINS}


def declared():
    """Every requirement of pyproject.toml that the two commands install."""
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *extras["book"], *extras["test"]]
    found = (Requirement(line) for line in lines)
    return [r for r in found if canonicalize_name(r.name) != freeze.PROJECT]


@pytest.mark.parametrize("requirement", declared(), ids=lambda r: r.name)
def test_every_dependency_is_pinned_to_a_version_that_it_allows(requirement):
    pin = PIN_OF.get(canonicalize_name(requirement.name))
    if pin is None and requirement.marker and not requirement.marker.evaluate():
        pytest.skip(f"{requirement.name} is not needed under this Python")
    assert pin is not None, f"constraints.txt lacks {requirement.name}: run tools/freeze.py"
    version = next(iter(pin.specifier)).version
    assert requirement.specifier.contains(version, prereleases=True), (requirement, pin)


@pytest.mark.parametrize("pin", PINS, ids=lambda pin: pin.name)
def test_every_pin_is_exact(pin):
    assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), f"write {pin.name}==<version>, got {pin}"


def test_what_is_installed_is_what_is_pinned():
    different = []
    for name, pin in PIN_OF.items():
        if pin.marker and not pin.marker.evaluate():
            continue
        try:
            installed = Version(metadata.version(name)).public
        except metadata.PackageNotFoundError:
            if sys.version_info[:2] == (3, 11):
                different.append(f"{pin} is not installed")
            continue
        if not pin.specifier.contains(installed, prereleases=True):
            different.append(f"{pin}, installed {installed}")
    assert not different, f"run `make setup`: {different}"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the list is written under Python 3.11")
def test_the_list_of_pins_is_complete():
    needed = {canonicalize_name(name) for name in freeze.needed()}
    assert needed == set(PIN_OF), f"run tools/freeze.py: {sorted(needed ^ set(PIN_OF))}"


def test_no_pin_names_the_project_or_a_stray():
    assert not {freeze.PROJECT, "docformatter", "untokenize"} & set(PIN_OF)


def test_conda_users_get_the_same_lists():
    python, pip, lists = CONDA["dependencies"]
    assert python == "python=3.11"
    assert pip == "pip"
    assert lists == {"pip": ["-c constraints.txt", "-e .[book,test]"]}


def test_conda_python_is_one_that_we_support():
    version = CONDA["dependencies"][0].split("=")[1]
    supported = [c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if "Python :: 3." in c]
    assert version in supported
    assert list(freeze.PYTHONS) == supported


def test_the_book_is_pinned_below_two():
    """Jupyter Book 2 does not read _config.yml, and says so with exit status 0."""
    assert "<2" in str(next(r for r in declared() if r.name == "jupyter-book").specifier)
