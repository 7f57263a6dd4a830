"""Networks: what others predict is read as the mean; ours learns, stops, goes on, and is stored."""

import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from fsps_lite import (
    DPS,
    VE,
    VP,
    Cosine,
    Denoiser,
    Diffusion,
    FlowMatching,
    GaussianMixture,
    Likelihood,
    diagnose,
    digits,
    mask,
    networks,
    problems,
)
from fsps_lite.networks import Table, Times, UNet, denoising_error
from fsps_lite.networks.__main__ import main
from tests.oracles import random_mixture_parts, seeded

F64 = {"dtype": torch.float64}
SHAPE = (2, 3, 2)
PRIOR = GaussianMixture(*random_mixture_parts(0, 5, 12))
BETAS = torch.linspace(1e-4, 0.02, 1000, **F64)
TABLE = Table.of_betas(BETAS)


def dressed(scales, says, dtype):
    """The exact denoiser of PRIOR as a network: told a condition, it says eps, v, or the like."""

    def network(u, condition):
        assert u.dtype == dtype
        assert u.shape == (len(condition), *SHAPE)
        a, b = scales(condition[0])
        mean = PRIOR.denoise(u.double().flatten(1), a, b).reshape(u.shape)
        return says(u.double(), mean, a, b).to(dtype)

    return network


def eps(u, m, a, b):
    return (u - a * m) / b


def x0(u, m, a, b):
    return m


def v(u, m, a, b):
    return a * eps(u, m, a, b) - b * m


def flow(u, m, a, b):
    return eps(u, m, a, b) - m


def of_table(k):
    assert k.dtype == torch.int64
    kept = (1 - BETAS).cumprod(0)[k]
    return kept.sqrt(), (1 - kept).sqrt()


def of_time(schedule):
    return lambda t: (schedule.alpha(t.double()), schedule.sigma(t.double()))


def of_edm(sigma_data):
    def scales(c):
        s = (4 * c.double()).exp()
        a = (sigma_data**2 + s**2) ** -0.5
        return a, a * s

    def says(u, m, a, b):
        s = b / a
        return (m - sigma_data**2 * a * u) / (s * sigma_data * a)

    return scales, says


def made(kind, dtype):
    """A dressed denoiser, adapted again: (prior, tolerance in float32)."""
    known = {"dtype": dtype}
    if kind == "flow":
        network = dressed(of_time(FlowMatching()), flow, dtype)
        return networks.flow_prediction(network, SHAPE, **known), 1e-6
    if kind == "edm":
        return networks.edm(
            dressed(*of_edm(0.7), dtype), SHAPE, sigma_data=0.7, levels=(5e-3, 200.0), **known
        ), 1e-6
    make, says, tolerance = {
        "eps": (networks.eps_prediction, eps, 2e-5),
        "x0": (networks.x0_prediction, x0, 1e-6),
        "v": (networks.v_prediction, v, 1e-6),
    }[kind]
    return make(dressed(of_table, says, dtype), TABLE, SHAPE, **known), tolerance


def scaled(error, prior=PRIOR):
    return float(error.abs().max()) / float(prior.total_variance.sqrt())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("kind", ["eps", "x0", "v", "flow", "edm"])
def test_a_dressed_denoiser_is_recovered(kind, dtype):
    """In other scales than its own: s = b / a is what the levels have in common."""
    prior, tolerance = made(kind, dtype)
    tolerance = 1e-12 if dtype == torch.float64 else tolerance
    for k in (0, 300, 999):
        kept = (1 - BETAS).cumprod(0)[k]
        s = float(((1 - kept) / kept).sqrt())
        for alpha in (1.0, float(kept.sqrt())):
            sigma = alpha * s
            clean = PRIOR.sample(6, generator=seeded(k))
            x = alpha * clean + sigma * torch.randn(6, 12, generator=seeded(k + 1), **F64)
            found = prior.denoise(x.to(dtype), alpha, sigma).double()
            wanted = PRIOR.denoise(x.to(dtype).double(), alpha, sigma)
            assert scaled(found - wanted) < tolerance


