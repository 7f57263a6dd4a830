"""The patches: pieces of what scikit-learn ships, moved and scaled, and none seen twice."""

import os
import subprocess
import sys
import time

import pytest
import torch
from sklearn.datasets import load_sample_images
from torch.testing import assert_close

from fsps_lite.datasets import patches
from fsps_lite.datasets.mapped import Mapped
from tests.oracles import seeded


def test_each_is_a_piece_of_a_photograph():
    """Found again by looking through them all."""
    data = patches.load(4, side=5)
    photographs = torch.stack([torch.tensor(image) for image in load_sample_images().images])
    windows = photographs.unfold(1, 5, 1).unfold(2, 5, 1)  # (2, rows, columns, 3, 5, 5)
    seen, held_out = windows[:, :, : 640 - 64 - 4], windows[:, :, 640 - 64 :]
    for images, places in ((data.images, seen), (data.held_out[:2], held_out)):
        for image in data.brightness(images).round():
            assert bool((places == image).all(-1).all(-1).any())


def test_they_are_centred_scaled_and_different():
    data = patches.load(5000)
    assert data.images.shape == (5000, 64)
    assert data.held_out.shape == (1000, 64)
    assert data.images.dtype == torch.float32
    assert_close(data.images.mean(0), torch.zeros(64), rtol=0, atol=1e-5)
    assert_close(float(data.images.square().mean()), 1.0, rtol=1e-5, atol=0)
    assert len(data.images.unique(dim=0)) > 4900  # a few lie in a clear sky
    assert torch.equal(data.prior.atoms, data.images)


def test_a_seed_draws_them():
    one, other = patches.load(10), patches.load(10)
    assert torch.equal(one.images, other.images)
    assert not torch.equal(one.images, patches.load(10, seed=1).images)


