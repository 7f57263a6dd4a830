"""Whoever uses a name of an earlier version is told where it stands now."""

import functools
import importlib
import re
from pathlib import Path

import pytest
import torch

import fsps_lite as fl
from fsps_lite.moved import MOVED

CHANGES = (Path(__file__).resolve().parent.parent / "CHANGELOG.md").read_text(encoding="utf-8")
MODULES = [name for name in MOVED if name.startswith("fsps_lite.")]
STILL_THERE = {"fsps_lite.digits", "fsps_lite.sweep"}  # another thing has that name today


def words(old):
    return "got " + re.escape(f"{old}. Call it like this: {MOVED[old]}") + "$"


def found(name):
    """What a full name stands for: its modules are imported, the rest is looked up."""
    names, thing = name.split("."), fl
    for end in range(2, len(names) + 1):
        try:
            thing = importlib.import_module(".".join(names[:end]))
        except ModuleNotFoundError:
            return functools.reduce(getattr, names[end - 1 :], thing)
    return thing


@pytest.mark.parametrize("old", MODULES)
@pytest.mark.parametrize("line", ["import {}", "from {} import anything"])
def test_a_module_that_moved_is_not_found_and_says_where(old, line):
    with pytest.raises(ModuleNotFoundError, match=words(old)):
        exec(line.format(old))


@pytest.mark.parametrize("old", [name for name in MODULES if name not in STILL_THERE])
def test_a_module_that_moved_is_not_given_by_its_package(old):
    package, _, name = old.rpartition(".")
    with pytest.raises(ModuleNotFoundError, match=words(old)):
        exec(f"from {package} import {name}")
    if package == "fsps_lite":
        with pytest.raises(AttributeError, match=words(old)):
            getattr(fl, name)


@pytest.mark.parametrize("old", [name for name in MOVED if name not in MODULES])
def test_an_attribute_that_moved_says_where(old):
    one = {
        "prior": fl.Empirical.from_samples(torch.zeros(1, 1)),
        "finding": fl.Finding("distance", fl.Estimate(1.0, 0.1)),
    }
    kind, name = old.split(".")
    with pytest.raises(AttributeError, match=words(old)):
        getattr(one[kind], name)


@pytest.mark.parametrize("old", MOVED)
def test_every_new_name_exists(old):
    names = re.findall(r"fsps_lite(?:\.\w+)+", MOVED[old])
    assert names
    for name in names:
        assert found(name) is not None


def test_what_stayed_is_found():
    assert fl.digits.__name__ == "fsps_lite.datasets.digits"
    assert callable(fl.sweep)
    assert fl.problems.trimodal().name == "trimodal"


def test_an_unknown_name_raises_the_ordinary_error():
    prior = fl.Empirical.from_samples(torch.zeros(1, 1))
    with pytest.raises(ModuleNotFoundError, match="^No module named 'fsps_lite.integrator'$"):
        importlib.import_module("fsps_lite.integrator")
    with pytest.raises(AttributeError, match="^module 'fsps_lite' has no attribute 'integrator'$"):
        _ = fl.integrator
    with pytest.raises(AttributeError, match="^'Empirical' object has no attribute 'shard'$"):
        _ = prior.shard


def test_the_changelog_lists_what_moved():
    (section,) = re.findall(r"^## 0\.2\.0 -.*?(?=^## )", CHANGES, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (`.*) \| (.*) \|$", section, re.MULTILINE)
    assert {old.replace("`", ""): new.replace("`", "") for old, new in rows} == MOVED
