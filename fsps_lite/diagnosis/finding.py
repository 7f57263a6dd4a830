"""What is found: records, which are read by text, HTML, JSON and figures."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from fsps_lite.estimate import Estimate
from fsps_lite.moved import Moved


@dataclass(frozen=True)
class Finding:
    """One number of a report: what was measured, on the method and on the exact sampler.

    ``null`` is the same quantity of the exact sampler, by the same code with as many particles: the
    method is compared with it. A measure may leave it out; the report then takes it from the exact
    sampler's finding with the same ``id``. ``unit`` is the unit of both. ``truth`` is the value of
    the posterior itself, where it is known without sampling; for a number that no finite cloud
    brings to 0, it is what as many exact draws have on average. Where ``told`` is False, value and
    null may not be compared: weighted or dependent particles bias the number as fewer would.
    """

    label: str
    value: Estimate
    null: Estimate | None = None
    unit: str = ""
    id: str = ""
    truth: float | None = None
    told: bool = True
    name = Moved("finding.name")

    @property
    def verdict(self) -> Literal["differs", "agrees", "alone", "untold"]:
        """Whether value and null differ by more than four joint standard errors.

        It is "differs" or "agrees", "alone" where there is no null, and "untold" where the two may
        not be compared.
        """
        if self.null is None:
            return "alone"
        if not self.told:
            return "untold"
        error = math.hypot(self.value.error, self.null.error)
        return "agrees" if abs(self.value.value - self.null.value) <= 4 * error else "differs"

    @property
    def significant(self) -> bool:
        """Whether the method differs from the exact sampler."""
        return self.verdict == "differs"

    @property
    def missed(self) -> bool:
        """Whether the exact sampler itself is more than four standard errors off the truth."""
        if self.null is None or self.truth is None or not self.null.error > 0:
            return False
        return abs(self.null.value - self.truth) > 4 * self.null.error

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
