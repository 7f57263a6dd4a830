"""What is told of a sampler: a run of it beside the exact one, and the report on both."""

from fsps_lite.diagnosis.report import Finding, Method, Report, compare, diagnose, diagnose_samples
from fsps_lite.diagnosis.sweeps import sweep

__all__ = [
    "Finding",
    "Method",
    "Report",
    "compare",
    "diagnose",
    "diagnose_samples",
    "sweep",
]
