"""The measures of a run, by what they look at."""

from fsps_lite.diagnosis.examination.rows import MEASURES
