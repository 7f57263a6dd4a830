"""Every measurement that could have been: a method at many y, beside exact draws at each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.batches import draws_at
from fsps_lite.diagnosis.failure_maps import FailureMap, failure_map
from fsps_lite.diagnosis.finding import Finding, called
from fsps_lite.diagnosis.measured import measured, with_measurement
from fsps_lite.diagnosis.method import Method, made_of, name_of, score_method
from fsps_lite.diagnosis.run import FAR, STOP, Integrator
from fsps_lite.estimate import Estimate
from fsps_lite.measures.coverage import (
    central_ranks,
    contraction,
    covered,
    tarp_ranks,
    z_scores,
)
from fsps_lite.measures.hallucinations import share_error
from fsps_lite.measures.ranks import RankTest, rank_of, rank_test
from fsps_lite.problems import Problem
from fsps_lite.samplers import dpm_solver, times
from fsps_lite.tables import aligned

CALL = "calibrate(problems.trimodal(), TMPD, measurements=100, draws=40)"
NULLS = 19  # exact clouds at each y, beside which a method's is judged: 1 in 20 is the farthest
DIRECTIONS = 50  # along which clouds in more than one dimension are compared
LEVEL = 0.9  # of the regions whose coverage is counted
BAND = 0.99  # of the bands around ECDFs of ranks
LEGEND = (
    "* differs from the exact draws by more than four standard errors; of ranks: leaves the "
    "99 % band"
)


@dataclass(frozen=True)
class RankCheck:
    """Whether ranks of x* are uniform: among the method's draws, and among exact ones."""

    label: str
    method: RankTest
    exact: RankTest

    @property
    def significant(self) -> bool:
        """Whether the method's ranks leave the band."""
        return bool(self.method.rejected)

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """One row of a table, with the two p-values."""
        mine, exact = (f"p = {float(test.p_value):.3f}" for test in (self.method, self.exact))
        return self.label, mine, exact, "", "*" if self.significant else ""


@dataclass(frozen=True)
class Calibration:
    """What :func:`calibrate` found, over all y and at each.

    ``y`` is ``(Y, m)``. ``excess``, ``(Y,)``, is the W1 (sliced, for d > 1) between the method's
    draws and exact ones at each y, minus the mean of that of exact clouds of the same size; in
    units of x. ``findings`` compare the two at each y; they see what ``checks``, the ranks over all
    y, average away. ``map`` is the :class:`FailureMap`, where it was asked for.
    ``calibration["w1"]`` is the finding with this label or id.
    """

    problem: str
    method: str
    settings: Mapping[str, int]
    y: Float[Tensor, "Y m"]
    excess: Float[Tensor, "Y"]
    findings: tuple[Finding, ...]
    checks: tuple[RankCheck, ...]
    map: FailureMap | None = None

    def __getitem__(self, name: str) -> Finding:
        """The finding with this label or id; raises KeyError, and lists those that exist."""
        if (finding := called(name, self.findings)) is not None:
            return finding
        known = ", ".join(finding.id for finding in self.findings)
        raise KeyError(f"no finding called {name!r}; this calibration has: {known}")

    @property
    def worst(self) -> Float[Tensor, "m"]:
        """The y with the largest excess. ``(m,)``."""
        return self.y[int(self.excess.argmax())]

    def __str__(self) -> str:
        settings = ", ".join(f"{key} = {value}" for key, value in self.settings.items())
        head = ("", self.method, "exact", "truth", "")
        rows = [head, *(one.cells for one in self.findings), *(one.cells for one in self.checks)]
        worst = ", ".join(f"{value:.3g}" for value in self.worst[:4].tolist())
        place = f"- the worst y is {worst}" + (", ..." if len(self.worst) > 4 else "")
        title = f"{self.method} on {self.problem}, at every y ({settings})"
        mapped = ["", str(self.map)] if self.map else []
        return "\n".join([title, "", *aligned(rows), "", LEGEND, place, *mapped])

    __repr__ = __str__


