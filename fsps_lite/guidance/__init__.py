"""Approximate posterior scores: one guess of p(y | x_t) per file."""

from fsps_lite.guidance.dmps import DMPS
from fsps_lite.guidance.dps import DPS
from fsps_lite.guidance.guidance import Guidance
from fsps_lite.guidance.lgd import LGD
from fsps_lite.guidance.matched import (
    MatchedGaussian,
    matched_log_likelihood,
    matched_score,
)
from fsps_lite.guidance.mmps import MMPS
from fsps_lite.guidance.pigdm import PiGDM
from fsps_lite.guidance.sda import SDA
from fsps_lite.guidance.tmpd import TMPD, DiagonalTMPD
from fsps_lite.guidance.until import GuidedUntil
from fsps_lite.guidance.zeta_dps import StepDPS, ZetaDPS
