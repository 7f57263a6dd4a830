"""Ranks and TARP equal those of the published packages on the same draws, as stored figures.

``peers_calibration.json`` holds what sbi 0.27.0 (``_run_sbc``, ``_run_tarp``) and tarp 0.1.1
(``get_tarp_coverage``, without its bootstrap) answered for the draws of :func:`case`, with their
own code. Neither package is needed here. Seven bins are taken, because none of their inner edges is
one of the shares k / 20 that 20 draws can give: there the two packages round differently.
"""

import json
import math
from pathlib import Path

import pytest
import torch

from fsps_lite.measures.coverage import covered, tarp_ranks
from fsps_lite.measures.ranks import rank_of
from tests.oracles import seeded

STORED = json.loads(Path(__file__).with_name("peers_calibration.json").read_text("utf-8"))
DRAWS = 20


def case(seed):
    """x*, draws of a wrong posterior, and reference points: two coordinates, 200 y."""
    g = seeded(seed)
    truth = torch.randn(200, 2, generator=g, dtype=torch.float64)
    draws = torch.randn(200, DRAWS, 2, generator=g, dtype=torch.float64)
    draws = 0.3 * truth[:, None] + 0.8 * draws
    return truth, draws, torch.randn(200, 2, generator=g, dtype=torch.float64)


@pytest.mark.parametrize("stored", STORED["cases"], ids=lambda stored: str(stored["seed"]))
def test_ranks_are_those_of_sbi(stored):
    truth, draws, _ = case(stored["seed"])
    for j, ranks in enumerate(stored["sbi_ranks"]):
        assert rank_of(truth[:, j], draws[..., j], generator=seeded(9)).tolist() == ranks


@pytest.mark.parametrize("stored", STORED["cases"], ids=lambda stored: str(stored["seed"]))
def test_expected_coverage_is_that_of_sbi_and_of_tarp(stored):
    """ECP at a level a is the share of y with fewer than a L draws nearer than the truth."""
    truth, draws, references = case(stored["seed"])
    ranks = tarp_ranks(truth, draws, references, generator=seeded(9))
    columns = (stored[name][1:-1] for name in ("alpha", "tarp_ecp", "sbi_ecp"))
    for alpha, tarp, sbi in zip(*columns, strict=True):
        level = (math.floor(alpha * DRAWS) + 1) / (DRAWS + 1)  # no draws at random lie between
        mine = covered(ranks, DRAWS, level)
        assert mine.value == pytest.approx(tarp, abs=1e-9)
        assert mine.value == pytest.approx(sbi, abs=1e-6)  # computed in float32
        # the error that tarp's bootstrap misses: the pairs are independent, so it is binomial
        assert mine.error == pytest.approx(math.sqrt(tarp * (1 - tarp) / 200), rel=0.05)
