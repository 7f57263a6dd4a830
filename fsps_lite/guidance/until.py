"""Guidance that is switched off before the end."""

from dataclasses import dataclass

from fsps_lite import checks
from fsps_lite.guidance.guidance import Guidance
from fsps_lite.types import State, Time


@dataclass(frozen=True)
class GuidedUntil:
    """A guided score for t >= ``until``; for smaller t the score of the prior alone.

    Raises TypeError unless ``guidance`` is a Guidance, ValueError unless ``until`` is in [0, 1].
    """

    guidance: Guidance
    until: int | float

    def __post_init__(self) -> None:
        call = "GuidedUntil(DPS(prior, likelihood), until=0.1)"
        checks.kind("guidance", self.guidance, Guidance, call)
        checks.number("until", self.until, call, least=0.0, most=1.0)

    def __call__(self, x: State, t: Time) -> State:
        """The score at this time, ``(*batch, d)``: a GuidedUntil is a PosteriorScore."""
        return self.guidance(x, t) if t >= self.until else self.guidance.prior.score(x, t)
