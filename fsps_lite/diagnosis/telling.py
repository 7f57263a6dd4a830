"""From a run to its report: each number beside its null, and the sentences that go with them."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from fsps_lite.diagnosis.cost import Cost
from fsps_lite.diagnosis.direct import Direct
from fsps_lite.diagnosis.finding import Curve, Finding, Missing
from fsps_lite.diagnosis.lens import lens_error
from fsps_lite.diagnosis.notes import few, notes
from fsps_lite.diagnosis.nulls import Nulls
from fsps_lite.diagnosis.report import Report
from fsps_lite.diagnosis.run import Found, Run


def told(name: str, settings: Mapping[str, int], found: Run, direct: Direct) -> Report:
    """Two samplers' numbers and curves, side by side, with the draws by which they are judged."""
    expected = found.exact.findings if found.exact else {}
    both = [beside(found.findings.get(id), expected.get(id)) for id in expected | found.findings]
    stepped = found.kind in ("score", "step")
    findings = tuple(judged(one, direct, stepped) for one in both if isinstance(one, Finding))
    curves = tuple(one for one in both if isinstance(one, Curve))
    missing = tuple(one for one in found.findings.values() if isinstance(one, Missing))
    said = tuple(notes(name, found, findings, missing))
    stars = not any(few(found.problem))
    known = found.problem.name, name, settings, findings, curves, said, stars, missing
    return Report(*known, cost=cost_of(found))


def cost_of(found: Run) -> Cost | None:
    """What the run has cost, beside that of the exact sampler."""
    exact = found.exact.cost if found.exact else None
    if found.cost is None or found.kind == "samples":
        return None
    return replace(found.cost, exact_seconds=exact.seconds if exact else 0.0)


def judged(finding: Finding, direct: Direct, stepped: bool) -> Finding:
    """The same finding with what direct draws, and those of half of the atoms, have in its row."""
    id = finding.like or finding.id
    if not finding.told or finding.null is None or finding.differs is not None:
        return finding
    draws = direct.values.get(id)
    if draws is None:
        return finding
    half = direct.of_halves.get(id)
    lens = None if half is None or id == "diverged" else lens_error(half, draws)
    return replace(finding, direct=Nulls(draws, stepped), lens=lens)


def beside(mine: Found | None, exact: Found | None) -> Finding | Curve | None:
    """What was found on the method, with the exact sampler's in its ``null``."""
    if isinstance(mine, Finding):
        return replace(
            mine, null=mine.null or (exact.value if isinstance(exact, Finding) else None)
        )
    if isinstance(mine, Curve):
        return replace(mine, null=exact.value if isinstance(exact, Curve) else None)
    if isinstance(exact, Curve) and mine is None:  # of a method that lost all its particles
        return replace(exact, value=torch.full_like(exact.x, torch.nan), null=exact.value)
    return None
