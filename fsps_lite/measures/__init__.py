"""Measures of a score, of a path and of a cloud."""

from fsps_lite.measures.beliefs import covariance_ratio, implied_density, implied_spread
from fsps_lite.measures.classifiers import crossed_variation, told_apart
from fsps_lite.measures.commitment import ModeHistory, mode_history
from fsps_lite.measures.coverage import (
    central_ranks,
    contraction,
    covered,
    tarp_ranks,
    z_scores,
)
from fsps_lite.measures.hallucinations import Hallucination, hallucination
from fsps_lite.measures.laws import Law, law
from fsps_lite.measures.ranks import RankTest, rank_of, rank_test
from fsps_lite.measures.score_errors import ScoreError, score_error
from fsps_lite.measures.stops import Stopping, early_stopping
