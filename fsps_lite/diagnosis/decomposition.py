"""Whose error it is: the network's, or that of the approximate guidance."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diagnosis.kinds import integrated
from fsps_lite.diagnosis.method import ScoreMethod
from fsps_lite.diagnosis.sampling import Sampling
from fsps_lite.diffusion import Diffusion
from fsps_lite.distances import distance
from fsps_lite.estimate import Estimate
from fsps_lite.measures.hallucinations import share_error
from fsps_lite.measures.variations import multinomial_floor, total_variation_of_parts
from fsps_lite.networks.errors import picture_errors
from fsps_lite.partition import Partition
from fsps_lite.problems import Problem
from fsps_lite.samplers import dpm_solver
from fsps_lite.types import PosteriorScore, Prior, State, Time

LEVELS = (0.2, 0.5, 1.0, 2.0, 8.0)  # of sigma / alpha, at which held-out data are denoised
CLEAR = 2.0  # standard errors: a difference that is larger counts
CALL = "decompose(problems.digits_masked(), networks.load(), DPS)"


@dataclass(frozen=True)
class Cell:
    """A cloud beside the posterior: total variation between labels, sliced W1, what is lost.

    ``distance`` is of the particles that did not diverge, and ``lost`` is the share that did.
    """

    total_variation: Estimate
    distance: Estimate
    lost: Estimate


@dataclass(frozen=True)
class Decomposition:
    """{exact, learned} denoiser x {exact, approximate} guidance, from one start, by one integrator.

    ``exact`` has neither error, ``network`` the learned denoiser with the exact grad log p(y | x_t)
    of the data prior, ``approximation`` the method on the exact denoiser, ``both`` the method on
    the learned one. ``floor`` is what as many exact draws have on average: of total variation, and
    a sliced W1. ``gains`` are (level, error of the data prior minus that of the network on held-out
    data), if such data were given: positive where the network denoises better.
    """

    exact: Cell
    network: Cell
    approximation: Cell
    both: Cell
    floor: tuple[float, Estimate]
    gains: tuple[tuple[float, Estimate], ...] = ()

    @property
    def cost_of_network(self) -> Estimate:
        """The total variation that the learned denoiser adds under exact guidance."""
        return _more(self.network.total_variation, self.exact.total_variation)

    @property
    def cost_of_approximation(self) -> Estimate:
        """The total variation that the method adds, with the learned denoiser."""
        return _more(self.both.total_variation, self.network.total_variation)

    @property
    def sentence(self) -> str:
        """What follows for the network, and whether its generalisation can be told from error."""
        cost = self.cost_of_network
        found = f"The network changes the total variation between labels by {cost}"
        if abs(cost.value) <= CLEAR * cost.error:
            found += ", which these draws cannot tell from 0"
        return f"{found}. {self._generalisation}"

    @property
    def _generalisation(self) -> str:
        if not self.gains:
            return (
                "Generalisation and error of the network cannot be told apart without held-out "
                "data: decompose(..., held_out=x) compares the two denoisers on it."
            )
        ahead = [(s, gain.value / gain.error) for s, gain in self.gains]
        better = [f"{s:g}" for s, z in ahead if z > CLEAR]
        worse = [f"{s:g}" for s, z in ahead if z < -CLEAR]
        if better and not worse:
            what = "What it changes is generalisation, not error."
        elif worse and not better:
            what = "What it changes is error."
        else:
            what = "Generalisation and error cannot be told apart in what it changes."
        said = [f"better at {', '.join(better)}"] * bool(better)
        said += [f"worse at {', '.join(worse)}"] * bool(worse)
        told = " and ".join(said) or "neither better nor worse"
        return f"On held-out data it denoises {told} (noise levels) than the data prior. {what}"

    def __str__(self) -> str:
        """The four cells, their floors, and the sentence."""
        head = f"{'denoiser':10}{'guidance':13}{'total variation':18}{'sliced W1':18}lost"
        cells = (
            ("exact", "exact", self.exact),
            ("learned", "exact", self.network),
            ("exact", "approximate", self.approximation),
            ("learned", "approximate", self.both),
        )
        rows = [
            f"{one:10}{other:13}{cell.total_variation!s:18}{cell.distance!s:18}{cell.lost}"
            for one, other, cell in cells
        ]
        floor = f"{'as many exact draws':23}{self.floor[0]:<18.3f}{self.floor[1]!s:18}".rstrip()
        return "\n".join([head, *rows, floor, self.sentence])


def decompose(
    problem: Problem,
    network: Prior,
    method: ScoreMethod,
    *,
    n: int = 200,
    steps: int = 100,
    seed: int = 0,
    held_out: Float[Tensor, "M d"] | None = None,
) -> Decomposition:
    """Run the method with the exact and with a learned denoiser, and each with exact guidance.

    ``problem`` has the data prior and parts to count, such as the labels; ``network`` is a prior
    that is known by its denoiser, of the same dimension and dtype. The exact guidance is the
    difference of the two exact scores, of posterior and prior. ``n`` particles take ``steps``
    steps. With ``held_out``, data that neither prior has seen, it says whether what the network
    changes is generalisation or error. Raises ValueError where the problem has no parts, and for
    held-out data that are not finite.
    """
    _check(problem, network, n, steps)
    if held_out is not None:
        _check_held_out(problem, held_out)
    how = Sampling(n=n, steps=steps, seed=seed)
    learned = Diffusion(network, problem.schedule)
    scores = (
        problem.posterior,
        _exactly_guided(learned, problem),
        method(problem.diffusion, problem.likelihood),
        method(learned, problem.likelihood),
    )
    clouds = [integrated(score, how.task(problem, False), dpm_solver).final for score in scores]
    judge = _judge(problem, how)
    truth = [judge.draws(seed + k) for k in (1, 2)]
    exact, net, approximation, both = (judge.cell(cloud, truth[0]) for cloud in clouds)
    g = torch.Generator(problem.device).manual_seed(seed)
    floor = judge.floor(), distance(*truth, generator=g)
    gains = () if held_out is None else _gains(problem, network, held_out, seed)
    return Decomposition(exact, net, approximation, both, floor, gains)


def _exactly_guided(learned: Diffusion, problem: Problem) -> PosteriorScore:
    def score(x: State, t: Time) -> State:
        guide = problem.posterior.score(x, t) - problem.diffusion.score(x, t)
        return learned.score(x, t) + guide

    return score


@dataclass(frozen=True)
class _Judge:
    """What each cloud is compared with: the exact posterior at the time where the runs stop."""

    problem: Problem
    parts: Partition
    weights: Float[Tensor, "K"]
    known: bool  # whether the weights are, or are shares of draws
    n: int
    stop: Tensor
    seed: int

    def draws(self, seed: int) -> State:
        g = torch.Generator(self.problem.device).manual_seed(seed)
        return self.problem.posterior.sample(self.n, self.stop, generator=g)

    def floor(self) -> float:
        return multinomial_floor(self.weights, self.n, against_draws=not self.known)

    def cell(self, cloud: State, truth: State) -> Cell:
        alpha = self.problem.schedule.alpha(self.stop)
        shares = self.parts.shares(cloud / alpha)[0]
        drawn = None if self.known else self.n
        apart = total_variation_of_parts(shares, self.weights, self.n, drawn)
        alive = cloud.isfinite().all(-1)
        lost = 1 - float(alive.double().mean())
        g = torch.Generator(self.problem.device).manual_seed(self.seed)
        some = int(alive.sum()) > 1
        far = distance(cloud[alive], truth, generator=g) if some else Estimate(math.inf, math.nan)
        return Cell(apart, far, Estimate(lost, share_error(lost, self.n) if lost else 0.0))


def _judge(problem: Problem, how: Sampling) -> _Judge:
    parts, stop = problem.parts, how.times(problem.schedule, False)[-1]
    assert parts is not None
    known = parts.weights(problem.posterior.prior)
    made = _Judge(
        problem, parts, torch.empty(0), known is not None, how.particles(problem), stop, how.seed
    )
    draws = made.draws(how.seed) / problem.schedule.alpha(stop)
    weights = parts.shares(draws)[0] if known is None else known
    return _Judge(
        problem, parts, weights, known is not None, how.particles(problem), stop, how.seed
    )


def _gains(
    problem: Problem, network: Prior, held_out: Tensor, seed: int
) -> tuple[tuple[float, Estimate], ...]:
    """At each level, how much larger the error of the data prior is, picture by picture."""

    def errors(prior: Prior, s: float) -> Float[Tensor, "n"]:
        g = torch.Generator(problem.device).manual_seed(seed)
        return picture_errors(prior, held_out, s, generator=g)

    pairs = ((s, errors(problem.prior, s), errors(network, s)) for s in LEVELS)
    return tuple((s, Estimate.of(exact - net)) for s, exact, net in pairs)


def _more(one: Estimate, other: Estimate) -> Estimate:
    """one - other, as if they were independent."""
    return Estimate(one.value - other.value, math.hypot(one.error, other.error))


def _check_held_out(problem: Problem, held_out: Tensor) -> None:
    call = "decompose(problem, network, DPS, held_out=data.held_out)"
    checks.state("held_out", held_out, problem.prior.dim, problem.prior.dtype, call)
    lost = int((~held_out.isfinite()).sum())
    if lost:
        raise ValueError(
            checks.complaint("`held_out` must be finite", f"{lost} that are not", call)
        )


def _check(problem: Problem, network: Prior, n: int, steps: int) -> None:
    checks.kind("problem", problem, Problem, CALL)
    checks.kind("network", network, Prior, CALL)
    checks.count("n", n, CALL, least=2)
    checks.count("steps", steps, CALL)
    if network.dim != problem.prior.dim:
        what = f"`network` must be a prior in {problem.prior.dim} dimensions, as the problem's"
        raise ValueError(checks.complaint(what, network.dim, CALL))
    checks.same_dtype("network", network.dtype, "the problem's prior", problem.prior.dtype, CALL)
    if problem.parts is None:
        what = "`problem` must have parts to count, such as labels"
        call = "Problem(..., partition=Partition.of_labels(atoms, labels, names=names))"
        raise ValueError(checks.complaint(what, "none", call))
