"""How far theirs is from ours, and the problems on which the two are compared."""

import torch

PROBLEMS = ["two_atoms", "trimodal", "one_coordinate", "rank_deficient", "digits_masked"]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def apart(found, expected):
    """The largest difference, relative to the largest number."""
    return float((found - expected).abs().max() / expected.abs().max())
