"""What is found: records, which are read by text, HTML, JSON and figures."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from fsps_lite.diagnosis.nulls import FAR, Nulls
from fsps_lite.estimate import Estimate
from fsps_lite.moved import Moved

SHOWN = 2  # errors of the lens within which a difference may be the lens's own
OFF = 2.0  # deviations from which on the exact score in its steps counts as off
Verdict = Literal["differs", "agrees", "steps", "lens", "alone", "untold"]


@dataclass(frozen=True)
class Finding:
    """One number of a report: what was measured, on the method and on the exact sampler.

    ``null`` is the same quantity of the exact sampler, by the same code with as many particles. A
    measure may leave it out; the report then takes it from the exact sampler's finding with the
    same ``id``. ``unit`` is the unit of both. ``truth`` is the value of the posterior itself, where
    it is known without sampling; for a number that no finite cloud brings to 0, it is what as many
    exact draws have on average. Where ``told`` is False, value and null may not be compared:
    weighted or dependent particles bias the number as fewer would.

    ``direct`` are the values of direct exact draws, which the report adds; ``like`` is the id of
    the finding whose draws these are, if not its own. ``grain`` is what one particle more changes.
    Where ``grouped`` is True, the error of the value is one over runs, and counts as well.
    ``differs`` is the answer of a measure that has a test of its own. ``lens`` is the error that
    the finite number of atoms puts into the value, where the prior is made of data.
    """

    label: str
    value: Estimate
    null: Estimate | None = None
    unit: str = ""
    id: str = ""
    truth: float | None = None
    told: bool = True
    direct: Nulls | None = None
    like: str = ""
    grain: float = 0.0
    grouped: bool = False
    differs: bool | None = None
    lens: float | None = None
    name = Moved("finding.name")

    @property
    def verdict(self) -> Verdict:
        """Whether the method differs from the exact sampler.

        "alone": there is no null. "untold": the two may not be compared. "steps": the value is not
        that of direct draws, but the exact score has the same through the same integrator. "lens":
        other atoms would change the truth as much. Else "differs" or "agrees".
        """
        if self.null is None:
            return "alone"
        if not self.told:
            return "untold"
        if not self._apart:
            return "agrees"
        if self._like_the_exact_score:
            return "steps"
        return "lens" if self._within_the_lens else "differs"

    @property
    def rule(self) -> Literal["draws", "errors", "own"]:
        """How a star is decided.

        "draws": by direct exact draws. "errors": by four joint standard errors, where there are no
        such draws. "own": by a test of the measure.
        """
        if self.differs is not None:
            return "own"
        return "errors" if self.direct is None else "draws"

    @property
    def judged(self) -> bool:
        """Whether a star is possible."""
        return self.told and self.null is not None

    @property
    def significant(self) -> bool:
        """Whether the method differs from the exact sampler."""
        return self.verdict == "differs"

    @property
    def missed(self) -> bool:
        """Whether the exact sampler itself is off the truth, where the truth is known."""
        if self.null is None or self.truth is None:
            return False
        if self.direct is not None:
            return self.direct.excludes(self.null.value, self._least)
        return self.null.error > 0 and abs(self.null.value - self.truth) > FAR * self.null.error

    @property
    def _least(self) -> float:
        """The least deviation: of a share that is 0 in all draws, half a particle; or its own."""
        own = self.value.error if self.grouped else 0.0
        return max(self.grain / 2, own if math.isfinite(own) else math.inf)

    @property
    def _apart(self) -> bool:
        """Whether the value is far from the null: from all direct draws, if there are any."""
        assert self.null is not None
        if self.differs is not None:
            return self.differs
        if self.direct is not None:
            return self.direct.excludes(self.value.value, self._least)
        error = math.hypot(self.value.error, self.null.error)
        return not abs(self.value.value - self.null.value) <= FAR * error

    @property
    def _like_the_exact_score(self) -> bool:
        """Whether the exact score through the same integrator is off in the same way.

        It is off from two deviations on: chance alone does that once in twenty. A share scatters
        more where it is larger; then its own error is that of a draw.
        """
        assert self.null is not None
        if self.direct is None or not self.direct.stepped:
            return False
        own = max(self.value.error, self.null.error) if self.grain else 0.0
        deviation = self.direct.deviation(self._least)
        off = abs(self.null.value - self.direct.mean) > OFF * deviation
        return off and abs(self.value.value - self.null.value) <= FAR * max(deviation, own)

    @property
    def _within_the_lens(self) -> bool:
        if self.lens is None or self.null is None:
            return False
        middle = self.null.value if self.direct is None else self.direct.mean
        return abs(self.value.value - middle) <= SHOWN * self.lens

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """One row of a table: label and unit, the method, the exact sampler, the truth, a star."""
        label = f"{self.label} ({self.unit})" if self.unit else self.label
        truth = "" if self.truth is None else f"{self.truth:.4g}"
        return label, str(self.value), str(self.null), truth, "*" if self.significant else ""


def called(name: str, findings: Iterable[Finding]) -> Finding | None:
    """The first finding with this label or id; None if there is none."""
    return next((one for one in findings if name in (one.label, one.id)), None)


@dataclass(frozen=True)
class Missing:
    """A row that a report does not have, and why: the kind of the method does not allow it."""

    label: str
    id: str
    why: str


@dataclass(frozen=True)
class Curve:
    """One panel of a report: ``value`` over ``x``, each ``(T,)``; ``null`` is the exact sampler's.

    ``axis`` is the label of the x-axis; a grey line is drawn at ``level``.
    """

    id: str
    label: str
    x: Float[Tensor, "T"]
    value: Float[Tensor, "T"]
    null: Float[Tensor, "T"] | None = None
    axis: str = "t"
    level: float | None = None
