"""The digits: what scikit-learn ships, moved and scaled, and nothing lost."""

import torch
from sklearn.datasets import load_digits
from torch.testing import assert_close

from fsps_lite import digits
from tests.oracles import seeded


def test_the_images_are_scikit_learns():
    data, raw = digits.load(), load_digits()
    assert data.images.shape == (1700, 64)
    assert data.held_out.shape == (97, 64)
    ink = data.ink(torch.cat([data.images, data.held_out]))
    assert_close(ink, torch.tensor(raw.images), rtol=0, atol=1e-12)
    labels = torch.cat([data.labels, data.held_out_labels])
    assert labels.tolist() == raw.target.tolist()
    assert digits.load() is data


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
