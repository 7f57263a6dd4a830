"""The measures of a run: one list, of functions of the run alone.

A measure yields findings or curves. It takes no other argument and runs no sampler. Where the kind
of the method does not allow a row, it yields what is missing, and why.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from fsps_lite.diagnosis.finding import Curve, Finding, Missing
from fsps_lite.diagnosis.kinds import Step
from fsps_lite.diagnosis.run import Found, Measure, Run
from fsps_lite.distances import distance
from fsps_lite.estimate import Estimate
from fsps_lite.guidance import TMPD
from fsps_lite.guidance.matched import DIRECT
from fsps_lite.likelihood import Likelihood
from fsps_lite.measures import early_stopping, hallucination, mode_history, score_error
from fsps_lite.measures.groups import effective_size, grouped_share, resampled
from fsps_lite.measures.hallucinations import hallucinating, invented, share_error
from fsps_lite.measures.spread import spread_ratio, spreads, true_spread
from fsps_lite.measures.variations import multinomial_floor, total_variation_of_parts
from fsps_lite.partition import Partition
from fsps_lite.priors import Empirical
from fsps_lite.problems import Problem
from fsps_lite.problems.problem import MOST_MODES
from fsps_lite.samplers import Trajectory
from fsps_lite.types import PosteriorScore, Simulator, State

STOPS = 25  # times at which stopping early is tried, at most
LOOKS = 100  # times at which modes are counted and scores compared, at most
LOOKS_AT_DATA = 50  # times at which the parts of a data set are counted, of PATHS particles
PATHS = 500  # particles for the score error
COUPLED = 5  # times at which a step is asked whether it looks at the batch
SAME = 1e-4  # of a move: what sums in another order, or a network in float32, may differ by
FEWEST_RUNS = 10  # with fewer, an error over runs is too uncertain for a star
WHY_UNEXPLAINED = "the likelihood has no y and simulate(x, generator=), to say what is explained"
WHY_NO_PARTS = "the problem has no parts, which Problem(..., partition=) names"
OF_PARTS = (
    ("weights of parts", "weights"),
    ("total variation between parts", "total_variation"),
    ("hallucinations", "hallucinated"),
)


def diverged(run: Run) -> Iterator[Finding]:
    """The number of particles that diverged; all other measures leave them out."""
    lost = Estimate(float((~run.alive).sum()), 0.0)
    yield Finding("diverged particles", lost, id="diverged")


def last_cloud(run: Run) -> Iterator[Finding | Missing]:
    """The last cloud, compared with as many draws of the true posterior."""
    g, problem, parts = run.generator(2), run.problem, run.problem.parts
    if len(run.cloud) < 2:
        return
    truth = problem.posterior.sample(len(run.ended), run.stop, generator=g)
    x, told = evened(run), run.independent
    apart = distance(x, truth, generator=g)
    yield Finding("distance", apart, unit="units of x", id="distance", told=told)
    ratio = spread_ratio(x, problem.posterior, run.stop)
    yield Finding("spread ratio at the end", ratio, id="spread_end", truth=1.0, told=told)
    if parts is None:
        yield from (Missing(*row, WHY_NO_PARTS) for row in OF_PARTS)
        return
    yield from weights(run, parts, truth)
    yield from hallucinated(run, parts, truth, g)


def evened(run: Run) -> State:
    """The cloud itself, or as many particles that weigh the same, drawn by the weights."""
    x, g = run.cloud, run.generator(4)
    return x if run.log_weights is None else resampled(x, run.weights, len(x), generator=g)


def share_of(inside: Tensor, run: Run) -> Estimate:
    """The share of the cloud that is ``inside``, ``(k,)``, with the error that its kind has."""
    if run.independent:
        share = float(inside.double().mean())
        return Estimate(share, share_error(share, len(inside)))
    return grouped_share(inside, run.weights, run.groups)


def judgeable(run: Run) -> bool:
    """Whether the error of a share is known well enough for a star: from ten runs on."""
    return run.runs is None or len(torch.unique(run.groups)) >= FEWEST_RUNS


def weights(run: Run, parts: Partition, truth: State) -> Iterator[Finding]:
    """The share of the cloud in each part, and the total variation between all parts.

    ``truth`` are exact draws, for a posterior that does not know the weights of the parts. In the
    total variation, the truth is what as many exact draws have on average: its multinomial floor.
    """
    alpha, known = run.problem.schedule.alpha(run.stop), parts.weights(run.problem.posterior.prior)
    member = parts.members(run.cloud / alpha)
    shares = [share_of(member == k, run) for k in range(len(parts.names))]
    for k, name in enumerate(parts.names):
        row = f"weight of {parts.noun} {name}", shares[k]
        true = None if known is None else float(known[k])
        yield Finding(*row, id=f"weight_{name}", truth=true, told=judgeable(run))
    if len(parts.names) > 1:
        drawn = len(truth) if known is None else None
        expected = parts.shares(truth / alpha)[0] if known is None else known
        n, found = effective_size(run.weights), expected.new_tensor([one.value for one in shares])
        apart = total_variation_of_parts(found, expected, n, drawn)
        floor = multinomial_floor(expected, round(n), against_draws=known is None)
        label, told = f"total variation between {parts.noun}s", run.independent
        yield Finding(label, apart, id="total_variation", truth=floor, told=told)


def hallucinated(
    run: Run, parts: Partition, truth: State, g: torch.Generator
) -> Iterator[Finding | Missing]:
    """The shares of the cloud that lie where the posterior has none, minus those of the truth."""
    labels = f"prior {parts.noun}s", "likelihood modes", "nowhere"
    if not isinstance(run.problem.likelihood, Likelihood | Simulator):
        mine, theirs = invented((run.cloud, truth), run.problem, run.stop, parts)
        row = f"hallucinated {labels[0]}", beyond(share_of(mine, run), theirs)
        yield Finding(*row, id="hallucinated_prior", told=judgeable(run))
        for label, id in zip(labels[1:], ("likelihood", "nowhere"), strict=True):
            yield Missing(f"hallucinated {label}", f"hallucinated_{id}", WHY_UNEXPLAINED)
        return
    if run.independent:
        h = hallucination(run.cloud, truth, run.problem, run.stop, modes=parts, generator=g)
        found = [h.prior_modes, h.likelihood_only, h.nowhere]
    else:
        clouds = run.cloud, truth
        flags = hallucinating(clouds, run.problem, run.stop, parts, generator=g)
        found = [beyond(share_of(mine, run), theirs) for mine, theirs in zip(*flags, strict=True)]
    for label, id, value in zip(labels, ("prior", "likelihood", "nowhere"), found, strict=True):
        row = f"hallucinated {label}", value
        yield Finding(*row, id=f"hallucinated_{id}", told=judgeable(run))


def beyond(share: Estimate, expected: Tensor) -> Estimate:
    """A share minus that of exact draws, ``(k,)`` flags, with the error of both."""
    null = float(expected.double().mean())
    error = math.hypot(share.error, share_error(null, len(expected)))
    return Estimate(share.value - null, error)


def quantiles(run: Run) -> Iterator[Curve]:
    """The quantiles of the first coordinate, for samples that come without a path."""
    if run.went is None:
        x = run.ended[:, 0].sort().values.cpu()
        share = (torch.arange(len(x), dtype=torch.float64, device="cpu") + 0.5) / len(x)
        yield Curve("quantiles", "quantiles of x[0]", share, x, axis="probability")


def steps(run: Run) -> Iterator[Finding | Missing]:
    """The distance with twice the steps.

    What is left of the distance then is the error of the method, not of the integrator.
    """
    if run.kind == "samples":
        yield Missing("distance, twice the steps", "distance_finer", "samples have no steps")
    fine = run.finer and run.finer.findings.get("distance")
    if isinstance(fine, Finding) and len(run.cloud) > 1:
        yield replace(fine, label="distance, twice the steps", id="distance_finer")


def spread(run: Run) -> Iterator[Found]:
    """The spread divided by the true one, and this ratio at the time at which it is worst.

    The exact sampler is measured at the time at which the method is worst. A worst time of its own
    would be chosen by noise alone.
    """
    if run.why_no_path:
        yield Missing("spread ratio, worst over t", "spread_worst", run.why_no_path)
    if run.path is None:
        return
    posterior, t = run.problem.posterior, run.path.t
    ratio = spreads(run.path.x) / true_spread(posterior, t)
    worst = int(ratio.log().abs().argmax())
    value = spread_ratio(run.path.x[worst], posterior, t[worst])
    beside = run.exact.path if run.exact else None
    null = spread_ratio(beside.x[worst], posterior, t[worst]) if beside else None
    row = "spread ratio, worst over t", value, null
    yield Finding(*row, id="spread_worst", truth=1.0, told=run.independent)
    yield Curve("spread_ratio", "spread ratio", t.cpu(), ratio.cpu(), level=1.0)


def beliefs(run: Run) -> Iterator[Found]:
    """The error of the score under the true p(x_t | y), 0 for the exact score; then the stops.

    Both use one stream of random numbers, as in version 0.1. A score of a grid is not asked at the
    last time of the grid, where no step begins.
    """
    g = run.generator(1)
    if run.score is None:
        why = f"{'samples have' if run.kind == 'samples' else f'a {run.kind} has'} no score"
        yield Missing("path KL", "path_kl", why)
        yield Missing("score error", "score_error", why)
    elif run.path is not None:
        yield from misbelief(run, run.score, thinned(run.path, LOOKS).t, g)
    if run.why_no_path:
        yield Missing("distance if stopped", "stopped", run.why_no_path)
    if run.path is not None:
        yield stopped(run.problem, thinned(run.path, STOPS), g)


def misbelief(
    run: Run, score: PosteriorScore, t: Tensor, g: torch.Generator
) -> Iterator[Finding | Curve]:
    """The error of the score, summed up and at each time."""
    t, posterior = t if run.anywhere else t[:-1], run.problem.posterior
    path_kl, relative = Estimate(0.0, 0.0), torch.zeros_like(t)
    if score is not posterior:
        found = score_error(score, posterior, t, n=PATHS, generator=g)
        path_kl, relative = found.path_kl, found.relative
    yield Finding("path KL", path_kl, unit="nats", id="path_kl", truth=0.0)
    yield Curve("score_error", "score error", t.cpu(), relative.sqrt().cpu())


def stopped(problem: Problem, path: Trajectory, g: torch.Generator) -> Curve:
    """The distance of the denoised cloud to the posterior, if the run stopped earlier."""
    clean = problem.posterior.sample(path.x.shape[1], 0.0, generator=g)
    stops = early_stopping(path, problem.diffusion, clean, generator=g)
    return Curve("stopped", "distance if stopped", path.t.cpu(), stops.denoised.cpu())


def commitment(run: Run) -> Iterator[Finding | Missing]:
    """The time at which the particles have settled on the part in which they end."""
    parts = run.problem.parts
    if run.why_no_path or parts is None:
        yield Missing("commitment time", "commitment", run.why_no_path or WHY_NO_PARTS)
    if run.path is not None and parts is not None:
        prior, path = run.problem.diffusion, thinned(run.path, LOOKS)
        if isinstance(prior.prior, Empirical) and len(prior.prior.atoms) > MOST_MODES:
            some = thinned(run.path, LOOKS_AT_DATA)  # each denoised particle costs all of the data
            path = Trajectory(some.t, some.x[:, :PATHS])
        history = mode_history(path, prior, parts)
        value = Estimate(history.commitment, history.commitment_error)
        yield Finding("commitment time", value, id="commitment", told=run.independent)


def started(run: Run) -> Iterator[Finding | Missing]:
    """The KL divergence from the truth at the first time to the noise from which a run starts.

    It is the mean of log p(x_t | y) - log N(x_t; 0, sigma^2) over the truth, in nats.
    """
    if run.kind in ("sampler", "samples"):
        why = f"{'a sampler' if run.kind == 'sampler' else 'samples'} may start anywhere"
        yield Missing("mismatch of the start", "start", why)
        return
    if run.path is None or not run.started_from_noise:
        return
    t, posterior = run.path.t[0], run.problem.posterior
    x = posterior.sample(len(run.ended), t, generator=run.generator(3))
    noise = torch.distributions.Normal(0.0, run.problem.schedule.sigma(t).to(x))
    apart = Estimate.of(posterior.log_prob(x, t) - noise.log_prob(x).sum(-1))
    exact = Estimate(0.0, 0.0)
    yield Finding("mismatch of the start", apart, exact, unit="nats", id="start", truth=0.0)


def coupled(run: Run) -> Iterator[Finding | Missing]:
    """The share of steps that move a particle by the others too.

    Such particles are not independent, and the method depends on n. A step is asked twice, with the
    same noise: among others, and among copies of one particle.
    """
    if run.kind == "sampler":
        why = "only a score and a step can be asked row by row; declare the runs of a sampler"
        yield Missing("steps that look at the batch", "coupled", why)
    if run.step is None or run.path is None:
        return
    t, x = run.path.t, run.path.x
    looks = torch.linspace(0, len(t) - 2, min(COUPLED, len(t) - 1), device="cpu").round().long()
    seen = [looks_at_batch(run, run.step, x[i], t[i], t[i + 1]) for i in looks.tolist()]
    share = Estimate(sum(seen) / len(seen), 0.0)
    yield Finding(
        "steps that look at the batch", share, Estimate(0.0, 0.0), id="coupled", truth=0.0
    )


def looks_at_batch(run: Run, step: Step, x: State, t: Tensor, s: Tensor) -> bool:
    """Whether the first particle moves otherwise when the others take its place."""
    alone = x[:1].expand_as(x).clone()
    moved = [step(rows.clone(), t, s, generator=run.generator(5))[0] for rows in (x, alone)]
    far = max(float((one - x[0]).abs().max()) for one in moved)
    return float((moved[0] - moved[1]).abs().max()) > SAME * far


def mended(run: Run) -> Iterator[Finding]:
    """How often TMPD repaired an A C A' that a learned denoiser gave it, and no covariance."""
    method = run.score
    if run.path is None or type(method) is not TMPD or len(method.likelihood.y) > DIRECT:
        return
    path = thinned(run.path, STOPS)
    ats = [(method.prior.at(x, t), t) for t, x in zip(path.t, path.x, strict=True)]
    if not ats[0][0].learned or method.indefinite != "clip":
        return
    rows = torch.stack([method.clipped(method.predicted_cov(*at))[1] for at in ats])
    share = float(rows.double().mean())
    value = Estimate(share, share_error(share, rows.shape[1]))
    yield Finding("share of covariances that was mended", value, Estimate(0.0, 0.0), id="mended")


MEASURES: tuple[Measure, ...] = (
    diverged,
    last_cloud,
    quantiles,
    steps,
    spread,
    beliefs,
    commitment,
    started,
    coupled,
    mended,
)


def thinned(path: Trajectory, most: int) -> Trajectory:
    """A path at no more than ``most`` of its times, always with the first and the last."""
    pick = torch.linspace(0, len(path.t) - 1, min(most, len(path.t)), device="cpu").round().long()
    return Trajectory(path.t[pick], path.x[pick])
