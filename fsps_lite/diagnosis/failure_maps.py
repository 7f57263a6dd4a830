"""Where in y a method fails: the distance of its law from the truth, without Monte-Carlo error."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.measured import Evidence, measured, with_measurement
from fsps_lite.diagnosis.method import Method, name_of, score_method, score_of
from fsps_lite.distances import total_variation
from fsps_lite.measures import law
from fsps_lite.measures.laws import Kernel, Law
from fsps_lite.problems import Problem
from fsps_lite.samplers import times
from fsps_lite.types import PosteriorScore

if TYPE_CHECKING:
    import matplotlib.figure

CALL = "failure_map(problems.trimodal(), DPS, measurements=24)"
FAILED = 0.1  # the total variation above which a method fails at a y
LOST = 1e-3  # the most mass that may leave the interval on which a law is followed
HELD = 0.95  # the least share of p(y) that a grid must hold
TAIL = 5e-4  # the share of p(y) beyond each end of the grid


@dataclass(frozen=True)
class FailureMap:
    """The error of a method's law at each measurement y, which :func:`failure_map` computes.

    ``y`` is ``(J,)``, in units of y; ``density`` is p(y) there, and ``weights`` the share of p(y)
    for which each y stands. ``tv``, in [0, 1], and ``w1``, in units of x, are the total variation
    and the Wasserstein distance from p(x_stop | y) to the law of the method at ``stop``. They have
    no Monte-Carlo error; what the integrator adds to them is the map of the exact score. Raises
    ValueError where the five differ in length.
    """

    problem: str
    method: str
    y: Float[Tensor, "J"]
    density: Float[Tensor, "J"]
    weights: Float[Tensor, "J"]
    tv: Float[Tensor, "J"]
    w1: Float[Tensor, "J"]

    def __post_init__(self) -> None:
        for name in ("y", "density", "weights", "tv", "w1"):
            checks.floating(name, getattr(self, name), CALL)
            checks.shape(name, getattr(self, name), (len(self.y),), CALL)

    @property
    def expected(self) -> float:
        """The total variation, averaged over p(y): that between p(x, y) and what is sampled."""
        return float(self.weights @ self.tv / self.weights.sum())

    @property
    def worst(self) -> tuple[float, float]:
        """The y with the largest total variation, and that total variation."""
        worst = int(self.tv.argmax())
        return float(self.y[worst]), float(self.tv[worst])

    def share(self, level: float = FAILED) -> float:
        """The share of p(y) at which the total variation is above ``level``."""
        checks.number("level", level, "failure_map(problem, method).share(0.1)")
        return float(self.weights[self.tv > level].sum() / self.weights.sum())

    def __str__(self) -> str:
        y, tv = self.worst
        lines = [
            f"{self.method} on {self.problem}, at {len(self.y)} measurements",
            "",
            f"total variation, expected over y   {self.expected:.3f}",
            f"total variation, worst             {tv:.3f} at y = {y:.3g}",
            f"share of p(y) where it is above {FAILED} {self.share():.2f}",
            f"W1 (units of x), expected over y   {float(self.weights @ self.w1):.3f}",
        ]
        return "\n".join(lines)

    __repr__ = __str__

    def figure(self) -> "matplotlib.figure.Figure":
        """The total variation over y, above p(y)."""
        from fsps_lite import plots

        return plots.failures({self.method: (self.y, self.tv)}, (self.y, self.density))


def failure_map(
    problem: Problem,
    method: Method | None,
    *,
    measurements: int = 24,
    y: Float[Tensor, "J"] | None = None,
    steps: int = 200,
    stop: float = 0.01,
    kernel: Kernel | None = None,
    reach: float = 8.0,
) -> FailureMap:
    """The error of a method on the line as a function of y, by its :func:`law`: no particles.

    ``method(prior, likelihood)`` returns a posterior score. With None it is the exact score, whose
    map is the error of the integrator alone. The ``measurements`` are an even grid that holds 99.9
    % of p(y), and sums over it are integrals; ``y``, ``(J,)``, is an even grid of your own. The law
    takes ``steps`` steps of ``kernel``, even in log-SNR, and ends at ``stop``. It is followed on
    [-reach, reach], which is doubled, twice at most, where more than .001 of the law leaves it. One
    y costs about as much as one :func:`law`.

    Raises ValueError where signal or measurement has more coordinates than one, where ``y`` holds
    less than 95 % of p(y), and where a law leaves the interval.
    """
    checks.kind("problem", problem, Problem, CALL)
    made = None if method is None else score_method(method, CALL)
    checks.count("measurements", measurements, CALL, least=2)
    evidence = Evidence(problem)
    places, weights = _places(evidence, measurements, y)
    grid = times(problem.schedule, steps, stop=stop).to(problem.device)
    rows = []
    for one in places:
        asked = with_measurement(problem, one.unsqueeze(0))
        score = asked.posterior if made is None else score_of(asked, made)
        rows.append(_distances(asked, _followed(asked, score, grid, kernel, reach)))
    tv, w1 = torch.tensor(rows, dtype=torch.float64, device=places.device).unbind(-1)
    name = "exact" if method is None else name_of(method)
    return FailureMap(problem.name, name, places, evidence.density(places), weights, tv, w1)


def _places(evidence: Evidence, count: int, y: Tensor | None) -> tuple[Tensor, Tensor]:
    """The measurements, and the share of p(y) for which each stands."""
    if y is None:
        dtype, device = torch.float64, evidence.problem.device
        ends = torch.tensor([TAIL, 1 - TAIL], dtype=dtype, device=device)
        low, high = evidence.quantiles(ends).tolist()
        y = torch.linspace(low, high, count, dtype=dtype, device=device)
    call = "failure_map(problems.trimodal(), DPS, y=torch.linspace(-4, 4, 33))"
    checks.floating("y", y, call)
    checks.shape("y", y, ("J",), call)
    checks.even("y", y, call)
    places = y.double()
    weights = evidence.density(places) * (places[1] - places[0])
    held = float(weights.sum())
    if not HELD <= held <= 2 - HELD:
        what = f"the grid `y` must hold {HELD:.0%} of p(y) or more, finely enough to add it up"
        raise ValueError(checks.complaint(what, f"a sum of {held:.3g}", call))
    return places, weights


def _followed(
    problem: Problem, score: PosteriorScore, t: Tensor, kernel: Kernel | None, reach: float
) -> Law:
    """The law, on an interval that is doubled until the law stays inside."""
    for wider in (reach, 2 * reach, 4 * reach):
        found = law(score, problem.schedule, t, kernel=kernel, reach=wider)
        lost = float(found.lost.abs().max())
        if lost <= LOST:
            return found
    what = f"the law at y = {float(measured(problem).y):.3g} must stay in [-4 reach, 4 reach]"
    call = f"failure_map(problem, method, reach={8 * reach:g}), where more steps help too"
    raise ValueError(checks.complaint(what, f"reach={reach:g}, which {lost:.2g} of it left", call))


def _distances(problem: Problem, found: Law) -> tuple[float, float]:
    """Total variation and W1 between the last density of a law and the truth at that time."""
    x, p, t = found.places[-1], found.density[-1], found.t[-1]
    cell = float(x[1] - x[0])
    truth = problem.posterior.log_prob(x.unsqueeze(-1).to(problem.prior.dtype), t).exp().to(p)
    w1 = (p - truth).cumsum(0).abs().sum() * cell**2 / problem.schedule.alpha(t)
    return total_variation(p, truth, cell), float(w1)