def test_there_may_be_a_million():
    """Each place is another, inside its photograph, and left of the strip or in it."""
    planes = patches._photographs()
    assert len(patches.Places(planes, 8, held_out=False)) == 6 * (427 - 7) * (640 - 64 - 7) > 10**6
    size = torch.arange(9.0)[:, None] * 1000 + torch.arange(70.0)  # each pixel says where it is
    for held_out, count, columns in ((False, 4, (0, 3)), (True, 62, (6, 67))):
        places = patches.Places((size, size + 0.5), 3, held_out=held_out)
        cut = places.cut(torch.arange(len(places)))
        assert len(places) == len(cut.unique(dim=0)) == 2 * 7 * count
        assert set((cut[:, 0] // 1000).tolist()) == set(range(7))
        assert (cut[:, 0] % 1000).floor().aminmax() == columns
        assert_close(cut[:, 5] - cut[:, 0], torch.full((len(cut),), 1002.0))


def test_they_may_lie_in_a_file(tmp_path):
    one, other = patches.load(2000, side=5, file=tmp_path / "p.bin"), patches.load(2000, side=5)
    assert torch.equal(one.images, other.images)
    assert (tmp_path / "p.bin").stat().st_size == 4 * 2000 * 25
    stored = torch.frombuffer(bytearray((tmp_path / "p.bin").read_bytes()), dtype=torch.float32)
    assert torch.equal(stored.reshape(2000, 25), other.images)
    one.images.zero_()  # changes neither the file nor who comes next
    again = patches.load(2000, side=5, file=str(tmp_path / "p.bin"))
    for name in ("images", "held_out", "mean"):
        assert torch.equal(getattr(again, name), getattr(other, name))
    assert again.scale == other.scale


@pytest.mark.usefixtures("unchecked")
def test_a_file_of_other_patches_is_refused_and_kept(tmp_path):
    file, own = tmp_path / "p.bin", [torch.rand(20, 90, generator=seeded(0))]
    patches.load(30, side=5, pictures=own, file=file)
    data = file.read_bytes()
    for known in ({"seed": 1}, {"pictures": [1 - own[0]]}, {"side": 4}):
        with pytest.raises(FileExistsError, match="`file` must not exist yet, or hold what an eq"):
            patches.load(30, **{"side": 5, "pictures": own, "file": file, **known})
    file.write_bytes(data[:-1])
    with pytest.raises(FileExistsError, match="`file` must not exist yet"):
        patches.load(30, side=5, pictures=own, file=file)
    assert file.read_bytes() == data[:-1]
    with pytest.raises(ValueError, match="`file` must name a file in a folder that exists"):
        patches.load(30, file=tmp_path / "no" / "p.bin")


def test_rows_in_a_file_are_those_of_their_key(tmp_path):
    calls = []

    def write(rows):
        calls.append(tuple(rows.shape))
        rows.copy_(torch.arange(6.0).reshape(3, 2))
        return {"said": 0.1}

    for _ in range(2):
        rows, facts = Mapped(tmp_path / "r.bin", (3, 2), "a").rows(write)
        assert torch.equal(rows, torch.arange(6.0).reshape(3, 2))
        assert facts == {"said": 0.1}
    assert calls == [(3, 2)]
    for shape, key in (((2, 3), "a"), ((3, 2), "b")):
        with pytest.raises(FileExistsError):
            Mapped(tmp_path / "r.bin", shape, key).rows(write)


def test_a_call_that_is_interrupted_leaves_no_half_of_a_file(tmp_path, monkeypatch):
    cut, calls = patches.Places.cut, []

    def interrupted(places, index):
        calls.append(len(index))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return cut(places, index)

    monkeypatch.setattr(patches, "ROWS", 20)
    monkeypatch.setattr(patches.Places, "cut", interrupted)
    with pytest.raises(KeyboardInterrupt):
        patches.load(50, file=tmp_path / "p.bin")
    assert calls == [20, 20]
    assert not list(tmp_path.iterdir())
    assert torch.equal(patches.load(50, file=tmp_path / "p.bin").images, patches.load(50).images)


KILLED = """
import sys, torch
torch.set_num_threads(1)
from fsps_lite import patches
print("started", flush=True)
patches.load(400_000, file=sys.argv[1])
"""


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_kill_leaves_no_half_of_a_file(tmp_path):
    wanted = patches.load(400_000)
    for k in range(4):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "p.bin")]
        run = subprocess.Popen(command, stdout=subprocess.PIPE)
        run.stdout.readline()
        time.sleep(0.2 + 0.3 * k)  # somewhere inside
        run.kill()
        run.communicate()
        if (tmp_path / "p.bin").exists():  # then it is whole
            assert (tmp_path / "p.bin").stat().st_size == 4 * 64 * 400_000
    assert torch.equal(patches.load(400_000, file=tmp_path / "p.bin").images, wanted.images)


def test_pictures_of_your_own_will_do():
    g = seeded(0)
    own = [torch.rand(20, 90, generator=g), torch.randint(256, (15, 80, 3), generator=g)]
    data = patches.load(50, side=16, seed=2, pictures=own[:1])
    windows = own[0].unfold(0, 16, 1).unfold(1, 16, 1)
    for image in data.brightness(data.images[:5]):
        assert bool(((windows - image).abs().amax((-1, -2)) < 1e-5).any())
    assert patches.load(50, side=4, pictures=own).images.shape == (50, 16)


def test_those_of_scikit_image_will_do_or_a_sentence_says_what_is_missing():
    try:
        import skimage  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="scikit-image, which is not installed"):
            patches.scikit_image()
    else:
        assert len(patches.load(50, pictures=patches.scikit_image()).images) == 50


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: patches.load(10**8), "`count` must be a whole number above 0 and at most"),
        (lambda: patches.load(0), "`count` must be a whole number above 0"),
        (lambda: patches.load(10, side=65), "`side` must be a whole number above 0 and at most 64"),
        (lambda: patches.load(1), "patches of one brightness have no scale"),
        (lambda: patches.load(9, pictures=[]), "`pictures` must hold a picture"),
        (lambda: patches.load(9, pictures=[torch.rand(9, 71)]), "72 columns or more"),
        (lambda: patches.load(9, pictures=[torch.rand(1, 3, 9, 99)]), "each of `pictures` must"),
        (lambda: patches.load(9).brightness(torch.zeros(3, 63)), "`image` must have shape"),
    ],
)
def test_wrong_calls_are_answered(call, says):
    with pytest.raises(ValueError, match=says):
        call()
