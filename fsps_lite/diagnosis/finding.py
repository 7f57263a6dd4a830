"""What is found: records, which text, HTML, JSON and figures read."""

import math
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from fsps_lite.estimate import Estimate
from fsps_lite.moved import Moved


@dataclass(frozen=True)
class Finding:
    """One number of a report: what was measured, on the method and on the exact sampler.

    ``null`` is the same quantity for the exact posterior, by the same code with the same number of
    particles: what the method is to be held against. A measure leaves it out, and the exact
    sampler's finding of the same ``id`` gives it. ``unit`` is that of both. ``truth`` is the
    posterior's own number, where it is known without sampling.
    """

    label: str
    value: Estimate
    null: Estimate | None = None
    unit: str = ""
    id: str = ""
    truth: float | None = None
    name = Moved("finding.name")

    @property
    def verdict(self) -> Literal["differs", "agrees", "alone"]:
        """Whether value and null differ by more than four of their joint standard errors."""
        if self.null is None:
            return "alone"
        error = math.hypot(self.value.error, self.null.error)
        return "agrees" if abs(self.value.value - self.null.value) <= 4 * error else "differs"

    @property
    def significant(self) -> bool:
        """Whether the method differs from the exact sampler."""
        return self.verdict == "differs"

    @property
    def missed(self) -> bool:
        """Whether the exact sampler itself is more than four standard errors from the truth."""
        if self.null is None or self.truth is None or not self.null.error > 0:
            return False
        return abs(self.null.value - self.truth) > 4 * self.null.error

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """The row of a table: label and unit, the method, the exact sampler, the truth, a mark."""
        label = f"{self.label} ({self.unit})" if self.unit else self.label
        truth = "" if self.truth is None else f"{self.truth:.4g}"
        return label, str(self.value), str(self.null), truth, "*" if self.significant else ""


@dataclass(frozen=True)
class Curve:
    """One panel of a report: ``value`` over ``x``, each ``(T,)``; ``null`` is the exact sampler's.

    ``axis`` says what x is; a grey line stands at ``level``.
    """

    id: str
    label: str
    x: Float[Tensor, "T"]
    value: Float[Tensor, "T"]
    null: Float[Tensor, "T"] | None = None
    axis: str = "t"
    level: float | None = None
