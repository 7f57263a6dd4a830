"""The patches: pieces of what scikit-learn ships, moved and scaled, and none seen twice."""

import pytest
import torch
from sklearn.datasets import load_sample_images
from torch.testing import assert_close

from fsps_lite.datasets import patches
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
    places = patches._seen(8)
    assert len(places) > 10**6
    index = torch.randint(len(places), (50,), generator=seeded(0))
    which, row, column = places[index].mT
    assert int(which.max()) < 6
    assert int(row.max()) <= 427 - 8
    assert int(column.max()) + 8 <= 640 - 64


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: patches.load(10**8), "`count` must be a whole number above 0 and at most"),
        (lambda: patches.load(0), "`count` must be a whole number above 0"),
        (lambda: patches.load(10, side=65), "`side` must be a whole number above 0 and at most 64"),
        (lambda: patches.load(1), "patches of one brightness have no scale"),
        (lambda: patches.load(9).brightness(torch.zeros(3, 63)), "`image` must have shape"),
    ],
)
def test_wrong_calls_are_answered(call, says):
    with pytest.raises(ValueError, match=says):
        call()
