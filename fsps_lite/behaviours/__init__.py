"""What a sampler does: its law, when it stops, which modes it chooses, what it invents."""

from fsps_lite.behaviours.hallucination import Hallucination, hallucination
from fsps_lite.behaviours.law import Law, ddpm_kernel, euler_maruyama_kernel, law
from fsps_lite.behaviours.modes import ModeHistory, mode_history
from fsps_lite.behaviours.stopping import GuidedUntil, Stopping, early_stopping

__all__ = [
    "GuidedUntil",
    "Hallucination",
    "Law",
    "ModeHistory",
    "Stopping",
    "ddpm_kernel",
    "early_stopping",
    "euler_maruyama_kernel",
    "hallucination",
    "law",
    "mode_history",
]
