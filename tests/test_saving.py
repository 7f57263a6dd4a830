"""Files are whole or as they were, and no name breaks a page or a figure."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fsps_lite import Estimate, Finding, Report, plots, saving
from fsps_lite.diagnosis import Curve
from tests.test_plots import BUMP, T, X

ODD = {"broken TeX": "$x_{$ and $\\nosuch$", "one dollar": "5 $", "a lone surrogate": "a\udc80b"}


def test_a_save_that_is_killed_leaves_the_old_file(tmp_path):
    target = tmp_path / "out.json"
    target.write_text("old")
    code = (
        "import os, pathlib, signal, sys\n"
        "from fsps_lite import saving\n"
        "write = pathlib.Path.write_bytes\n"
        "def half(path, data):\n"
        "    write(path, data[: len(data) // 2])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "pathlib.Path.write_bytes = half\n"
        "saving.save(sys.argv[1], 'new' * 1000)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(saving.__file__).parents[1])}
    run = subprocess.run([sys.executable, "-c", code, str(target)], env=env, check=False)
    assert run.returncode == -signal.SIGKILL
    assert target.read_text() == "old"


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    target = tmp_path / "out.json"
    target.write_text("old")

    def full(path, data):
        Path.touch(path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        saving.save(target, "new")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.json"]


def test_a_save_keeps_the_mode_follows_a_link_and_leaves_nothing_else(tmp_path):
    target, link = tmp_path / "out.html", tmp_path / "link.html"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    saving.save(link, "Δ new\n")
    assert target.read_bytes() == "Δ new\n".encode()
    assert target.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link.html", "out.html"]


def test_what_is_no_file_is_written_as_it_is():
    saving.save(os.devnull, "nothing")
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_any_name_is_drawn_and_stands_in_a_page(tmp_path, name):
    curve = Curve("c", name, T, T, T)
    finding = Finding(name, Estimate(0.5, 0.1), id="one")
    report = Report(name, name, {"n": 3}, (finding,), (curve,), (name,))
    report.save_html(tmp_path / "out.html")
    report.save_json(tmp_path / "out.json")
    shown = name.encode("utf-8", "replace").decode()
    assert shown in (tmp_path / "out.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "out.json").read_text())["method"] == name


@pytest.mark.parametrize("name", ODD.values(), ids=ODD)
def test_any_name_stands_in_a_figure(tmp_path, name):
    figure = plots.curves({name: (X, BUMP)}, xlabel=name, ylabel=name, title=name)
    figure.savefig(tmp_path / "out.png")
    (axis,) = figure.axes
    assert axis.get_title() == name.encode("utf-8", "replace").decode()


def test_a_formula_that_is_right_is_set_as_one():
    figure = plots.curves({"a": (X, BUMP)}, xlabel=r"$x_{0}$", ylabel="p")
    figure.draw_without_rendering()
    assert figure.axes[0].xaxis.label.get_parse_math()
