"""The measures of a run: one list, of functions of the run alone.

A measure yields findings or curves. It takes no other argument and runs no sampler. Where the kind
of the method does not allow a row, it yields what is missing, and why. A run of direct exact draws
has a last cloud and no path: what a measure finds in it is the null of the same row.
"""

from fsps_lite.diagnosis.examination.beliefs import beliefs
from fsps_lite.diagnosis.examination.clouds import diverged, last_cloud, quantiles
from fsps_lite.diagnosis.examination.paths import commitment, spread
from fsps_lite.diagnosis.examination.steps import coupled, mended, started, steps
from fsps_lite.diagnosis.run import Measure

MEASURES: tuple[Measure, ...] = (
    diverged,
    last_cloud,
    quantiles,
    steps,
    spread,
    beliefs,
    commitment,
    started,
    coupled,
    mended,
)
