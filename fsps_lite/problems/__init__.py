"""Inverse problems: the class :class:`Problem`, and a gallery of small ones."""

from fsps_lite.problems.gallery import (
    GALLERY,
    absolute,
    digits_blurred,
    digits_downsampled,
    digits_fourier,
    digits_masked,
    gaussian,
    one_coordinate,
    rank_deficient,
    square,
    trimodal,
    two_atoms,
    unequal,
)
from fsps_lite.problems.problem import Problem
