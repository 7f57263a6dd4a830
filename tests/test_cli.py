"""The shell's way in: list, diagnose, wrong names, exit codes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fsps_lite import problems
from fsps_lite.cli import main
from fsps_lite.cli.clouds import read
from fsps_lite.cli.names import find_methods, find_problem
from fsps_lite.cli.options import EXAMPLES, parser

ROOT = Path(__file__).parents[1]
SMALL = ["--n", "40", "--steps", "3"]
MINE = '''
"""A method of ten lines."""
from dataclasses import dataclass

import torch

from fsps_lite import Diffusion, Likelihood, Stepped, euler_maruyama, problems


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


def line():
    """A problem of one's own."""
    return problems.gaussian(y=0.5)


plane = problems.one_coordinate()
wants = lambda name: plane
broken = lambda: 1 / 0
refused = lambda: problems.gaussian(y="one")
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
    monkeypatch.setattr("fsps_lite.cli.commands.compare", lambda *_, **__: pytest.fail("it ran"))
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
    few += ["--json", "o.json"]
    assert main(["calibrate", f"mysampler:{name}", "--problem", "gaussian", *few]) == 0
    out = capsys.readouterr().out
    assert f"{name} on gaussian, at every y" in out
    assert "measurements = 5, draws = 4, steps = 10, seed = 2" in out
    assert "the worst y is" in out
    assert json.loads((folder / "o.json").read_text())["method"] == name


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


