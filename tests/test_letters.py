"""The letters: any number of them, each what its label says."""

import pytest
import torch
from torch.testing import assert_close

from fsps_lite.datasets import letters


def test_they_are_centred_scaled_labelled_and_drawn_by_a_seed():
    data, other = letters.load(300), letters.load(300, seed=1)
    assert data.images.shape == (300, 144)
    assert_close(float(data.images.square().mean()), 1.0)
    ink = data.brightness(data.images)
    assert ink.shape == (300, 12, 12)
    assert -1e-12 < float(ink.min()) < 1e-12
    assert 0.9 < float(ink.max()) < 1 + 1e-12
    assert torch.equal(data.images, letters.load(300).images)
    assert not torch.equal(data.labels, other.labels)
    assert len(data.images.unique(dim=0)) == 300
    assert data.names[int(data.labels.max())] == "Z"


def test_a_letter_is_what_its_label_says():
    """The nearest of some letters has the label of a new one much more often than one in 26."""
    data, new = letters.load(3000), letters.load(200, seed=1)
    raw = (new.brightness(new.images).flatten(1) - data.mean) / data.scale
    right = data.partition.members(raw) == new.labels
    assert float(right.double().mean()) > 0.7


def test_the_side_may_be_chosen_and_shows_the_same_letters():
    small, large = (letters.load(20, side=side) for side in (8, 16))
    pooled = torch.nn.functional.avg_pool2d(large.brightness(large.images)[:, None], 2)[:, 0]
    shown = small.brightness(small.images)
    assert torch.equal(small.labels, large.labels)
    assert float((pooled - shown).square().mean().sqrt()) < 0.15 * float(
        shown.square().mean().sqrt()
    )


def test_none_is_cut_off():
    """Of a letter little ink lies on the border of its picture."""
    ink = letters.load(2000).brightness(letters.load(2000).images)
    inner = ink[:, 1:-1, 1:-1].sum((1, 2))
    assert float(((ink.sum((1, 2)) - inner) / inner).mean()) < 0.1


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: letters.load(1), "`count` must be a whole number above 1"),
        (lambda: letters.load(10, side=3), "`side` must be a whole number above 3"),
        (lambda: letters.load(10, seed=2**62), "`seed` must be a whole number below"),
    ],
)
def test_wrong_calls_are_answered(call, says):
    with pytest.raises(ValueError, match=says):
        call()
