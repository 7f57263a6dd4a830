"""The steps: whether their number matters, where they start, and whether they are independent."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from fsps_lite.diagnosis.examination.beliefs import STOPS
from fsps_lite.diagnosis.examination.paths import thinned
from fsps_lite.diagnosis.finding import Finding, Missing
from fsps_lite.diagnosis.kinds import Step
from fsps_lite.diagnosis.run import Run
from fsps_lite.estimate import Estimate
from fsps_lite.guidance import TMPD
from fsps_lite.guidance.matched import DIRECT
from fsps_lite.measures.hallucinations import share_error
from fsps_lite.types import State

COUPLED = 5  # times at which a step is asked whether it looks at the batch
SAME = 1e-4  # of a move: what sums in another order, or a network in float32, may differ by
NONE = Estimate(0.0, 0.0)


def steps(run: Run) -> Iterator[Finding | Missing]:
    """The distance with twice the steps.

    What is left of the distance then is the error of the method, not of the integrator.
    """
    if run.kind == "samples":
        yield Missing("distance, twice the steps", "distance_finer", "samples have no steps")
    fine = run.finer and run.finer.findings.get("distance")
    if isinstance(fine, Finding) and len(run.cloud) > 1:
        label = "distance, twice the steps"
        yield replace(fine, label=label, id="distance_finer", like="distance")


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
    yield Finding("mismatch of the start", apart, NONE, unit="nats", id="start", truth=0.0)


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
    yield Finding("steps that look at the batch", share, NONE, id="coupled", truth=0.0)


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
    yield Finding("share of covariances that was mended", value, NONE, id="mended")