def calibrate(
    problem: Problem,
    method: Method,
    *,
    measurements: int = 100,
    draws: int = 40,
    steps: int = 250,
    stop: float = STOP,
    seed: int = 0,
    integrator: Integrator | None = None,
    by_law: bool = False,
) -> Calibration:
    """A method at many measurements: at each beside exact draws, and over all by ranks.

    Pairs (x*, y) are drawn from the joint: x* from the prior, y simulated from x*. At each y the
    method gives ``draws`` draws, and the posterior as many for the exact column, and 20 times as
    many for the null. ``method(prior, likelihood)`` returns a score; it gets all y at once, as rows
    of ``likelihood.y``, if it answers as it does to each alone. It is run by ``integrator``,
    :func:`dpm_solver` by default, in ``steps`` steps. Draws and x* are compared at the time
    ``stop``. Highest density is that of the exact posterior. ``by_law`` adds :func:`failure_map`,
    on the line. Errors are those over y, whose pairs are independent.

    Raises ValueError where draws diverge, and where the problem has no exact posterior.
    """
    checks.kind("problem", problem, Problem, CALL)
    made = score_method(method, CALL)
    checks.count("measurements", measurements, CALL, least=2)
    checks.count("draws", draws, CALL, least=2)
    checks.seed(seed, CALL)
    made_of(problem, made)  # which says what is wrong with it
    g = torch.Generator(problem.device).manual_seed(seed)
    grid = times(problem.schedule, steps, stop=stop).to(problem.device)
    pairs = _Pairs.of(problem, measurements, draws, grid, g)
    size, dtype = (measurements * draws, problem.prior.dim), problem.prior.dtype
    start = problem.schedule.noise(*size, t=grid[0], generator=g, dtype=dtype)
    first = start.reshape(pairs.exact.shape)
    mine = draws_at(problem, made, pairs.y, first, grid, integrator or dpm_solver, g)
    _check_alive(mine)
    excess, each = _at_each_y(pairs, mine, g)
    over, ranks = _over_all_y(pairs, mine, g)
    mapped = failure_map(problem, method) if by_law else None
    settings = {"measurements": measurements, "draws": draws, "steps": steps, "seed": seed}
    known_as = problem.name, name_of(method)
    return Calibration(*known_as, settings, pairs.y, excess, (*each, *over), ranks, mapped)


def _check_alive(x: Float[Tensor, "Y L d"]) -> None:
    lost = int((~(x.norm(dim=-1) <= FAR)).sum())
    if lost:
        what = "the method's draws must not diverge"
        got = f"{lost} of {x.shape[0] * x.shape[1]} that did"
        raise ValueError(checks.complaint(what, got, "calibrate(problem, method, steps=1000)"))


@dataclass(frozen=True)
class _Pairs:
    """x* at the time ``stop``, y, and exact draws at each y: 1 set, and 20 more."""

    problem: Problem
    each: tuple[Problem, ...]
    stop: Tensor
    truth: Float[Tensor, "Y d"]
    y: Float[Tensor, "Y m"]
    exact: Float[Tensor, "Y L d"]
    null: Float[Tensor, "Y 20 L d"]

    @classmethod
    def of(
        cls, problem: Problem, count: int, draws: int, t: Tensor, g: torch.Generator
    ) -> "_Pairs":
        clean, stop = problem.prior.sample(count, generator=g), t[-1]
        y = measured(problem).simulate(clean, generator=g)
        eps = torch.randn(clean.shape, generator=g, dtype=clean.dtype, device=g.device)
        schedule = problem.schedule
        truth = schedule.alpha(stop) * clean + schedule.sigma(stop) * eps
        each = tuple(with_measurement(problem, one) for one in y)
        size = (NULLS + 2) * draws
        drawn = [one.posterior.sample(size, stop, generator=g) for one in each]
        sets = torch.stack(drawn).reshape(count, NULLS + 2, draws, -1)
        return cls(problem, each, stop, truth.to(clean.dtype), y, sets[:, 0], sets[:, 1:])


def _at_each_y(
    pairs: _Pairs, mine: Float[Tensor, "Y L d"], g: torch.Generator
) -> tuple[Float[Tensor, "Y"], tuple[Finding, ...]]:
    """What only exact draws at each y can see."""
    u = torch.randn(mine.shape[-1], DIRECTIONS, generator=g, dtype=mine.dtype, device=g.device)
    u = u / u.norm(dim=0) if mine.shape[-1] > 1 else torch.ones_like(u[:, :1])
    own, exact, null = (_w1(x, pairs.null[:, :1], u) for x in _clouds(pairs, mine))
    excess = own - null.mean(-1, keepdim=True)
    told = Finding(
        "W1 at each y, over that of exact clouds",
        Estimate.of(excess[:, 0]),
        Estimate.of((exact - null.mean(-1, keepdim=True))[:, 0]),
        unit="units of x",
        id="w1",
        truth=0.0,
    )
    above = null.amax(-1, keepdim=True)
    own_share, exact_share = (_share((one > above)[:, 0]) for one in (own, exact))
    failed = f"share of p(y) where W1 exceeds {NULLS} exact ones"
    second = Finding(failed, own_share, exact_share, id="failed", truth=1 / (NULLS + 1))
    return excess[:, 0], (told, second, *_weights(pairs, mine))


