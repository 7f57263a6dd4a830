"""The measures of a run: one list, of functions of the run alone.

A measure yields findings or curves. It takes no other argument and runs no sampler. It yields
nothing where the run lacks what it needs.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch

from fsps_lite.diagnosis.finding import Curve, Finding
from fsps_lite.diagnosis.run import Measure, Run
from fsps_lite.distances import distance
from fsps_lite.estimate import Estimate
from fsps_lite.guidance import TMPD
from fsps_lite.guidance.matched import DIRECT
from fsps_lite.measures import early_stopping, hallucination, mode_history, score_error
from fsps_lite.measures.hallucinations import share_error
from fsps_lite.measures.spread import spread_ratio, spreads, true_spread
from fsps_lite.measures.variations import multinomial_floor, total_variation_of_parts
from fsps_lite.partition import Partition
from fsps_lite.problems import Problem
from fsps_lite.samplers import Trajectory
from fsps_lite.types import State

STOPS = 25  # times at which stopping early is tried, at most
LOOKS = 100  # times at which modes are counted and scores compared, at most
PATHS = 500  # particles for the score error


def diverged(run: Run) -> Iterator[Finding]:
    """The number of particles that diverged; all other measures leave them out."""
    lost = Estimate(float((~run.alive).sum()), 0.0)
    yield Finding("diverged particles", lost, id="diverged")


def last_cloud(run: Run) -> Iterator[Finding]:
    """The last cloud, compared with as many draws of the true posterior."""
    g, problem, x, parts = run.generator(2), run.problem, run.cloud, run.problem.parts
    if len(x) < 2:
        return
    truth = problem.posterior.sample(len(run.ended), run.stop, generator=g)
    yield Finding("distance", distance(x, truth, generator=g), unit="units of x", id="distance")
    ratio = spread_ratio(x, problem.posterior, run.stop)
    yield Finding("spread ratio at the end", ratio, id="spread_end", truth=1.0)
    if parts is None:
        return
    yield from weights(run, parts, truth)
    h = hallucination(x, truth, problem, run.stop, modes=parts, generator=g)
    yield Finding(f"hallucinated prior {parts.noun}s", h.prior_modes, id="hallucinated_prior")
    yield Finding("hallucinated likelihood modes", h.likelihood_only, id="hallucinated_likelihood")
    yield Finding("hallucinated nowhere", h.nowhere, id="hallucinated_nowhere")


def weights(run: Run, parts: Partition, truth: State) -> Iterator[Finding]:
    """The share of the cloud in each part, and the total variation between all parts.

    ``truth`` are exact draws, for a posterior that does not know the weights of the parts. In the
    total variation, the truth is what as many exact draws have on average: its multinomial floor.
    """
    n, alpha = len(run.cloud), run.problem.schedule.alpha(run.stop)
    shares, known = parts.shares(run.cloud / alpha)[0], parts.weights(run.problem.posterior.prior)
    for k, name in enumerate(parts.names):
        value = Estimate(float(shares[k]), share_error(float(shares[k]), n))
        true = None if known is None else float(known[k])
        yield Finding(f"weight of {parts.noun} {name}", value, id=f"weight_{name}", truth=true)
    if len(parts.names) > 1:
        expected = parts.shares(truth / alpha)[0] if known is None else known
        apart = total_variation_of_parts(shares, expected, n, len(truth) if known is None else None)
        floor = multinomial_floor(expected, n, against_draws=known is None)
        label = f"total variation between {parts.noun}s"
        yield Finding(label, apart, id="total_variation", truth=floor)


def quantiles(run: Run) -> Iterator[Curve]:
    """The quantiles of the first coordinate, for samples that come without a path."""
    if run.went is None:
        x = run.ended[:, 0].sort().values.cpu()
        share = (torch.arange(len(x), dtype=torch.float64, device="cpu") + 0.5) / len(x)
        yield Curve("quantiles", "quantiles of x[0]", share, x, axis="probability")


def steps(run: Run) -> Iterator[Finding]:
    """The distance with twice the steps.

    What is left of the distance then is the error of the method, not of the integrator.
    """
    fine = run.finer and run.finer.findings.get("distance")
    if isinstance(fine, Finding) and len(run.cloud) > 1:
        yield replace(fine, label="distance, twice the steps", id="distance_finer")


def spread(run: Run) -> Iterator[Finding | Curve]:
    """The spread divided by the true one, and this ratio at the time at which it is worst.

    The exact sampler is measured at the time at which the method is worst. A worst time of its own
    would be chosen by noise alone.
    """
    if run.path is None:
        return
    posterior, t = run.problem.posterior, run.path.t
    ratio = spreads(run.path.x) / true_spread(posterior, t)
    worst = int(ratio.log().abs().argmax())
    value = spread_ratio(run.path.x[worst], posterior, t[worst])
    beside = run.exact.path if run.exact else None
    null = spread_ratio(beside.x[worst], posterior, t[worst]) if beside else None
    yield Finding("spread ratio, worst over t", value, null, id="spread_worst", truth=1.0)
    yield Curve("spread_ratio", "spread ratio", t.cpu(), ratio.cpu(), level=1.0)


def beliefs(run: Run) -> Iterator[Finding | Curve]:
    """The error of the score under the true p(x_t | y), 0 for the exact score; then the stops.

    Both use one stream of random numbers, as in version 0.1.
    """
    if run.path is None or run.score is None:
        return
    g, t, posterior = run.generator(1), thinned(run.path, LOOKS).t, run.problem.posterior
    path_kl, relative = Estimate(0.0, 0.0), torch.zeros_like(t)
    if run.score is not posterior:
        found = score_error(run.score, posterior, t, n=PATHS, generator=g)
        path_kl, relative = found.path_kl, found.relative
    yield Finding("path KL", path_kl, unit="nats", id="path_kl", truth=0.0)
    yield Curve("score_error", "score error", t.cpu(), relative.sqrt().cpu())
    yield stopped(run.problem, thinned(run.path, STOPS), g)


def stopped(problem: Problem, path: Trajectory, g: torch.Generator) -> Curve:
    """The distance of the denoised cloud to the posterior, if the run stopped earlier."""
    clean = problem.posterior.sample(path.x.shape[1], 0.0, generator=g)
    stops = early_stopping(path, problem.diffusion, clean, generator=g)
    return Curve("stopped", "distance if stopped", path.t.cpu(), stops.denoised.cpu())


def commitment(run: Run) -> Iterator[Finding]:
    """The time at which the particles have settled on the part in which they end."""
    parts = run.problem.parts
    if run.path is not None and parts is not None:
        history = mode_history(thinned(run.path, LOOKS), run.problem.diffusion, parts)
        value = Estimate(history.commitment, history.commitment_error)
        yield Finding("commitment time", value, id="commitment")


def started(run: Run) -> Iterator[Finding]:
    """The KL divergence from the truth at the first time to the noise from which a run starts.

    It is the mean of log p(x_t | y) - log N(x_t; 0, sigma^2) over the truth, in nats.
    """
    if run.path is None or not run.started_from_noise:
        return
    t, posterior = run.path.t[0], run.problem.posterior
    x = posterior.sample(len(run.ended), t, generator=run.generator(3))
    noise = torch.distributions.Normal(0.0, run.problem.schedule.sigma(t).to(x))
    apart = Estimate.of(posterior.log_prob(x, t) - noise.log_prob(x).sum(-1))
    exact = Estimate(0.0, 0.0)
    yield Finding("mismatch of the start", apart, exact, unit="nats", id="start", truth=0.0)


def mended(run: Run) -> Iterator[Finding]:
    """How often TMPD repaired an A C A' that a learned denoiser gave it, and no covariance."""
    method = run.score
    if run.path is None or type(method) is not TMPD or len(run.problem.likelihood.y) > DIRECT:
        return
    path = thinned(run.path, STOPS)
    ats = [(method.prior.at(x, t), t) for t, x in zip(path.t, path.x, strict=True)]
    if not ats[0][0].learned:
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
    mended,
)


def thinned(path: Trajectory, most: int) -> Trajectory:
    """A path at no more than ``most`` of its times, always with the first and the last."""
    pick = torch.linspace(0, len(path.t) - 1, min(most, len(path.t)), device="cpu").round().long()
    return Trajectory(path.t[pick], path.x[pick])
