"""Diagnosis of a sampler: its run, the run of the exact sampler, and a report on both."""

from fsps_lite.diagnosis.calibration import Calibration, RankCheck, calibrate
from fsps_lite.diagnosis.comparison import compare, diagnose, diagnose_samples
from fsps_lite.diagnosis.cost import Cost
from fsps_lite.diagnosis.decomposing import decompose
from fsps_lite.diagnosis.decomposition import Decomposition
from fsps_lite.diagnosis.examination import MEASURES
from fsps_lite.diagnosis.failure_maps import FailureMap, failure_map
from fsps_lite.diagnosis.finding import Curve, Finding, Missing
from fsps_lite.diagnosis.kinds import Drawn, Scored, Stepped
from fsps_lite.diagnosis.leaderboard import Leaderboard, rank
from fsps_lite.diagnosis.method import Method
from fsps_lite.diagnosis.nulls import Nulls
from fsps_lite.diagnosis.report import Report
from fsps_lite.diagnosis.run import Measure, Run
from fsps_lite.diagnosis.sweeps import sweep
from fsps_lite.diagnosis.task import Task
from fsps_lite.samplers import Samples
