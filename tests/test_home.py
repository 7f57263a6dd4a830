"""What leads out of the pages: the notebooks to download, and the links to the public home."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools.notebooks import addresses
from tools.notebooks.reader import reader_notebooks

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = "https://github.com/some/where"
SETTINGS = """
import sys
sys.path[:0] = [{root!r}, {extensions!r}]
extensions = ["myst_nb", "home"]
nb_execution_mode = "off"
html_theme = "sphinx_book_theme"
html_theme_options = {{"repository_url": {address!r}}}
"""
LINKS = re.compile(r'href="(https?://[^"]*(?:github|colab|binder)[^"]*)"')


def built(folder, address):
    """A book of two pages, of which one is a chapter of ours by its name."""
    told = {"root": str(ROOT), "extensions": str(ROOT / "book" / "_ext"), "address": address}
    (folder / "conf.py").write_text(SETTINGS.format(**told))
    (folder / "index.md").write_text("# Cover\n\n```{toctree}\nchapters/one-moment-dps\n```\n")
    (folder / "chapters").mkdir()
    text = nbformat.v4.new_markdown_cell("# A chapter\n\n```{math}\nx\n```")
    twin = nbformat.v4.new_notebook(cells=[text])
    twin.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(twin, folder / "chapters" / "one-moment-dps.ipynb")
    out = folder / "_build"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", str(folder), str(out)]
    subprocess.run(command, check=True, timeout=200)
    return out


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return built(tmp_path_factory.mktemp("with"), ADDRESS)


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory):
    return built(tmp_path_factory.mktemp("without"), "")


def test_with_an_address_every_page_leads_to_repository_licence_citation_and_issues(home):
    for page in ("index.html", "chapters/one-moment-dps.html"):
        found = set(LINKS.findall((home / page).read_text()))
        places = ("", "/blob/main/LICENSE", "/blob/main/CITATION.cff", "/issues")
        assert {ADDRESS + place for place in places} <= found
    assert (ROOT / "LICENSE").exists()
    assert (ROOT / "CITATION.cff").exists()


def test_with_an_address_a_chapter_can_be_run(home):
    found = LINKS.findall((home / "chapters" / "one-moment-dps.html").read_text())
    name = "notebooks/chapters/08-one-moment-dps.ipynb"
    assert f"https://colab.research.google.com/github/some/where/blob/{name}" in found
    assert any(link.startswith("https://mybinder.org/v2/gh/some/where/notebooks") for link in found)
    assert "colab" not in "".join(LINKS.findall((home / "index.html").read_text()))


def test_without_an_address_no_page_has_such_a_link(nowhere):
    for page in nowhere.rglob("*.html"):
        assert LINKS.findall(page.read_text(encoding="utf-8")) == []


def test_the_download_is_the_readers_notebook(home, nowhere):
    place = Path("_sources") / "chapters" / "one-moment-dps.ipynb"
    text = (nowhere / place).read_text(encoding="utf-8")
    assert text == reader_notebooks(solutions=True)["08-one-moment-dps.ipynb"]
    assert "{math}" not in text
    assert "Installs the library" not in text
    installed = nbformat.read(home / place, as_version=4).cells[1].source
    assert f'%pip install --quiet "fsps_lite @ git+{ADDRESS}@main"' in installed


def test_the_address_is_one_setting_and_empty_by_default():
    assert addresses.repository() == ""
    assert addresses.requirement(ADDRESS + ".git") == f"fsps_lite @ git+{ADDRESS}@main"


def test_the_cell_that_installs_does_nothing_where_the_library_is():
    notebook = reader_notebooks(False, repository=ADDRESS)["00-a-sampler-you-can-check.ipynb"]
    cell = nbformat.reads(notebook, as_version=4).cells[1]
    assert cell.source.count("\n") == 4
    # What IPython would run: the line magic stands below the condition, which is false here.
    plain = cell.source.replace("%pip", "raise SystemExit #")
    exec(compile(plain, "cell", "exec"), {})