@pytest.mark.parametrize(("name", "called"), [("line", "gaussian"), ("plane", "one_coordinate")])
def test_a_problem_of_ones_own_is_a_function_or_a_problem(folder, name, called):
    assert find_problem(f"mysampler:{name}").name == called


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mysampler:lien", ["no name in mysampler called 'lien'", "did you mean 'line'?"]),
        ("mysampler:number", ["must be a Problem, or a function without arguments", "got 3"]),
        ("mysampler:wants", ["mysampler:wants() raised TypeError", "missing 1 required"]),
        (
            "mysampler:broken",
            ["raised ZeroDivisionError: division by zero (", "mysampler.py, line"],
        ),
        ("mysampler:refused", ["raised TypeError: `y` must be", "mysampler.py, line"]),
        ("nosuch:line", ["cannot import 'nosuch'"]),
        ("torn:line", ["cannot import 'torn': it raised SyntaxError", "torn.py, line 1"]),
        ("sad:line", ["cannot import 'sad': it raised RuntimeError: no licence", "sad.py, line 1"]),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_problem_that_cannot_be_made_is_one_sentence(folder, capsys, name, words):
    (folder / "torn.py").write_text("x = (")
    (folder / "sad.py").write_text("raise RuntimeError('no licence')")
    assert main(["diagnose", "DPS", "--problem", name, *SMALL]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert all(word in captured.err for word in words), captured.err


def test_compare_prints_methods_side_by_side_and_saves_each(folder, capsys, monkeypatch):
    monkeypatch.setattr("fsps_lite.Report.save_html", lambda self, path: path.write_text("page"))
    names = ["mysampler:anonymous", "mysampler:blind"]
    options = ["--problem", "gaussian", "--out", "new/reports", *SMALL]
    assert main(["compare", *names, *options]) == 0
    out = capsys.readouterr().out
    assert "2 methods on gaussian (n = 40, steps = 3, seed = 0)" in out
    head = next(line for line in out.splitlines() if "truth" in line)
    assert head.split() == ["anonymous", "blind", "exact", "truth"]
    (score_row,) = (line for line in out.splitlines() if line.startswith("path KL"))
    assert re.fullmatch(r"path KL \(nats, median\) +\d\S* ± \S+ +(\* +)?- +0 +0", score_row)
    assert "- blind: missing, as a step has no score" in out
    files = {path.name for path in (folder / "new" / "reports").iterdir()}
    assert files == {f"{n}.{e}" for n in ("anonymous", "blind") for e in ("html", "json")}
    assert json.loads((folder / "new/reports/blind.json").read_text())["method"] == "blind"


def test_two_methods_of_one_name_are_told_apart_by_their_modules(folder):
    (folder / "other.py").write_text("from mysampler import Half\n")
    names = ["mysampler:Half", "other:Half"]
    assert list(find_methods(["DPS", *names])) == ["DPS", *names]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["DPS", "TMDP"], ["no method called 'TMDP'", "did you mean 'TMPD'?"]),
        (["DPS", "DPS"], ["'DPS' is named twice"]),
        (["DPS", "--out", "mysampler.py"], ["--out must name a folder"]),
        (["DPS", "--out", ""], ["--out must name a folder that can be written, got ''"]),
        (["DPS", "TMPD", "--n", "0"], ["`n` must be a whole number above 0", "got 0"]),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_compare_says_what_is_wrong_as_diagnose_does(folder, capsys, arguments, words):
    assert main(["compare", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert all(word in captured.err for word in words)


@pytest.fixture
def cloud(folder):
    """Draws of the posterior of `gaussian`, stored in every way."""
    drawn = problems.gaussian().posterior.sample(
        60, 0.0, generator=torch.Generator().manual_seed(0)
    )
    x, weights, runs = drawn.numpy(), np.zeros(60), np.arange(60) % 20
    np.save("plain.npy", x)
    np.save("single.npy", x.astype(np.float32))
    np.savez("unnamed.npz", x)
    np.savez("named.npz", x=x, log_weights=weights, runs=runs)
    torch.save(drawn, "plain.pt")
    torch.save({"x": drawn, "runs": torch.arange(60) % 20}, "named.pt")
    np.savetxt("plain.csv", x)
    head, rows = "a, runs, log_weights", np.column_stack([x, runs, weights])
    # as a spreadsheet saves it, with a mark first
    np.savetxt("named.csv", rows, delimiter=",", header=head, comments="", encoding="utf-8-sig")
    return x


PLAIN = ["plain.npy", "single.npy", "unnamed.npz", "plain.pt", "plain.csv"]


@pytest.mark.parametrize("file", [*PLAIN, "named.npz", "named.pt", "named.csv"])
def test_samples_of_a_file_are_read_as_they_were(cloud, file):
    found = read(file, dtype=torch.float64)
    tolerance = 2**-24 if file == "single.npy" else 0.0  # half a unit of float32's last place
    assert np.all(abs(found.x.numpy() - cloud) <= tolerance * abs(cloud))
    assert (found.runs is None) == (file in PLAIN)
    if found.runs is not None:
        assert found.runs.tolist() == [i % 20 for i in range(60)]
    if found.log_weights is not None:
        assert found.log_weights.tolist() == [0.0] * 60
    assert (found.log_weights is None) == (file not in ("named.npz", "named.csv"))


def test_samples_are_compared_and_the_report_is_saved(cloud, folder, capsys):
    options = [
        "--problem",
        "mysampler:line",
        "--time",
        "0.01",
        "--json",
        "o.json",
    ]
    assert main(["samples", "named.csv", *options, "--seed", "3"]) == 0
    assert "named on gaussian (n = 60, seed = 3)" in capsys.readouterr().out
    assert json.loads((folder / "o.json").read_text())["settings"]["seed"] == 3


@pytest.mark.parametrize(
    ("file", "holds", "words"),
    [
        ("plainn.npy", None, ["no file in '.' called 'plainn.npy', did you mean 'plain.npy'?"]),
        ("no/x.npy", None, ["no file in 'no' called 'x.npy'"]),
        ("x.txt", "1", ["'x.txt' must end in .npy, .npz, .pt, .csv"]),
        ("x.npy", "junk", ["cannot read 'x.npy': it is no such file, or holds Python objects"]),
        ("x.npz", "junk", ["cannot read 'x.npz'"]),
        ("x.pt", "junk", ["cannot read 'x.pt'"]),
        ("x.csv", "", ["cannot read 'x.csv': line 1 is not a row of some numbers"]),
        ("x.csv", "1,2\n3", ["line 2 is not a row of 2 numbers"]),
        ("x.csv", "x,x\n1,2", ["two of its columns have one name"]),
        ("x.csv", "x\n1\ntwo", ["line 3 is not a row of 1 numbers"]),
        ("x.csv", "x,runs\n1,0.5\n2,1", ["the runs are not whole numbers"]),
        ("x.csv", "runs\n1\n2", ["it has no column of x"]),
        ("x.csv", "1,2\n3,4", ["must have shape (*batch, 1)", "got (2, 2)"]),
        ("flat.npy", None, ["`x` must have shape (n, d), got (60,)"]),
        ("whole.npy", None, ["`x` must have a floating dtype, got torch.int64"]),
        ("odd.npz", None, ["must name 'x', and may name", "got 'x', 'y'"]),
        ("short.npz", None, ["`log_weights` must have shape (60,), got (3,)"]),
        ("problem.pt", None, ["it is no such file, or holds Python objects"]),
        ("numbers.pt", None, ["it holds neither a tensor nor a dictionary of tensors"]),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_file_that_holds_no_samples_is_one_sentence(cloud, capsys, file, holds, words):
    np.save("flat.npy", cloud[:, 0])
    np.save("whole.npy", np.ones((5, 1), int))
    np.savez("odd.npz", x=cloud, y=cloud)
    np.savez("short.npz", x=cloud, log_weights=np.zeros(3))
    torch.save(problems.gaussian(), "problem.pt")
    torch.save([1.0], "numbers.pt")
    if holds is not None:
        Path(file).write_text(holds)
    assert main(["samples", file, "--problem", "gaussian"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert all(word in captured.err for word in words), captured.err


def test_every_example_of_the_help_is_taken_by_the_parser(capsys):
    told = parser().format_help()
    assert "A .npy file" not in told  # it stands with the command that reads one
    examples = [line.split()[3:] for line in told.splitlines() if line.startswith("    python -m")]
    assert {words[0] for words in examples} == set(EXAMPLES)
    assert all(parser().parse_args(words).command == words[0] for words in examples)
    assert parser().parse_args(["diagnose", "DPS", "--html", "o.html"]).report == "o.html"
    with pytest.raises(SystemExit) as ended:
        main(["samples", "--help"])
    assert ended.value.code == 0
    assert "particles.npz --problem mymodule:make" in capsys.readouterr().out


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