@pytest.mark.parametrize("schedule", [Cosine(), VE()], ids=lambda s: type(s).__name__)
def test_any_schedule_is_a_set_of_levels(schedule):
    levels = Times(schedule, 1e-2, 0.99, condition=lambda t: t)
    prior = networks.eps_prediction(dressed(of_time(schedule), eps, torch.float64), levels, SHAPE)
    for t in (0.05, 0.8):
        x = Diffusion(PRIOR, VP()).sample(4, t, generator=seeded(0))
        scales = VP().alpha(t), VP().sigma(t)
        # a time is found by bisection: its rounding is that of eps near t = 0
        assert scaled(prior.denoise(x, *scales) - PRIOR.denoise(x, *scales)) < 1e-9


def test_cov_products_and_guidance_go_through_an_adapter():
    prior = made("v", torch.float64)[0]
    s = TABLE.near(1.0)[0][1].s
    x = PRIOR.sample(5, generator=seeded(0))
    w = torch.randn(5, 12, generator=seeded(1), **F64)
    found, wanted = (p.given(x, 1.0, s).cov_product(w) for p in (prior, PRIOR))
    assert_close(found, wanted, rtol=0, atol=1e-10)
    likelihood = Likelihood(mask([True, False] * 6), torch.zeros(6, **F64), 0.5)
    score = DPS(Diffusion(prior, VP()), likelihood)
    grid = TABLE.grid(VP(), 4)
    wanted = DPS(Diffusion(PRIOR, VP()), likelihood)(x, grid[2])
    assert_close(score(x, grid[2]), wanted, rtol=1e-7, atol=1e-7)


def test_between_two_entries_of_a_table_it_is_interpolated():
    prior = made("x0", torch.float64)[0]
    x = 1.5 * PRIOR.sample(50, generator=seeded(0))
    errors = []
    for k in (20, 200, 600):
        both = [level.s for _, level in TABLE.near((TABLE._s[k] * TABLE._s[k + 1]) ** 0.5)]
        assert both == [TABLE._s[k], TABLE._s[k + 1]]
        middle = math.sqrt(both[0] * both[1])
        wanted = PRIOR.denoise(x, 1.0, middle)
        apart = PRIOR.denoise(x, 1.0, both[1]) - PRIOR.denoise(x, 1.0, both[0])
        errors.append(scaled(prior.denoise(x, 1.0, middle) - wanted))
        assert errors[-1] < 0.1 * scaled(apart)  # the nearest entry would be off by a half
    assert max(errors) < 1e-3


