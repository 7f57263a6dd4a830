"""What pip installs works without the checkout, says what it is, and has one version number."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from datetime import date
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import fsps_lite

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "fsps_lite"
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
CHANGES = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
FOLDERS = ["fsps_lite", "tests", "tools", "benchmarks", "book"]
BUILT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")

# A user's own sampler, which also tells what it was run with.
MINE = """
import matplotlib.pyplot as plt
import fsps_lite
from fsps_lite import plots

with plt.style.context(plots.STYLE):
    print("style", plots.STYLE)
print("package", fsps_lite.__file__)
Mine = fsps_lite.DPS
"""


def python(*words, cwd, path=()):
    """What a fresh process prints that looks for modules in ``path`` too."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, path))
    command = [sys.executable, *words]
    ended = subprocess.run(
        command, capture_output=True, encoding="utf-8", cwd=cwd, env=environment, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def elsewhere(*words, cwd, site):
    """What a process prints that has the installed wheel and its dependencies, and no more.

    With -S Python follows none of the links by which an editable install finds the checkout: they
    would also fill in, unseen, a module that the wheel lacks.
    """
    places = sysconfig.get_paths()
    path = dict.fromkeys([site, places["purelib"], places["platlib"]])
    return python("-S", *words, cwd=cwd, path=path)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The two archives of `python -m build`, from a copy; and the wheel, installed elsewhere.

    The wheel is built from the source archive, so it holds what both hold. Nothing is downloaded.
    """
    copy, dist, site = (tmp_path_factory.mktemp(name) for name in ("copy", "dist", "site"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, copy)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=BUILT)
    python("-m", "build", "--no-isolation", "--outdir", str(dist), cwd=copy)
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    install = ["install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    python("-m", "pip", *install, "--target", str(site), str(wheel), cwd=dist)
    return SimpleNamespace(sdist=sdist, wheel=wheel, site=site)


@pytest.fixture(scope="module")
def about(package):
    """The metadata of the installed wheel."""
    (found,) = metadata.distributions(path=[str(package.site)])
    return found.metadata


def of_the_library():
    """Every file of the package, as a path from the folder that holds it."""
    files = (path for path in LIBRARY.rglob("*") if path.is_file())
    return {p.relative_to(ROOT).as_posix() for p in files if "__pycache__" not in p.parts}


def test_the_wheel_holds_the_package_whole_and_nothing_else(package):
    names = set(zipfile.ZipFile(package.wheel).namelist())
    held = {name for name in names if ".dist-info/" not in name}
    assert held == of_the_library()
    assert {"fsps_lite/book.mplstyle", "fsps_lite/py.typed"} <= held
    assert f"fsps_lite-{fsps_lite.__version__}.dist-info/licenses/LICENSE" in names


def test_the_source_archive_holds_what_it_is_built_from_and_its_papers(package):
    with tarfile.open(package.sdist) as archive:
        files = {member.name.split("/", 1)[1] for member in archive if member.isfile()}
    made = {name for name in files if name.startswith("fsps_lite.egg-info/")}
    papers = {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"}
    recipe = {"pyproject.toml", "MANIFEST.in", "PKG-INFO", "setup.cfg"}
    assert files - made == of_the_library() | papers | recipe


@pytest.mark.long  # the next test starts the same program, and test_cli.py reads its list
def test_it_lists_its_problems_and_methods_from_an_empty_folder(package, tmp_path):
    told = elsewhere("-m", "fsps_lite", "list", cwd=tmp_path, site=package.site)
    assert told.startswith("problems\n")
    assert "  trimodal " in told
    assert "  TMPD " in told


def test_it_diagnoses_a_sampler_of_ones_own_far_from_the_checkout(package, tmp_path):
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    arguments = ["--problem", "gaussian", "--n", "40", "--steps", "6", "--report", "out.html"]
    words = ["-m", "fsps_lite", "diagnose", "mine:Mine", *arguments]
    told = elsewhere(*words, cwd=tmp_path, site=package.site)
    files = dict(re.findall(r"^(style|package) (.+)$", told, re.MULTILINE))
    installed = package.site / "fsps_lite"
    assert Path(files["package"]) == installed / "__init__.py"
    assert Path(files["style"]) == installed / "book.mplstyle"
    assert "DPS on gaussian" in told
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "data:image/png;base64," in page


def test_its_metadata_is_what_an_index_shows(about):
    assert about["Name"] == "fsps_lite"
    assert about["License-Expression"] == CITATION["license"] == "MIT"
    assert about["Keywords"].split(",") == CITATION["keywords"]
    assert about["Requires-Python"] == ">=3.11"
    assert about["Description-Content-Type"] == "text/markdown"
    assert about.get_payload().strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
    urls = dict(line.split(", ", 1) for line in about.get_all("Project-URL"))
    assert urls["Paper"] == "https://arxiv.org/abs/2605.30330"
    classifiers = about.get_all("Classifier")
    assert {"Typing :: Typed", "Operating System :: OS Independent"} <= set(classifiers)
    assert any(line.startswith("Development Status :: ") for line in classifiers)
    assert not any(line.startswith("License :: ") for line in classifiers)  # the expression says it


OWN = {"fsps_lite"}
# sliders, which only the book has; photographs, whose absence is answered by a sentence
LATER = {"explorers.py": {"ipywidgets"}, "patches.py": {"skimage"}}


def test_it_asks_for_all_that_it_imports(about):
    """`pip install` without an extra is enough, but for what a file asks for when it is needed."""
    requires = [Requirement(line) for line in about.get_all("Requires-Dist")]
    plain = {canonicalize_name(r.name) for r in requires if r.marker is None}
    homes = metadata.packages_distributions()
    for path in LIBRARY.rglob("*.py"):
        later = LATER.get(path.name, set())
        for name in imported(path) - set(sys.stdlib_module_names) - OWN - later:
            asked = {canonicalize_name(home) for home in homes[name]} & plain
            assert asked, f"{path.name} imports {name}: name it under `dependencies`"


def imported(path):
    """The top-level names that a module imports, anywhere in it."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    parts = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.split(".")[0] for name in plain + parts}


def releases():
    """[(version, day)] of the changelog, from the top; what is not released yet is left out."""
    heads = re.findall(r"^## (.+)$", CHANGES, re.MULTILINE)
    assert "Unreleased" not in heads[1:], "what is not released yet stands on top"
    dated = [head.split(" - ") for head in heads if head != "Unreleased"]
    return [(Version(version), date.fromisoformat(day)) for version, day in dated]


def test_the_version_is_the_same_everywhere(about):
    """One place, fsps_lite/__init__.py; an "Unreleased" section does not change it yet."""
    newest, _ = releases()[0]
    found = {
        "fsps_lite.__version__": fsps_lite.__version__,
        "CITATION.cff": CITATION["version"],
        "the newest release of CHANGELOG.md": str(newest),
        "the wheel": about["Version"],
    }
    assert len(set(found.values())) == 1, found


def test_the_changelog_goes_back_in_time():
    assert releases() == sorted(releases(), reverse=True)
