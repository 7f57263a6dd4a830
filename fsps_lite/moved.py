"""Names of earlier versions: whoever uses one gets an error that says the new name."""

import sys
from importlib.machinery import ModuleSpec
from typing import NoReturn

from fsps_lite.checks import complaint

MOVED = {  # since 0.1.0
    "finding.name": "finding.label, of an fsps_lite.Finding",
    "fsps_lite.attention": "fsps_lite.engine.attention",
    "fsps_lite.behaviours": "fsps_lite.measures, and fsps_lite.GuidedUntil",
    "fsps_lite.beliefs": "fsps_lite.measures",
    "fsps_lite.digits": "fsps_lite.datasets.digits",
    "fsps_lite.integrators": "fsps_lite.samplers",
    "fsps_lite.measure": "fsps_lite.diagnosis",
    "fsps_lite.metrics": "fsps_lite.distances, and fsps_lite.mode_weights",
    "fsps_lite.moments": "fsps_lite.DenoisingPosterior",
    "fsps_lite.precision": "fsps_lite.engine.precision",
    "fsps_lite.priors.atom_moments": "fsps_lite.engine.atoms",
    "fsps_lite.priors.draws": "fsps_lite.engine.draws",
    "fsps_lite.priors.round_moments": "fsps_lite.engine.rounds",
    "fsps_lite.problem": "fsps_lite.problems",
    "fsps_lite.quadrature": "fsps_lite.priors.quadrature",
    "fsps_lite.report": "fsps_lite.diagnosis",
    "fsps_lite.sweep": "fsps_lite.diagnosis",
    "fsps_lite.trajectory": "fsps_lite.samplers",
    "prior.moments": "prior.given(x, alpha, sigma), an fsps_lite.DenoisingPosterior",
    "prior.sharded": "fsps_lite.ShardedEmpirical.of(prior)",
}


def told(old: str) -> str:
    """The message that says where to find what was called ``old``."""
    return complaint("the name has moved since version 0.1.0", old, MOVED[old])


class Finder:
    """An import finder that is asked last, and says where a module has moved."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name in MOVED:  # name= would make `from fsps_lite import name` hide it
            raise ModuleNotFoundError(told(name))
        return None


class Moved:
    """An attribute that no longer exists: who reads it is told its line of :data:`MOVED`."""

    def __init__(self, old: str):
        self.old = old

    def __get__(self, one: object, kind: type) -> NoReturn:
        raise AttributeError(told(self.old))


sys.meta_path.append(Finder)