def test_a_grid_of_a_table_needs_no_interpolation():
    for schedule, steps in ((VP(), 50), (VP(), None), (FlowMatching(), 30)):
        grid = TABLE.grid(schedule, steps)
        assert bool((grid.diff() < 0).all())
        assert steps is None or len(grid) <= steps + 1
        some = grid[:: max(1, len(grid) // 30)]
        near = [TABLE.near(float(schedule.sigma(t) / schedule.alpha(t))) for t in some]
        assert all(len(levels) == 1 for levels in near)


@pytest.mark.parametrize("kind", ["eps", "edm"])
def test_outside_its_levels_a_network_is_extended_or_refuses(kind):
    prior = made(kind, torch.float64)[0]
    levels = prior.fn.levels
    x = PRIOR.sample(5, generator=seeded(0))
    low = levels.lowest
    z = x + 0.2 * low * torch.randn(5, 12, generator=seeded(1), **F64)
    at_lowest = prior.denoise(z, 1.0, low)
    assert_close(prior.denoise(z, 1.0, low / 5), z + (at_lowest - z) / 25, rtol=1e-9, atol=1e-12)
    exact = PRIOR.denoise(z, 1.0, low / 5)
    assert scaled(prior.denoise(z, 1.0, low / 5) - exact) < 1e-5  # the score hardly changes there
    high = levels.highest
    far = 3 * high * torch.randn(5, 12, generator=seeded(2), **F64)
    assert_close(prior.denoise(far, 1.0, 3 * high), prior.denoise(far / 3, 1.0, high))
    strict = Denoiser(
        networks.adapters.Adapted(**{**vars(prior.fn), "outside": "error"}), prior.dim
    )
    assert_close(strict.denoise(x, 1.0, low), prior.denoise(x, 1.0, low))
    for s in (low / 5, 3 * high):
        with pytest.raises(ValueError, match="the network knows noise levels sigma / alpha from"):
            strict.denoise(x, 1.0, s)


def test_a_float32_module_serves_a_float64_problem():
    stored = networks.load()
    x = torch.randn(3, 64, generator=seeded(0), **F64)
    single = networks.load(dtype=torch.float32)
    wanted = stored.denoise(x, 0.6, 0.8)
    assert wanted.dtype == torch.float64
    # the network itself rounds to 6e-8, in some twenty layers
    assert_close(single.denoise(x.float(), 0.6, 0.8).double(), wanted, rtol=0, atol=2e-5)


def test_the_stored_network_denoises_digits_that_it_has_not_seen():
    data = digits.load()
    found = [
        denoising_error(networks.load(), data.held_out, s, generator=seeded(0)).value
        for s in (0.2, 0.5, 1.0, 2.0, 8.0)
    ]
    exact = [
        denoising_error(data.prior, data.held_out, s, generator=seeded(0)).value
        for s in (0.2, 0.5, 1.0)
    ]
    assert found == pytest.approx(STORED, abs=2e-3)
    assert all(net < atoms for net, atoms in zip(found, exact, strict=False))
    assert networks.weights.STORED.stat().st_size < 10**6


STORED = [0.0169, 0.0654, 0.1632, 0.4110, 0.9454]


def images(n=40, seed=0):
    x = torch.randn(n, 16, generator=seeded(seed))
    return (x - x.mean(0)) / (x - x.mean(0)).square().mean().sqrt()


class Stopped(Exception):
    pass


def test_a_training_that_is_stopped_goes_on_to_the_same_weights(tmp_path):
    options = {"steps": 55, "batch": 8, "channels": 4, "seed": 3}
    wanted = networks.train(images(), (1, 4, 4), **options)

    def stop(done, loss):
        if done == 52:
            raise Stopped

    path = tmp_path / "run.pt"
    with pytest.raises(Stopped):
        networks.train(images(), (1, 4, 4), checkpoint=path, progress=stop, **options)
    steps = []
    found = networks.train(
        images(), (1, 4, 4), checkpoint=path, progress=lambda k, loss: steps.append(k), **options
    )
    assert steps[0] == 51  # the last checkpoint was written after 50 steps
    for name, weight in wanted.network.state_dict().items():
        assert torch.equal(weight, found.network.state_dict()[name])
    other = networks.train(images(), (1, 4, 4), **{**options, "seed": 4, "steps": 1})
    assert not torch.equal(other.network.first.weight, wanted.network.first.weight)
    with pytest.raises(
        ValueError, match=r"belongs to another training, got one with \{'seed': 3\}"
    ):
        networks.train(images(), (1, 4, 4), checkpoint=path, **{**options, "seed": 4})
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="must be a file that this training wrote"):
        networks.train(images(), (1, 4, 4), checkpoint=path, **options)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_learns_where_gradients_are_switched_off(mode):
    """Somebody's notebook may have done so; and what is trained on is not a part of the graph."""
    known = {"steps": 2, "batch": 8, "channels": 4}
    wanted = networks.train(images().requires_grad_(), (1, 4, 4), **known)
    with mode():
        found = networks.train(images(), (1, 4, 4), **known)
    for name, weight in wanted.network.state_dict().items():
        assert torch.equal(weight, found.network.state_dict()[name])


KILLED = """
import sys, torch
torch.set_num_threads(1)
from tests.test_networks import images
from fsps_lite import networks
networks.train(images(), (1, 4, 4), steps=10**6, batch=8, channels=4, checkpoint=sys.argv[1])
"""


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_kill_leaves_a_whole_checkpoint(tmp_path):
    path = tmp_path / "run.pt"
    run = subprocess.Popen([sys.executable, "-c", KILLED, str(path)])
    until = time.monotonic() + 240
    while not path.exists() and run.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.3)  # somewhere inside a step, or a write
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    seen = []

    def stop(done, loss):
        seen.append(done)
        raise Stopped

    known = {"steps": 10**6, "batch": 8, "channels": 4}
    with pytest.raises(Stopped):
        networks.train(images(), (1, 4, 4), checkpoint=path, progress=stop, **known)
    assert seen[0] % 50 == 1
    assert seen[0] > 50


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_command_that_is_killed_again_and_again_ends_with_the_same_weights(tmp_path):
    """The command of the page *Modules*, given again after each SIGKILL, at any moment."""
    raw = torch.randint(256, (60, 5, 7, 3), generator=seeded(0), dtype=torch.uint8)
    np.save(tmp_path / "mine.npy", raw.numpy())

    def command(out):
        own = ["--steps", "500", "--channels", "4", "--seed", "5"]
        call = ["-m", "fsps_lite.networks", "train", "mine.npy", "--out", out, *own]
        return subprocess.Popen([sys.executable, *call], cwd=tmp_path, stdout=subprocess.DEVNULL)

    assert command("whole.npz").wait() == 0
    kills, checkpoint = 0, tmp_path / "killed.npz.run.pt"
    while kills < 3:
        run, before = command("killed.npz"), checkpoint.stat().st_mtime_ns if kills else 0
        while run.poll() is None and (
            not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before
        ):
            time.sleep(0.003)
        time.sleep(0.01 * kills)  # inside a step, or a write
        run.kill()
        assert run.wait() == -signal.SIGKILL
        kills += 1
    assert command("killed.npz").wait() == 0
    one, other = (networks.read(tmp_path / name) for name in ("whole.npz", "killed.npz"))
    for name, weight in one.network.state_dict().items():
        assert torch.equal(weight, other.network.state_dict()[name])
    assert (tmp_path / "whole.npz").read_bytes() == (tmp_path / "killed.npz").read_bytes()
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert left == {"mine.npy", "whole.npz", "killed.npz"}  # checkpoints are gone


