"""The shell's way in: list, diagnose, wrong names, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fsps_lite import problems
from fsps_lite.__main__ import main

ROOT = Path(__file__).parents[1]
SMALL = ["--n", "40", "--steps", "3"]
MINE = '''
"""A method of ten lines."""
from dataclasses import dataclass

import torch

from fsps_lite import Diffusion, Likelihood, Stepped, euler_maruyama


@dataclass(frozen=True)
class Half:
    prior: Diffusion
    likelihood: Likelihood

    def __call__(self, x, t):
        return 0.5 * self.prior.score(x, t)


def closure(prior, likelihood):
    return lambda x, t: prior.score(x, t)


class Δοκιμή(Half):
    pass


@Stepped
def blind(task):
    """A method of another kind: a step, which forgets the measurement."""
    return lambda x, t, s, generator: euler_maruyama(
        task.prior, task.schedule, x, torch.stack([t, s]), generator=generator
    ).final


anonymous = lambda prior, likelihood: prior.score
number = 3
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of somebody's own, with a module in it."""
    (tmp_path / "mysampler.py").write_text(MINE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != ""])
    yield tmp_path
    sys.modules.pop("mysampler", None)


def test_list_names_every_problem_and_method_with_a_sentence(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    words = {line.split()[0]: line.split(maxsplit=1)[1:] for line in lines if line[:1] == " "}
    names = [make.__name__ for make in problems.GALLERY]
    names += ["DPS", "ZetaDPS", "PiGDM", "TMPD", "DiagonalTMPD", "LGD", "MMPS", "DMPS", "SDA"]
    names += ["DAPS", "DiffPIR", "PnPDM", "DDRM", "DDNM", "DDNMPlus", "REDDiff", "RePaint"]
    names += ["TDS", "MCGDiff"]
    assert list(words) == names
    assert all(len(rest[0]) > 20 for rest in words.values())


def test_diagnose_prints_the_report_and_writes_both_files(folder, capsys):
    arguments = ["--problem", "two_atoms", "--report", "out.html", "--json", "out.json"]
    assert main(["diagnose", "TMPD", *arguments, *SMALL, "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert "TMPD on two_atoms" in out
    assert "n = 40, steps = 3, seed = 3" in out
    assert "distance" in out
    assert (folder / "out.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    data = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    assert data["method"] == "TMPD"
    assert data["settings"] == {"n": 40, "steps": 3, "seed": 3}


@pytest.mark.parametrize("name", ["Half", "closure", "blind"])
def test_a_method_of_ones_own_is_found_from_the_current_folder(folder, capsys, name):
    assert main(["diagnose", f"mysampler:{name}", "--problem", "gaussian", *SMALL]) == 0
    assert f"{name} on gaussian" in capsys.readouterr().out


def test_a_lambda_is_called_as_it_is_asked_for(folder, capsys):
    assert main(["diagnose", "mysampler:anonymous", "--problem", "gaussian", *SMALL]) == 0
    assert "anonymous on gaussian" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_found_before_the_run(folder, capsys, monkeypatch):
    monkeypatch.setattr("fsps_lite.__main__.compare", lambda *_, **__: pytest.fail("it ran"))
    assert main(["diagnose", "DPS", "--json", "no/out.json", *SMALL]) == 2
    assert "folder that exists" in capsys.readouterr().err


def test_a_report_that_cannot_be_saved_is_printed(folder, capsys, monkeypatch):
    def full(self, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fsps_lite.Report.save_html", full)
    assert main(["diagnose", "DPS", "--problem", "gaussian", "--report", "o.html", *SMALL]) == 2
    captured = capsys.readouterr()
    assert "DPS on gaussian" in captured.out
    assert "could not be saved" in captured.err
    assert "No space left" in captured.err


def test_trimodal_is_the_default_problem(folder, capsys):
    assert main(["diagnose", "DPS", *SMALL]) == 0
    assert "DPS on trimodal" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["Half", "anonymous"])
def test_calibrate_prints_what_it_finds_at_many_measurements(folder, capsys, name):
    few = ["--measurements", "5", "--draws", "4", "--steps", "10", "--seed", "2"]
    assert main(["calibrate", f"mysampler:{name}", "--problem", "gaussian", *few]) == 0
    out = capsys.readouterr().out
    assert f"{name} on gaussian, at every y" in out
    assert "measurements = 5, draws = 4, steps = 10, seed = 2" in out
    assert "the worst y is" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["TMDP"], ["no method called 'TMDP'", "did you mean 'TMPD'?"]),
        (["DPS", "--problem", "trimodl"], ["no problem called 'trimodl'"]),
        (["DPS", "--draws", "1"], ["`draws` must be a whole number above 1", "got 1"]),
        (["TMPD", "--problem", "square"], ["TMPD needs a Linear operator"]),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_calibrate_says_what_is_wrong_as_diagnose_does(folder, capsys, arguments, words):
    assert main(["calibrate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(word in captured.err for word in words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["TMDP"], ["no method called 'TMDP'", "did you mean 'TMPD'?", "module:name"]),
        (["nothing_like_it"], ["there are DAPS, DDNM, DDNMPlus, DDRM, DMPS, DPS"]),
        (["DPS", "--problem", "trimodl"], ["no problem called 'trimodl'", "mean 'trimodal'?"]),
        (["mysampler:Halve"], ["no name in mysampler called 'Halve'", "did you mean 'Half'?"]),
        (["nosuchmodule:Half"], ["cannot import 'nosuchmodule'"]),
        (["mysampler:number"], ["`method` must be called with (prior, likelihood)", "got int"]),
        (["TMPD", "--problem", "square"], ["TMPD needs a Linear operator", "DPS(prior"]),
        ([":DPS"], ["no module can be called ''", "mine:X"]),
        (["./mine:X"], ["no module can be called './mine'", "mine:X is X in the file mine.py"]),
        ([":"], ["no module can be called ''"]),
        (["DPS", "--json", ""], ["`--json` must name a file", "got ''"]),
        (["DPS", "--report", "no/out.html"], ["`--report` must name a file in a folder"]),
        (["DPS", "--report", "."], ["`--report` must name a file", "got '.'"]),
        (["DPS", "--seed", "9" * 20], ["`seed` must be a whole number below 2^62", "got 999"]),
        (["fsps_lite:VP"], ["`beta_min`", "Diffusion"]),
        (["DPS", "--n", "0"], ["`n` must be a whole number above 0", "got 0"]),
        (["DPS", "--steps", "-5"], ["`steps` must be a whole number above 0", "got -5"]),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_is_wrong_is_said_in_one_line_and_the_status_is_2(folder, capsys, arguments, words):
    assert main(["diagnose", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("fsps_lite: ")
    assert captured.err.count("\n") == 1
    for word in words:
        assert word in captured.err


def test_a_fault_inside_ones_own_method_keeps_its_traceback(folder):
    (folder / "mysampler.py").write_text("def broken(prior, likelihood):\n    return 1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        main(["diagnose", "mysampler:broken", *SMALL])


@pytest.mark.parametrize("arguments", [[], ["diagnose"], ["diagnos", "DPS"], ["list", "more"]])
def test_the_wrong_words_print_the_usage_and_the_status_is_2(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: python -m fsps_lite" in capsys.readouterr().err


def run(folder, *words):
    command = [sys.executable, "-m", "fsps_lite", *words]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment(), check=False
    )


def test_python_m_fsps_lite_looks_in_a_folder_of_ones_own_and_hands_on_the_status(folder):
    bad = run(folder, "diagnose", "mysampler:Hafl")
    assert bad.returncode == 2
    assert "did you mean 'Half'?" in bad.stderr


@pytest.mark.long  # tests/test_package.py does it every day with what pip installed
def test_python_m_fsps_lite_from_a_folder_of_ones_own(folder):
    good = run(folder, "diagnose", "mysampler:Half", "--problem", "gaussian", *SMALL)
    assert good.returncode == 0, good.stderr
    assert "Half on gaussian" in good.stdout


def test_a_terminal_without_greek_prints_a_class_named_in_greek(folder):
    words = ["diagnose", "mysampler:Δοκιμή", "--problem", "gaussian", "--json", "o.json", *SMALL]
    command = [sys.executable, "-m", "fsps_lite", *words]
    env = {**environment(), "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, capture_output=True, cwd=folder, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert b"\\u0394\\u03bf" in done.stdout
    assert json.loads((folder / "o.json").read_text())["method"] == "Δοκιμή"


def environment():
    """This environment, in which a folder of one's own still finds the library."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
