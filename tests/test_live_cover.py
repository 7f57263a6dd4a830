"""The cover: its script, run in Node, and its still picture say what the library says."""

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch

import fsps_lite as fl
from fsps_lite import theory, widgets
from fsps_lite.widgets import covers

matplotlib.use("agg")
SCRIPT = Path(covers.__file__).with_name("cover.js")
NODE = shutil.which("node")
DRAW = random.Random(3)
SETTINGS = [
    (round(DRAW.uniform(-1.5, 1.5), 2), round(DRAW.uniform(0.1, 1.5), 2)) for _ in range(20)
]
ASK = """
const {METHODS, GRID_T, N, STEPS, guided, run, stray, normals} = require(process.argv[1]);
const asked = JSON.parse(require("fs").readFileSync(0, "utf-8")), z = normals(N * (STEPS + 1), 1);
console.log(JSON.stringify({
  weights: asked.settings.map(([y, s]) => METHODS.map(m => m.weight(y, s))),
  times: GRID_T, noise: Array.from(z.slice(0, 700)),
  ends: METHODS.map(m => Array.from(run(m, 0.3, 0.5, z).x)),
  stray: stray([-1, 0.99, 0.2, 1.2, NaN, -0.95]),
  strays: METHODS.map(m => run(m, 0.3, 0.5, z).stray),
  guided: METHODS.map(m => asked.places.map(x => guided(m, x, GRID_T[75], 0.3, 0.5))),
}));
"""
PLACES = np.linspace(-3, 3, 41)


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What the script answers in Node."""
    if NODE is None:
        pytest.skip("there is no Node here")
    module = tmp_path_factory.mktemp("cover") / "cover.cjs"
    module.write_bytes(SCRIPT.read_bytes())
    asked = json.dumps({"settings": SETTINGS, "places": PLACES.tolist()})
    command = [NODE, "-e", ASK, str(module)]
    answer = subprocess.run(
        command, input=asked, capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(answer.stdout)


def problem(y=0.3, noise_std=0.5):
    found = fl.problems.two_atoms(y=y, noise_std=noise_std)
    return found, {
        "truth": found.posterior,
        "DPS": fl.DPS(found.diffusion, found.likelihood),
        "PiGDM": fl.PiGDM(found.diffusion, found.likelihood, data_var=1.0),
        "TMPD": fl.TMPD(found.diffusion, found.likelihood),
    }


def test_its_weights_are_those_of_the_theory(said):
    for (y, s), found in zip(SETTINGS, said["weights"], strict=True):
        exact = theory.true_weight(1, y, s), theory.dps_weight(1, y, s), theory.tmpd_weight(1, y, s)
        np.testing.assert_allclose([found[0], found[1], found[3]], exact, atol=1e-10)
        assert abs(found[2] - theory.weight_in_time(lambda C, tau: 1 / (1 + tau), 1, y, s)) < 5e-4


def test_its_times_are_those_of_the_library(said):
    vp = fl.VP()
    t = fl.times(vp, covers.STEPS, stop=1e-3)
    found = {key: [one[key] for one in said["times"]] for key in ("t", "alpha", "variance")}
    np.testing.assert_allclose(found["t"], t, rtol=1e-6)
    np.testing.assert_allclose(found["alpha"], vp.alpha(t), rtol=1e-5)
    np.testing.assert_allclose(found["variance"], vp.variance(t), rtol=1e-5)
    np.testing.assert_allclose(covers._schedule(), [found["alpha"], found["variance"]], rtol=1e-9)


def test_each_sampler_believes_what_the_librarys_does(said):
    """The guided denoiser is Tweedie's, of the score that the library would step with."""
    now = said["times"][75]
    x = torch.tensor(PLACES)[:, None]
    for (name, score), found in zip(problem()[1].items(), said["guided"], strict=True):
        wanted = (x + now["variance"] * score(x, now["t"])) / now["alpha"]
        np.testing.assert_allclose(found, wanted[:, 0], rtol=1e-5, atol=1e-6)
        mirror = covers.guided(name, PLACES, now["alpha"], now["variance"], 0.3, 0.5)
        np.testing.assert_allclose(mirror, found, rtol=1e-9, atol=1e-12)


def test_the_still_picture_shows_the_particles_of_the_script(said):
    noise = covers.normals(1)
    np.testing.assert_allclose(noise.ravel()[:700], said["noise"], atol=1e-12)
    for name, ends in zip(covers.NAMES, said["ends"], strict=True):
        np.testing.assert_allclose(covers.paths(name, 0.3, 0.5, noise)[-1], ends, atol=1e-8)


def test_the_noise_is_normal():
    noise = covers.normals(1)
    assert noise.shape == (covers.STEPS + 1, covers.PARTICLES)
    assert abs(noise.mean()) < 4 / noise.size**0.5
    assert abs(noise.var() - 1) < 4 * (2 / noise.size) ** 0.5
    assert not np.array_equal(noise, covers.normals(2))


def test_the_particles_end_with_the_weights_of_the_law():
    """A law has no Monte-Carlo error; that of 600 particles is within four of its own."""
    scores = problem()[1]
    t = fl.times(fl.VP(), 60, stop=1e-2)
    for name in ("DPS", "TMPD"):
        share = float(fl.law(scores[name], fl.VP(), t, reach=6.0).mass(-8.0, 0.0)[-1])
        ends = covers.paths(name, 0.3, 0.5, covers.normals(1))[-1]
        error = (share * (1 - share) / covers.PARTICLES) ** 0.5
        assert abs((ends < 0).mean() - share) < 4 * error, name


def test_it_counts_particles_that_ended_at_no_atom(said):
    assert said["stray"] == 3
    assert said["strays"] == [0, 0, 0, 0]


def test_it_is_whole_small_and_the_same_each_time():
    cover = widgets.cover(y=-0.4, noise_std=0.75)
    assert cover.html == widgets.cover(y=-0.4, noise_std=0.75).html
    assert len(cover.html) < 300_000
    assert cover.values == {"y": -0.4, "noise_std": 0.75, "seed": 1}
    assert not re.search(r"https?://(?!www\.w3\.org)|fetch\(|\sid=", cover.html)
    assert SCRIPT.stat().st_size < 20_000
    assert SCRIPT.with_name("player.js").stat().st_size < 20_000