@pytest.mark.long
def test_training_anew_gives_a_network_as_good_as_the_stored_one():
    """Weights differ between processors; errors on held-out digits hardly do."""
    data = digits.load()
    again = networks.train(data.images, (1, 8, 8)).denoiser()
    for s, wanted in zip((0.2, 0.5, 1.0, 2.0, 8.0), STORED, strict=True):
        found = denoising_error(again, data.held_out, s, generator=seeded(0))
        assert found.value == pytest.approx(wanted, abs=2 * found.error)


@pytest.mark.long
def test_a_network_learns():
    """Of data in a plane it learns the plane: its error falls far below that of knowing nothing."""
    basis = torch.randn(2, 16, generator=seeded(5))
    x = torch.randn(400, 2, generator=seeded(6)) @ basis
    x = (x - x.mean(0)) / (x - x.mean(0)).square().mean().sqrt()
    net = networks.train(x[:300], (1, 4, 4), steps=100, batch=32, channels=4).denoiser()
    found = denoising_error(net, x[300:].double(), 1.0, generator=seeded(0))
    assert found.value < 0.35  # 2 of 16 numbers would leave 2/16 of the noise; nothing known, .5


def test_weights_come_back_from_their_file(tmp_path):
    trained = networks.train(images(), (1, 4, 4), steps=3, batch=8, channels=4)
    networks.save(trained, tmp_path / "w.npz")
    found = networks.read(tmp_path / "w.npz")
    for name, weight in trained.network.state_dict().items():
        assert torch.equal(weight.half().float(), found.network.state_dict()[name])
    assert (found.lowest, found.highest) == (0.01, 50.0)
    x = torch.randn(4, 16, generator=seeded(0), **F64)
    # float16 keeps 11 bits of each weight
    near = trained.denoiser().denoise(x, 1.0, 0.5)
    assert_close(found.denoiser().denoise(x, 1.0, 0.5), near, rtol=0, atol=5e-3)
    for data in (b"torn", (tmp_path / "w.npz").read_bytes()[:-500]):
        (tmp_path / "torn.npz").write_bytes(data)
        with pytest.raises(ValueError, match=r"torn.npz must hold the weights of a UNet"):
            networks.load(tmp_path / "torn.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=r"other.npz must hold the weights of a UNet"):
        networks.load(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError, match="`path` must be a file of weights.*train --out"):
        networks.load(tmp_path / "nowhere.npz")


def test_the_shell_trains_on_a_users_pictures(tmp_path, capsys):
    raw = torch.randint(256, (30, 6, 4, 3), generator=seeded(0), dtype=torch.uint8)
    np.save(tmp_path / "mine.npy", raw.numpy())
    mine, out = str(tmp_path / "mine.npy"), str(tmp_path / "w.npz")
    run = str(tmp_path / "run.pt")
    call = ["train", mine, "--out", out, "--steps", "3", "--channels", "4", "--checkpoint", run]
    assert main(call) == 0
    assert "step 3 of 3" in capsys.readouterr().out
    assert networks.load(out).dim == 6 * 4 * 3
    assert main(["errors", out, mine]) == 0
    assert "noise level" in capsys.readouterr().out
    assert main(["train", "--out", str(tmp_path / "no" / "w.npz")]) == 2
    assert "must name a file in a folder that exists" in capsys.readouterr().err
    assert main(["train", str(tmp_path / "nowhere"), "--out", out]) == 2


def test_the_shell_trains_on_a_folder_of_pictures_of_any_size(tmp_path, capsys):
    """In colour, not square, with an odd number of pixels; and resized, and in grey."""
    raw = torch.randint(256, (20, 7, 5, 3), generator=seeded(0), dtype=torch.uint8).numpy()
    for k, picture in enumerate(raw):
        Image.fromarray(picture).save(tmp_path / f"{k}.png")
    out = tmp_path.parent / f"{tmp_path.name}.npz"
    some = [str(tmp_path), "--out", str(out), "--steps", "2", "--channels", "4"]
    assert main(["train", *some]) == 0
    assert networks.load(out).dim == 7 * 5 * 3
    assert not out.with_name(f"{out.name}.run.pt").exists()
    assert main(["train", *some, "--size", "4", "6", "--grey"]) == 0
    assert networks.load(out).dim == 4 * 6
    assert main(["errors", str(out), str(tmp_path), "--size", "4", "6", "--grey"]) == 0
    capsys.readouterr()
    for wrong, says in (
        (["errors", str(out), str(tmp_path)], "is a network of 24 numbers, and must fit"),
        (["errors", str(tmp_path / "no.npz")], "`path` must be a file of weights"),
        (["errors", str(tmp_path / "0.png")], "must hold the weights of a UNet"),
        (["train", *some, "--threads", "0"], "`--threads` must be a whole number above 0"),
        (["train", *some, "--size", "0", "4"], "`size` must be a whole number above 0"),
        (["train", *some, "--channels", "6"], "`channels` must be a multiple of 4"),
        (["train", *some, "--checkpoint", str(tmp_path / "0.png")], "this training wrote"),
    ):
        assert main(wrong) == 2
        assert says in capsys.readouterr().err


def test_control_c_says_that_the_same_command_goes_on(tmp_path, capsys, monkeypatch):
    def interrupted(*given, **known):
        raise KeyboardInterrupt

    monkeypatch.setattr("fsps_lite.networks.__main__.train", interrupted)
    assert main(["train", "--out", str(tmp_path / "w.npz")]) == 130
    assert "the same command goes on from here" in capsys.readouterr().err


@pytest.mark.usefixtures("unchecked")
def test_weights_are_written_as_a_whole_or_not_at_all(tmp_path):
    trained = networks.train(images(), (1, 4, 4), steps=1, batch=4, channels=4)
    networks.save(trained, tmp_path / "weights")  # the name stays as it is
    assert networks.load(tmp_path / "weights").dim == 16
    before = (tmp_path / "weights").read_bytes()
    trained.network.first.weight.fill_(1e5)
    with pytest.raises(ValueError, match="`trained` must have finite weights below 65,504"):
        networks.save(trained, tmp_path / "weights")
    assert (tmp_path / "weights").read_bytes() == before
    with pytest.raises(TypeError, match="`trained` must be of the kind Trained"):
        networks.save(3, tmp_path / "weights")
    with pytest.raises(ValueError, match="`path` must name a file in a folder that exists"):
        networks.save(trained, tmp_path / "no" / "weights")
    np.save(tmp_path / "a.npy", before[:9])
    torch.save(trained.network.state_dict(), tmp_path / "a.pt")
    for name in ("a.npy", "a.pt", "."):
        with pytest.raises(ValueError, match="must hold the weights of a UNet"):
            networks.load(tmp_path / name)


def test_a_network_is_diagnosed_on_the_grid_of_its_table():
    problem = problems.unequal()

    def network(u, k):
        a, b = of_table(k[0])
        return eps(u, problem.prior.denoise(u, a, b), a, b)

    net = networks.eps_prediction(network, TABLE, (1,), outside="error")
    seen = Diffusion(net, problem.schedule)
    report = diagnose(
        problem,
        lambda prior, likelihood: seen.score,
        n=20,
        grid=TABLE.grid(problem.schedule, 8),
    )
    assert "diverged" in str(report) or report.findings  # it ran, inside the levels of the table


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: UNet((8, 8)), r"must be that of an image, \(C, H, W\)"),
        (lambda: UNet((1, 8, 8), channels=6), "must be a multiple of 4"),
        (lambda: networks.train(5 * images(), (1, 4, 4)), "`images` must be centred and scaled"),
        (lambda: networks.train(images() + 1, (1, 4, 4)), "`images` must be centred and scaled"),
        (lambda: networks.train(images(), (1, 4, 5)), "`images` must have shape"),
        (lambda: networks.train(images(), (1, 4, 4), steps=0), "`steps` must be a whole number"),
        (lambda: Table(torch.tensor([0.5, 0.6])), "2 entries or more that fall"),
        (lambda: Table(torch.tensor([1.0, 0.6])), "between 0 and 1"),
        (lambda: Times(VP(), 0.5, 0.4), "`last` must be a finite number of at least 0.5"),
        (
            lambda: networks.eps_prediction(lambda u, k: u, TABLE, (2,), outside="clamp"),
            "`outside` must be 'extend' or 'error'",
        ),
        (lambda: networks.edm(lambda u, c: u, (2,), levels=(2.0, 1.0)), "from a lower one to a"),
        (
            lambda: networks.edm(lambda u, c: u[:, :1], (2,)).denoise(
                torch.ones(3, 2, **F64), 1, 1
            ),
            "`network` must return a tensor like x",
        ),
        (
            lambda: networks.train(images(), (1, 4, 4), checkpoint=3),
            "`checkpoint` must be of the kind str or Path or NoneType, got 3",
        ),
        (lambda: networks.train(images(), (1, 4, 4), progress=3), "`progress` must be a function"),
        (
            lambda: denoising_error(networks.read(), torch.zeros(9, 64), 1.0, generator=seeded(0)),
            "`prior` must be of the kind Prior, got Trained.*networks.load",
        ),
        (
            lambda: denoising_error(PRIOR, torch.zeros(1, 12, **F64), 1.0, generator=seeded(0)),
            r"`len\(held_out\)` must be a whole number above 1",
        ),
    ],
)
def test_wrong_calls_are_answered(call, says):
    with pytest.raises((ValueError, TypeError), match=says):
        call()
