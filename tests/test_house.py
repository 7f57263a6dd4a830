"""The house of fsps_lite: its floors hold, its picture is true, and no name hides another."""

import inspect
import os
import pkgutil
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import grimp
import pytest

import fsps_lite
from tools import check, house, house_plan

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "fsps_lite"

# What is built upwards, or through a wall: the file, the import, and how the linter names the two.
BROKEN = [
    (
        "noise.py",
        "from fsps_lite.diffusion import Diffusion",
        "fsps_lite.noise -> fsps_lite.diffusion",
    ),
    (
        "guidance/dps.py",
        "from fsps_lite.samplers import ddpm",
        "fsps_lite.guidance.dps -> fsps_lite.samplers",
    ),
    (
        "operators/linear.py",
        "from fsps_lite.noise import Noise",
        "fsps_lite.operators.linear -> fsps_lite.noise",
    ),
    (
        "diffusion.py",
        "from fsps_lite.engine import attention",
        "fsps_lite.diffusion -> fsps_lite.engine.attention",
    ),
    (
        "priors/answers.py",
        "from fsps_lite.priors.empirical import Empirical",
        "No cycles are allowed in fsps_lite.priors.",
    ),
    (
        "newcomer.py",
        "from fsps_lite.types import State",
        "fsps_lite.newcomer",
    ),
]


@pytest.fixture
def copy(tmp_path):
    """The text of the library, and the project's own list of floors."""
    shutil.copytree(LIBRARY, tmp_path / "fsps_lite", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def linted(folder):
    """(status, text) of the command that `tools/check.py layers` runs, in this folder."""
    environment = {**os.environ, "COLUMNS": "200", "PYTHONUTF8": "1"}
    command = check.layers([], folder / "report.xml")
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return run.returncode, run.stdout + run.stderr


@pytest.mark.parametrize(("file", "line", "named"), BROKEN, ids=[file for file, *_ in BROKEN])
def test_an_import_that_breaks_the_plan_is_named(copy, file, line, named):
    assert named not in linted(copy)[1]
    path = copy / "fsps_lite" / file
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{text}\n{line}\n", encoding="utf-8")
    status, told = linted(copy)
    assert status == 1, told
    assert named in told, told


def test_the_linter_leaves_nothing_behind(copy):
    before = {path.name for path in copy.iterdir()}
    linted(copy)
    assert {path.name for path in copy.iterdir()} == before


def test_the_floors_are_part_of_make_test_and_of_make_check():
    assert check.PARTS["layers"] is check.layers
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "tools/check.py lint format types layers changed" in makefile


@pytest.fixture(scope="module")
def today():
    """The house as it stands."""
    return house.read()


def test_the_stored_picture_is_what_the_imports_say():
    assert house.main(["--check"]) == 0, "draw it again: python tools/house.py"


def test_a_picture_that_is_out_of_date_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(house, "TARGET", tmp_path / "house.svg")
    assert house.main(["--check"]) == 1
    assert house.main([]) == 0
    assert house.main(["--check"]) == 0
    text = house.TARGET.read_text(encoding="utf-8")
    house.TARGET.write_text(text.replace("measures", "measure"), encoding="utf-8")
    assert house.main(["--check"]) == 1
    assert "python tools/house.py" in capsys.readouterr().out


def test_its_imports_are_those_that_the_linter_sees(today):
    graph = grimp.build_graph("fsps_lite", exclude_type_checking_imports=True, cache_dir=None)
    for name in today.imports:
        graph.squash_module(f"fsps_lite.{name}")
    for name, imports in today.imports.items():
        seen = graph.find_modules_directly_imported_by(f"fsps_lite.{name}")
        assert {f"fsps_lite.{other}" for other in imports} == seen - {f"fsps_lite.{name}"}


def test_every_file_stands_in_the_picture(today):
    told = " ".join(ET.parse(house.TARGET).getroot().itertext()).split()
    files = {path.stem for path in LIBRARY.rglob("*.py")} - {"__init__"}
    assert {word.removesuffix(".py") for word in told} >= files
    assert {f"{path.parent.name}/" for path in LIBRARY.glob("*/*.py")} <= set(told)


def test_a_new_import_and_a_new_file_change_the_picture(copy, today):
    assert house.draw(house.read(copy)) == house.draw(today)
    (copy / "fsps_lite" / "samplers" / "euler.py").write_text("from fsps_lite import theory\n")
    changed = house.read(copy)
    assert ("samplers", "theory") in set(changed.arrows) - set(today.arrows)
    assert "euler · exact" in house.draw(changed)


def test_a_room_without_a_floor_is_refused(copy):
    (copy / "fsps_lite" / "newcomer.py").write_text('"""New."""\n')
    with pytest.raises(SystemExit, match="newcomer"):
        house.read(copy)


def test_an_arrow_that_follows_from_others_is_left_out():
    floors = tuple((house_plan.Room(name, name),) for name in "abcd")
    imports = {"a": "bcd", "b": "c", "c": "d", "d": ""}
    small = house_plan.House(floors, {name: frozenset(those) for name, those in imports.items()})
    assert small.arrows == [("a", "b"), ("b", "c")]  # and d is the ground
    assert replace(small, imports=small.imports | {"b": frozenset()}).arrows[:2] == [
        ("a", "b"),
        ("a", "c"),
    ]


def test_no_box_and_no_lane_stands_on_another(today):
    plan = house_plan.Plan(today)
    for row in plan.nodes:
        ends = sorted((plan.x[n] - plan.width[n] / 2, plan.x[n] + plan.width[n] / 2) for n in row)
        assert ends[0][0] >= 0
        assert ends[-1][1] <= house_plan.WIDTH
        assert all(right < left for (_, right), (left, _) in zip(ends, ends[1:], strict=False))


def test_contributors_see_it_first():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "](tools/house.svg)" in text.partition("\n## ")[0]


def modules():
    """The name of every file and folder of the library that can be imported."""
    files = list(LIBRARY.rglob("*.py"))
    return {path.stem for path in files} | {path.parent.name for path in files}


def public_functions():
    """The functions that the doors of the library and of each room hand out, as (room, name)."""
    found = pkgutil.walk_packages(fsps_lite.__path__, "fsps_lite.")
    rooms = [fsps_lite, *(import_module(module.name) for module in found if module.ispkg)]
    for room in rooms:
        for name, value in vars(room).items():
            if inspect.isfunction(value) and not name.startswith("_"):
                yield room.__name__, name


def hidden(functions, modules):
    """The functions that are called as a module is: the one name would hide the other."""
    return sorted(f"{room}.{name}" for room, name in functions if name in modules)


def test_no_public_function_is_called_as_a_module_is():
    functions = list(public_functions())
    assert ("fsps_lite", "law") in functions
    assert ("fsps_lite.problems", "trimodal") in functions
    assert not hidden(functions, modules()), "call the file after the noun: laws.py holds `law`"


@pytest.mark.parametrize(("file", "name"), [("law", "law"), ("diagnose", "diagnose")])
def test_a_function_that_is_called_as_a_module_is_found(file, name):
    assert file not in modules()
    assert f"fsps_lite.{name}" in hidden(public_functions(), modules() | {file})
    assert "fsps_lite.schedules.noise" in hidden([("fsps_lite.schedules", "noise")], modules())
