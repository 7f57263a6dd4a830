"""The digits: what scikit-learn ships, moved and scaled, and nothing lost."""

import torch
from sklearn.datasets import load_digits
from torch.testing import assert_close

from fsps_lite import digits, energy_distance
from tests.oracles import seeded


def test_the_images_are_scikit_learns():
    data, raw = digits.load(), load_digits()
    assert data.images.shape == (1700, 64)
    assert data.held_out.shape == (97, 64)
    ink = data.ink(torch.cat([data.images, data.held_out])).round().reshape(-1, 64)
    labels = torch.cat([data.labels, data.held_out_labels])
    mine = sorted(zip(ink.tolist(), labels.tolist(), strict=True))
    assert mine == sorted(zip(raw.data.tolist(), raw.target.tolist(), strict=True))


def test_who_writes_into_them_changes_only_his_own():
    mine = digits.load()
    wanted = [part.clone() for part in (mine.images, mine.held_out, mine.labels, mine.mean)]
    for part in (mine.images, mine.held_out, mine.labels, mine.mean):
        part.zero_()
    again = digits.load()
    found = again.images, again.held_out, again.labels, again.mean
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert again.images.any()


def test_what_is_held_out_could_be_any():
    """Of the last images of the file the distance to the rest is .258: other writers wrote them."""
    data = digits.load()
    assert abs(energy_distance(data.held_out, data.images)) < 0.05
    ink = torch.tensor(load_digits().data)
    last, rest = (data.scale**-1 * part for part in (ink[-97:], ink[:-97]))
    assert energy_distance(last, rest) > 0.2


def test_the_scale_is_that_of_the_images_that_are_seen():
    data = digits.load()
    assert_close(data.images.mean(0), torch.zeros(64, dtype=torch.float64), rtol=0, atol=1e-12)
    assert_close(float(data.images.square().mean()), 1.0)
    assert data.images.dtype == torch.float64


def test_the_prior_is_the_images_with_equal_weights():
    data = digits.load()
    assert torch.equal(data.prior.atoms, data.images)
    assert_close(data.prior.effective_size, 1700.0)


def test_label_weights_are_sums_over_the_images_of_a_digit():
    data = digits.load()
    weights = torch.randn(1700, generator=seeded(0), dtype=torch.float64).softmax(0)
    wanted = [float(weights[data.labels == k].sum()) for k in range(10)]
    got = data.label_weights(weights)
    assert_close(got, torch.tensor(wanted, dtype=torch.float64))
    assert_close(float(got.sum()), 1.0)