def _over_all_y(
    pairs: _Pairs, mine: Float[Tensor, "Y L d"], g: torch.Generator
) -> tuple[tuple[Finding, ...], tuple[RankCheck, ...]]:
    """What the checks see that need no exact draws; those of exact draws stand beside."""
    own, exact = _Seen.of(pairs, mine, g), _Seen.of(pairs, pairs.exact, g)
    both = zip(own.findings(), exact.findings(), strict=True)
    draws = mine.shape[1]

    def check(label: str) -> RankCheck:
        one, other = (
            rank_test(s.ranks[label], draws, generator=g, level=BAND) for s in (own, exact)
        )
        return RankCheck(label, one, other)

    findings = tuple(replace(mine, null=exact.value) for mine, exact in both)
    return findings, tuple(check(label) for label in own.ranks)


def _clouds(pairs: _Pairs, mine: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The method's, one exact, and the 19 others, each ``(Y, clouds, L, d)``."""
    return mine[:, None], pairs.exact[:, None], pairs.null[:, 1:]


def _w1(x: Float[Tensor, "Y C L d"], to: Float[Tensor, "Y 1 L d"], u: Tensor) -> Tensor:
    """The mean over directions of W1 between clouds of one size, ``(Y, C)``."""
    one, other = ((cloud @ u).sort(-2).values for cloud in (x, to))
    return (one - other).abs().mean((-2, -1)).double()


def _share(failed: Tensor) -> Estimate:
    share = float(failed.double().mean())
    return Estimate(share, share_error(share, len(failed)))


def _weights(pairs: _Pairs, mine: Tensor) -> Iterator[Finding]:
    """The total variation between the weights of modes at each y, over that of exact clouds."""
    modes = pairs.problem.modes
    if modes is None or len(modes.means) == 1:
        return
    alpha = pairs.problem.schedule.alpha(pairs.stop)

    def counted(x: Tensor) -> Tensor:
        part = modes.responsibilities((x / alpha).to(mine.dtype)).argmax(-1)
        return torch.nn.functional.one_hot(part, len(modes.means)).double().mean(-2)

    reference = counted(pairs.null[:, :1])
    own, exact, null = ((counted(x) - reference).abs().sum(-1) / 2 for x in _clouds(pairs, mine))
    value, beside = (Estimate.of(one[:, 0] - null.mean(-1)) for one in (own, exact))
    label = "weights of modes at each y (total variation), over exact"
    yield Finding(label, value, beside, id="weights", truth=0.0)


@dataclass(frozen=True)
class _Seen:
    """What the field's checks see of one set of draws."""

    ranks: Mapping[str, Tensor]
    central: Tensor
    z: Tensor
    shrunk: Tensor
    draws: int

    @classmethod
    def of(cls, pairs: _Pairs, x: Float[Tensor, "Y L d"], g: torch.Generator) -> "_Seen":
        both = torch.cat([pairs.truth[:, None], x], 1)  # the truth is the first
        ranks = {
            label: rank_of(value[:, 0], value[:, 1:], generator=g)
            for label, value in _numbers(pairs, both)
        }
        other = pairs.problem.diffusion.sample(len(x), pairs.stop, generator=g)
        ranks["TARP ranks"] = tarp_ranks(pairs.truth, x, other, generator=g)
        central = central_ranks(ranks["ranks of x[0]"], x.shape[1], generator=g)
        variance = pairs.problem.diffusion.sample(10_000, pairs.stop, generator=g)[:, 0].var()
        z = z_scores(pairs.truth[:, 0], x[..., 0])
        return cls(ranks, central, z, contraction(x[..., 0], variance), x.shape[1])

    def findings(self) -> Iterator[Finding]:
        """Coverage, z-scores and contraction."""
        for label, id, ranks in (
            ("central intervals of x[0]", "central", self.central),
            ("highest density", "hpd", self.draws - self.ranks["ranks of log p(x | y)"]),
            ("TARP regions", "tarp", self.ranks["TARP ranks"]),
        ):
            value = covered(ranks, self.draws, LEVEL)
            yield Finding(f"coverage of 90 % {label}", value, id=id, truth=LEVEL)
        yield Finding("mean square z-score of x[0]", Estimate.of(self.z**2), id="z")
        yield Finding("contraction of x[0]", Estimate.of(self.shrunk), id="contraction")


def _numbers(pairs: _Pairs, x: Float[Tensor, "Y K d"]) -> Iterator[tuple[str, Tensor]]:
    """The numbers of a point that are ranked, each ``(Y, K)``."""
    problem, stop = pairs.problem, pairs.stop
    yield "ranks of x[0]", x[..., 0]
    yield (
        "ranks of log p(x)",
        problem.diffusion.log_prob(x.flatten(0, 1), stop).reshape(x.shape[:2]),
    )
    clean = measured(problem).operator((x / problem.schedule.alpha(stop)).to(x.dtype))
    yield "ranks of log p(y | x)", measured(problem).noise.log_prob(pairs.y[:, None] - clean)
    each = zip(pairs.each, x, strict=True)
    yield "ranks of log p(x | y)", torch.stack([p.posterior.log_prob(row, stop) for p, row in each])
