"""How wide a cloud is, compared with the true p(x_t | y)."""

from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.diffusion import Diffusion
from fsps_lite.estimate import Estimate
from fsps_lite.types import State, Time, Times


def spreads(x: Float[Tensor, "*times n d"]) -> Float[Tensor, "*times"]:
    """The root of the total variance of a cloud, or of each cloud of a path. Units of x."""
    return x.var(dim=-2).sum(-1).sqrt()


def true_spread(posterior: Diffusion, t: Times) -> Float[Tensor, "*times"]:
    """The same for p(x_t | y), without sampling: sqrt(alpha^2 Var x_0 + sigma^2 d).

    Var x_0 is the total variance. Raises TypeError where the posterior's prior does not know it.
    """
    schedule, prior = posterior.schedule, posterior.prior
    variance: Tensor | None = getattr(prior, "total_variance", None)
    if variance is None:
        what = "a report compares spreads: the posterior's prior must know its `total_variance`"
        call = "Problem(name, Empirical.from_samples(x), likelihood), with samples of the prior"
        raise TypeError(checks.complaint(what, type(prior).__name__, call))
    t = t.to(variance.device) if isinstance(t, Tensor) else t  # a grid lies on the CPU
    total = schedule.alpha_bar(t) * variance + schedule.variance(t) * prior.dim
    return total.sqrt()


def spread_ratio(x: State, posterior: Diffusion, t: Time) -> Estimate:
    """The standard deviation of the cloud over that of the true p(x_t | y).

    A cloud whose particles are all in one place has 0, without an error.
    """
    variance = Estimate.of((x - x.mean(0)).square().sum(-1))
    ratio = float(spreads(x) / true_spread(posterior, t))
    if variance.value == 0:
        return Estimate(0.0, 0.0)
    return Estimate(ratio, ratio * variance.error / (2 * variance.value))
