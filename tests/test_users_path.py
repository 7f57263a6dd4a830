"""A user's path: a folder of pictures, a network, and the commands that the pages print."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fsps_lite.cli import main as diagnosing
from fsps_lite.networks.__main__ import main as training

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "book" / "library" / "modules.md"
SECTION = PAGE.read_text().partition("## Your own images and network\n")[2].partition("\n## ")[0]
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", SECTION, re.S) for line in block.splitlines()
]
MODULE, CHECK = re.findall(r"```python\n(.*?)```", SECTION, re.S)


def pictures(folder, count=200, shape=(10, 14, 3), kind=np.uint8):
    """One bright blob each: ``(count, *shape)``, and as PNG files in a folder."""
    rng = np.random.default_rng(0)
    down, right = np.mgrid[: shape[0], : shape[1]]
    made = []
    for _ in range(count):
        middle, colour = rng.uniform(2, 8, 2), rng.uniform(0.3, 1, shape[2:])
        blob = np.exp(-((down - middle[0]) ** 2 + (right - middle[1]) ** 2) / 8)
        blob = blob[..., None] * colour if shape[2:] else blob
        made.append((blob * np.iinfo(kind).max).astype(kind))
    folder.mkdir(exist_ok=True)
    for k, picture in enumerate(made):
        Image.fromarray(picture).save(folder / f"{k:03}.png")
    return np.stack(made)


def quick(command):
    """The words of a command after ``python -m``, with few steps and few particles."""
    words = shlex.split(command)
    assert words[:2] == ["python", "-m"]
    small = {"--steps": "3", "--n": "20"}
    for name, value in small.items():
        if name in words:
            words[words.index(name) + 1] = value
    return words[2:]


def test_the_page_prints_the_path():
    assert [shlex.split(command)[2:4] for command in COMMANDS] == [
        ["fsps_lite.networks", "train"],
        ["fsps_lite.networks", "errors"],
        ["fsps_lite", "diagnose"],
        ["fsps_lite", "diagnose"],
    ]


def test_the_commands_of_the_page_run(tmp_path, monkeypatch, capsys):
    """In this process and in few steps; from a shell and as printed in the long test below."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    pictures(tmp_path / "pictures", 40, (6, 8, 3))
    (tmp_path / "mymodule.py").write_text(MODULE)
    for command in [*COMMANDS[:2], COMMANDS[-1]]:  # the third in the long test
        module, *words = quick(command)
        words += ["--steps", "4"] * (module == "fsps_lite")
        assert (training if module == "fsps_lite.networks" else diagnosing)(words) == 0, command
    sys.modules.pop("mymodule")
    said = capsys.readouterr().out
    assert "noise level   network" in said
    assert "DPS with a learned denoiser on pictures" in said
    assert "Whose error it is" in said


def run(command, folder):
    """One line of a page in a shell, in ``folder``, with this Python."""
    python = shlex.quote(sys.executable)
    paths = {"PYTHONPATH": str(ROOT), "FSPS_THREADS": "1"}
    done = subprocess.run(
        command.replace("python ", f"{python} ", 1),
        shell=True,
        cwd=folder,
        env=os.environ | paths,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.long
def test_the_commands_of_the_page_run_from_a_shell_as_printed(tmp_path):
    pictures(tmp_path / "pictures")
    (tmp_path / "mymodule.py").write_text(MODULE)
    trained, errors, report, other = (run(command, tmp_path) for command in COMMANDS)
    assert "step 1000 of 1000" in trained
    rows = [line.split() for line in errors.splitlines()[1:]]
    assert all(float(row[1]) < min(float(row[0]) ** 2, 1.2) for row in rows)
    for said in (report, other):
        assert "DPS with a learned denoiser on pictures" in said
        assert "Whose error it is" in said
    assert "<html" in (tmp_path / "mine.html").read_text()
    (tmp_path / "check.py").write_text(f"from mymodule import *\n{CHECK}")
    assert run("python check.py", tmp_path).count("±") == 3


@pytest.mark.long
def test_pictures_of_sixteen_bits_go_by_an_array_as_the_error_says(tmp_path):
    wanted = pictures(tmp_path / "pictures", 60, (6, 8), np.uint16)
    train = "python -m fsps_lite.networks train {} --out mine.npz --steps 20"
    with pytest.raises(AssertionError, match=r"must have 8 bits.*np\.save\('pictures\.npy'"):
        run(train.format("pictures"), tmp_path)
    array = np.stack([np.array(Image.open(f)) for f in sorted((tmp_path / "pictures").glob("*"))])
    assert np.array_equal(array, wanted)
    np.save(tmp_path / "pictures.npy", array)
    run(train.format("pictures.npy"), tmp_path)
    report = run(
        "python -m fsps_lite diagnose DPS --data pictures.npy --network mine.npz --n 20 --steps 5",
        tmp_path,
    )
    assert "Whose error it is" in report


def test_the_check_of_the_page_sees_a_network_that_knows_nothing(tmp_path, monkeypatch):
    """It is run as printed, on the network of the page, which was never trained."""
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "pictures", 40, (6, 8, 3))
    torch.manual_seed(0)
    known = {}
    exec(MODULE, known)
    errors = []
    exec(CHECK, known | {"print": lambda *said: errors.append(said)})
    assert [s for s, _ in errors] == [0.1, 1.0, 10.0]
    assert errors[0][1].value > 0.1**2
