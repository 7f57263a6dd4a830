"""Grids of times along which a reverse process runs, from noise to data."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from fsps_lite import checks
from fsps_lite.schedules import Schedule

LOOKS = 33  # the number of times at which a schedule is checked


def times(
    schedule: Schedule,
    steps: int = 50,
    *,
    start: float | None = None,
    stop: float = 1e-3,
    spacing: Literal["log_snr", "time"] = "log_snr",
) -> Float[Tensor, "T"]:
    """``steps + 1`` times from ``start`` down to ``stop``, even in log-SNR or in time. Float64.

    ``(T,)`` with T = steps + 1. ``start`` is the schedule's own if it is not given, 1 for most.
    Even steps in log-SNR put more steps where the cloud takes its shape (Lu et al., 2022b). With
    the default grid, 20,000 particles cannot tell the law of :func:`dpm_solver` from the law of its
    score, on any problem of the gallery with d <= 2 (benchmarks/integrators.py). Raises ValueError
    unless 0 <= stop < start <= 1 and the schedule leaves some signal at ``start``, and with
    "log_snr" some noise at ``stop``.
    """
    checks.kind("schedule", schedule, Schedule, "times(VP(), 250)")
    start = schedule.start if start is None else start
    _check_grid(schedule, steps, start, stop, spacing)
    even = torch.linspace(0, 1, steps + 1, dtype=torch.float64, device="cpu")
    if spacing == "time":
        t = start + (stop - start) * even
    else:
        first, last = schedule.log_snr(start), schedule.log_snr(stop)
        t = schedule.time_of(first + (last - first) * even)
    t[0], t[-1] = start, stop
    return t


def _check_grid(schedule: Schedule, steps: int, start: float, stop: float, spacing: str) -> None:
    call = "times(schedule, 250, start=1.0, stop=1e-3)"
    _check_kinds(schedule, steps, start, stop, call)
    if not 0 <= stop < start <= 1:
        what = "`start` and `stop` must keep to 0 <= stop < start <= 1, from noise to data"
        raise ValueError(checks.complaint(what, f"start={start}, stop={stop}", call))
    if spacing not in ("log_snr", "time"):
        what = "`spacing` must be 'log_snr' or 'time'"
        raise ValueError(checks.complaint(what, repr(spacing), call))
    if schedule.alpha(start) < 1e-6:
        what = "`start` must leave some signal, alpha of at least 1e-6"
        got = f"start={start}, where alpha is {float(schedule.alpha(start)):.1e}"
        raise ValueError(checks.complaint(what, got, "times(schedule, 250, start=0.999)"))
    if spacing == "log_snr" and schedule.sigma(stop) == 0:
        what = "`stop` must leave some noise, or the log-SNR is infinite"
        raise ValueError(checks.complaint(what, f"stop={stop}, where sigma is 0", call))
    _check_falls(schedule, start, stop, call)


def _check_falls(schedule: Schedule, start: float, stop: float, call: str) -> None:
    """Raise ValueError unless the signal-to-noise ratio falls as t grows."""
    ratio = schedule.log_snr(torch.linspace(stop, start, LOOKS, dtype=torch.float64, device="cpu"))
    if not bool((ratio[1:] <= ratio[:-1]).all()) or not ratio[-1] < ratio[0]:
        what = "the signal-to-noise ratio of `schedule` must fall from t = 0 to t = 1"
        got = f"a log of {ratio[0]:.3g} at {stop:g} and of {ratio[-1]:.3g} at {start:g}"
        raise ValueError(checks.complaint(what, got, call))


def _check_kinds(schedule: object, steps: object, start: object, stop: object, call: str) -> None:
    checks.kind("schedule", schedule, Schedule, call)
    checks.count("steps", steps, call)
    checks.number("start", start, call)
    checks.number("stop", stop, call)
