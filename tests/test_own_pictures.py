"""Pictures and networks of a user's own, from the shell: how they become a problem."""

import json

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from fsps_lite import Linear, digits, networks
from fsps_lite.cli import main
from fsps_lite.cli.options import parser
from fsps_lite.cli.pictures import asked
from fsps_lite.datasets import files

MINE = """
import torch
from fsps_lite import Denoiser, mask

def network():
    return Denoiser(lambda x, alpha, sigma: alpha * x, dim=24)

raw = torch.nn.Linear(2, 2)
unseen = torch.zeros(5, 24, dtype=torch.float64)

def corner(shape):
    seen = torch.zeros(shape, dtype=torch.bool)
    seen[..., 0, 0] = True
    return mask(seen)
"""
SMALL = ["--n", "20", "--steps", "3"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Sixty pictures of 4 x 6 with two labels, and a module."""
    (tmp_path / "drawn.py").write_text(MINE)
    images = np.random.default_rng(0).normal(size=(60, 4, 6))
    np.savez(tmp_path / "pictures.npz", images=images, labels=np.arange(60) % 2)
    np.save(tmp_path / "plain.npy", images)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked_for(*words):
    return asked(parser().parse_args(["diagnose", "DPS", *words]))


@pytest.mark.parametrize("operator", ["half", "downsample", "blur", "drawn:corner"])
def test_pictures_are_the_prior_and_one_held_out_is_measured(folder, operator):
    found = asked_for("--data", "pictures.npz", "--operator", operator, "--noise-std", "1e-9")
    seen, held_out = files.load("pictures.npz").split(3)
    assert_close(found.problem.prior.atoms, seen.images)
    assert len(found.problem.parts.names) == 2
    assert found.network is None
    known = found.problem.likelihood
    assert isinstance(known.operator, Linear)
    assert_close(known.y, known.operator(held_out.images[0]), atol=1e-8, rtol=0)
    other = asked_for("--data", "pictures.npz", "--operator", operator, "--picture", "2")
    clean = other.problem.likelihood.operator(held_out.images[2])
    apart = (other.problem.likelihood.y - clean).norm() / len(clean) ** 0.5
    assert 0.01 < apart < 5  # noise_std is 1
    half = asked_for("--data", "plain.npy").problem
    assert half.parts is None
    assert_close(half.likelihood.operator(seen.images[0]), seen.images[0, 12:])


def test_a_network_is_a_file_or_a_name_and_brings_what_nobody_has_seen(folder):
    networks.save(networks.Trained(networks.UNet((1, 4, 6), 4), 0.01, 50.0), "weights.npz")
    x = torch.randn(2, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    stored = networks.load("weights.npz")
    found = asked_for("--data", "pictures.npz", "--network", "weights.npz")
    assert_close(found.network.denoise(x, 0.6, 0.8), stored.denoise(x, 0.6, 0.8))
    assert_close(found.held_out, files.load("pictures.npz").split(3)[1].images)
    found = asked_for("--data", "pictures.npz", "--network", "drawn:network")
    assert_close(found.network.denoise(x, 0.6, 0.8), 0.6 * x)
    found = asked_for("--problem", "digits_masked", "--network", str(networks.weights.STORED))
    assert_close(found.held_out, digits.load().held_out)
    known = "--data", "pictures.npz", "--network", "drawn:network"
    assert not asked_for(*known, "--held-out", "drawn:unseen").held_out.any()
    np.save("rows.npy", np.ones((4, 24)))
    assert asked_for(*known, "--held-out", "rows.npy").held_out.shape == (4, 24)


def test_the_report_says_whose_error_it_is(folder, capsys):
    words = "--data", "pictures.npz", "--network", "drawn:network", "--json", "out.json"
    assert main(["diagnose", "DPS", *words, *SMALL]) == 0
    printed = capsys.readouterr().out
    assert "DPS with a learned denoiser on pictures (n = 20, steps = 3, seed = 0)" in printed
    assert "Whose error it is" in printed
    saved = json.loads((folder / "out.json").read_text())
    assert saved["decomposition"]["sentence"] in printed
    assert [gain["level"] for gain in saved["decomposition"]["gains"]] == [0.2, 0.5, 1.0, 2.0, 8.0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--data", "nowhere"], "which does not exist"),
        (["--data", "pictures.npz", "--problem", "gaussian"], "exclude each other"),
        (["--operator", "blur"], "--operator needs --data"),
        (["--noise-std", "2"], "--noise-std needs --data"),
        (["--grey"], "--grey needs --data"),
        (["--data", "pictures.npz", "--size", "8", "8"], "`size` and `grey` are for folders"),
        (["--held-out", "drawn:unseen"], "--held-out needs --network"),
        (["--data", "pictures.npz", "--picture", "3"], "from 0 to 2, got 3"),
        (["--data", "pictures.npz", "--operator", "blu"], "did you mean 'blur'"),
        (["--data", "pictures.npz", "--operator", "drawn:raw"], "a function of the shape"),
        (["--network", "weights.npz"], "no file 'weights.npz'"),
        (["--network", "drawn:raw"], "networks.eps_prediction(network"),
        (["--network", "drawn:network"], "must be a prior in 1 dimensions"),
        (["--network", "drawn:network", "--held-out", "drawn:raw"], "a tensor (M, d)"),
        (["--data", "pictures.npz", "--noise-std", "-1"], "`noise_std` must"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_is_wrong_is_said_in_one_line(folder, capsys, words, says):
    assert main(["diagnose", "DPS", *words, *SMALL]) == 2
    printed = capsys.readouterr().err
    assert says in printed
    assert printed.count("\n") == 1
