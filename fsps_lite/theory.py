"""What a guided sampler does, in closed form: numbers for which no sample is drawn.

The signal is a number and A = 1. Time is measured by tau = alpha^2 / sigma^2, the signal-to-noise
ratio. A particle has the place M = E[x_0 | x_t]. If a matched Gaussian of spread V guides it, then

    dM = C (C (y - M) / (noise_std^2 + V) dtau + dB),    C = Var[x_0 | x_t],

starting from M = E[x_0] at tau = 0, for every noise schedule. This holds in the limit of small
steps, for a run that ends where tau is infinite. The book's page *Proofs* derives it, and all that
follows from it here. For an operator A x, use y / A and noise_std / A.

Two atoms lie at -a and a. ``weight`` is the prior's weight of the atom at -a, 1/2 unless it is
given. A spread is a function of C, the true variance, or of (C, tau). a, y and noise_std are
numbers in units of x, and the results are floats. Functions of them raise ValueError or TypeError
unless a and noise_std are positive, ``weight`` is between 0 and 1, and noise_std is large enough
beside a for what it computes.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.linalg import solve_banded
from scipy.optimize import brentq
from scipy.special import dawsn, erfi, expit, logit, logsumexp

from fsps_lite import checks

Number = int | float
Curve = Callable[[np.ndarray], np.ndarray | float]  # of M, or of C
MovingSpread = Callable[[np.ndarray, np.ndarray | float], np.ndarray | float]  # of (C, tau)
Rates = Callable[[float], tuple[np.ndarray, np.ndarray]]  # of log(tau)

LEAST = 1e-3  # the smallest noise_std / a for a quadrature
GRID, PITCH = np.linspace(-2.8, 2.8, 201, retstep=True)  # tanh-sinh: for functions steep at an end
NODES = expit(np.pi * np.sinh(GRID))  # on [0, 1]
WEIGHTS = PITCH * np.pi * np.cosh(GRID) * NODES * (1 - NODES)
FOUR, SHARES = np.polynomial.legendre.leggauss(4)
CELLS, STEPS = 400, 150  # of the differential equation, at first
DOUBLINGS, AGREE = 4, 3e-4  # both are doubled so often, until two answers agree
STAGE = 2 - math.sqrt(2)  # the first part of a step (Bank, 1985)
NUMBERS = torch.empty(0, dtype=torch.float64, device="cpu")


def hitting_probability(log_guess: Curve, start: Number, left: Number, right: Number) -> float:
    """The share of particles that end at ``left``, when p_guess(y | M) guides them.

    It is the integral of p_guess^-2 from ``start`` to ``right``, divided by that from ``left`` to
    ``right``. ``log_guess`` is log p_guess as a function of M alone, in nats; a constant added to
    it changes nothing, because only its derivative guides. If p_guess is p(y | M) itself, which is
    linear in M, the share is the posterior weight by Bayes' rule.
    """
    call = "theory.hitting_probability(lambda M: -M**2, 0.0, -1.0, 1.0)"
    checks.function("log_guess", log_guess, call)
    return float(expit(_log_odds(log_guess, start, left, right)))


def atom_weight(
    spread: Curve, a: Number, y: Number, noise_std: Number, *, weight: Number = 0.5
) -> float:
    """The weight that a sampler of spread V(C) gives to the atom at -a: one quadrature.

    V = 0 is DPS and V = C is TMPD; V = c C is a dial between them. C = a^2 - M^2 is a function of M
    alone, so V must not depend on time; for a V that does, see :func:`weight_in_time`.
    """
    _check(a, y, noise_std, weight, least=LEAST)
    pull, start = _pull(spread, a, y, noise_std), prior_mean(a, weight)
    return hitting_probability(lambda M: _integral(pull, start, M), start, -a, a)


def implied_weight(
    spread: Curve, a: Number, y: Number, noise_std: Number, *, weight: Number = 0.5
) -> float:
    """The weight of the atom at -a in the density that the score belongs to, near t = 0.

    Its odds are the prior's odds times p_guess at -a over p_guess at a. A reverse process with much
    noise would reach them. With V = 0 they are the true odds; any V > 0 between the atoms weakens
    them.
    """
    _check(a, y, noise_std, weight, least=LEAST)
    return float(expit(logit(weight) - _integral(_pull(spread, a, y, noise_std), -a, a)))


def true_weight(a: Number, y: Number, noise_std: Number, *, weight: Number = 0.5) -> float:
    """The posterior's weight of the atom at -a: odds w / (1 - w) exp(-2 a y / noise_std^2)."""
    _check(a, y, noise_std, weight)
    return float(expit(logit(weight) - 2 * a * y / noise_std**2))


def dps_weight(a: Number, y: Number, noise_std: Number, *, weight: Number = 0.5) -> float:
    """DPS's weight of the atom at -a: (S(a) - S(M)) / (S(a) - S(-a)) with M = E[x_0].

    S is :func:`dps_scale`, here without its overflow.
    """
    _check(a, y, noise_std, weight)
    places = (np.array([-a, prior_mean(a, weight), a]) - y) / noise_std
    low, start, high = dawsn(places) * np.exp(places**2 - (places**2).max())
    return float((high - start) / (high - low))


def tmpd_weight(a: Number, y: Number, noise_std: Number, *, weight: Number = 0.5) -> float:
    """TMPD's weight of the atom at -a: (S(a) - S(M)) / (S(a) - S(-a)) with M = E[x_0].

    S(M) = -((b - M) / (b + M))^(y / b) with b^2 = a^2 + noise_std^2. For two equal atoms the odds
    are ((b - a) / (b + a))^(y / b). As noise_std falls, they sharpen as a power of noise_std; the
    true odds sharpen exponentially.
    """
    _check(a, y, noise_std, weight)
    b, M = math.hypot(a, noise_std), prior_mean(a, weight)
    power = y / b if y else 1e-12  # at y = 0 the scale is the logarithm itself
    end = 2 * power * math.log(noise_std / (a + b))  # the power of (b - a) / (b + a)
    low, start, high = -end, power * math.log((b - M) / (b + M)), end
    if power < 0:
        return math.expm1(start - high) / math.expm1(low - high)
    return math.exp(start - low) * math.expm1(high - start) / math.expm1(high - low)


def full_tmpd_weight(a: Number, y: Number, noise_std: Number, *, weight: Number = 0.5) -> float:
    """TMPD's weight of the atom at -a, if its gradient included the derivative of C.

    log N(y; M, noise_std^2 + C) then guides, with C = a^2 - M^2.
    """
    _check(a, y, noise_std, weight, least=LEAST)

    def log_guess(M: np.ndarray) -> np.ndarray:
        variance = noise_std**2 + a**2 - M**2
        return -((y - M) ** 2) / (2 * variance) - np.log(variance) / 2

    return hitting_probability(log_guess, prior_mean(a, weight), -a, a)


def unbiased_dial(a: Number, y: Number, noise_std: Number) -> float:
    """The c for which V = c C gives two equal atoms their true weights; 1/5 as noise_std grows.

    For large noise_std, the distance of the weight from 1/2 has the relative error (1 - 5 c) / 6 (a
    / noise_std)^2. y = 0 is refused, because there every c is right. Raises ValueError where
    rounding hides the answer.
    """
    _check(a, y, noise_std, least=LEAST)

    def excess(c: float) -> float:
        pull = _pull(lambda C: c * C, a, y, noise_std)
        return _log_odds(lambda M: _integral(pull, 0.0, M), 0.0, -a, a) + 2 * a * y / noise_std**2

    if not excess(0.0) * excess(1.0) < 0:
        what = "`noise_std` must be near the distance a, or rounding hides which dial is right"
        call = "theory.unbiased_dial(1.0, 0.3, 0.5)"
        raise ValueError(checks.complaint(what, noise_std, call))
    dial: float = brentq(excess, 0.0, 1.0)
    return dial


def weight_in_time(
    spread: MovingSpread,
    a: Number,
    y: Number,
    noise_std: Number,
    *,
    weight: Number = 0.5,
    stop: Number | None = None,
) -> float:
    """The weight of the atom at -a for a spread V(C, tau); PiGDM's is 1 / (1 / data_var + tau).

    It has no closed form: if V depends on time, no function of M alone is a martingale. The
    probability h(M, tau) of ending at -a solves the backward equation dh/dtau + C^2 (pull dh/dM +
    d2h/dM2 / 2) = 0, which is solved here on finer and finer grids, to 1e-4. ``stop`` is a
    signal-to-noise ratio at which to end before all particles have arrived; the answer is then the
    share with M < 0. Raises ValueError where 6,400 cells are not enough.
    """
    _check(a, y, noise_std, weight)
    if stop is not None:
        checks.number("stop", stop, "theory.weight_in_time(lambda C, tau: C, 1.0, 0.3, 0.5)")
    found = [_weight(spread, a, y, noise_std, weight, stop, cells=CELLS)]
    for k in range(1, DOUBLINGS + 1):
        found.append(_weight(spread, a, y, noise_std, weight, stop, cells=CELLS * 2**k))
        if abs(found[-1] - found[-2]) < AGREE:
            return (4 * found[-1] - found[-2]) / 3  # errors of second order cancel
    what = "`noise_std` is too small beside `a` for this spread: two grids must agree to 3e-4"
    got = " and ".join(f"{w:.4f}" for w in found[-2:])
    raise ValueError(
        checks.complaint(what, got, f"theory.weight_in_time(spread, {a}, {y}, {a / 10})")
    )


def path_kl(
    spread: Curve, a: Number, y: Number, noise_std: Number, *, weight: Number = 0.5
) -> float:
    """The KL from the exact process to that of a spread V(C), in nats: one quadrature (Girsanov).

    It is half the squared error of the pull, times the time that the exact process spends at each
    M. That time is the time of Brownian motion between -a and a, times p(y | M) / p(y). The KL
    between the weights is at most this.
    """
    _check(a, y, noise_std, weight, least=LEAST)
    total, tilt, pull = 0.0, a * y / noise_std**2, _pull(spread, a, y, noise_std)
    evidence = float(np.logaddexp(np.log(weight) - tilt, np.log(1 - weight) + tilt))
    for low, high in ((0.0, 1 - weight), (1 - weight, 1.0)):  # how far from -a to a, as a share
        left = low + (high - low) * NODES
        right = (1 - high) + (high - low) * NODES[::-1]  # 1 - left, without its rounding
        log_p = np.logaddexp(np.log(right) - tilt, np.log(left) + tilt)  # p(y | M), scaled
        slope = math.tanh(tilt) / (2 * a) * np.exp(np.logaddexp(tilt, -tilt) - log_p)
        spent = 4 * a * np.minimum(left * weight, right * (1 - weight)) * np.exp(log_p - evidence)
        error = pull(a * (left - right)) - slope
        total += 2 * a * (high - low) * float((WEIGHTS * spent * error**2 / 2).sum())
    return total


def dps_scale(x: np.ndarray | Number, y: Number, noise_std: Number) -> np.ndarray | float:
    """S(x) = erfi((x - y) / noise_std): DPS keeps the mean of S, whatever the prior is.

    So the mean of S over the results of DPS is S at the prior's mean. For two atoms this fixes the
    weights; for more atoms it is one equation among several unknowns.
    """
    call = "theory.dps_scale(0.5, 0.3, 0.5)"
    checks.number("y", y, call)
    checks.number("noise_std", noise_std, call)
    checks.positive("noise_std", noise_std, call)
    checks.as_tensor("x", x, NUMBERS, call)
    scale: np.ndarray | float = erfi((x - y) / noise_std)
    return scale


def gaussian_moments(
    spread: MovingSpread, prior_std: Number, y: Number, noise_std: Number, *, mean: Number = 0.0
) -> tuple[float, float]:
    """Mean and standard deviation of the results on a Gaussian prior, for any spread V(C, tau).

    R(C) is the integral of 1 / (noise_std^2 + V) from 0 to C. The mean is y - (y - mean)
    exp(-R(prior_var)), and the variance is the integral of exp(-2 R) from 0 to prior_var. Both
    results are in units of x, as prior_std is.
    """
    _check(prior_std, y, noise_std, least=LEAST)
    prior_var = prior_std**2

    def rate(C: np.ndarray) -> np.ndarray | float:
        return 1 / (noise_std**2 + spread(C, 1 / C - 1 / prior_var))

    def kept(C: np.ndarray | Number) -> np.ndarray | float:
        return np.exp(-_integral(rate, 0.0, C))

    variance = _integral(lambda C: kept(C) ** 2, 0.0, prior_var)
    return float(y - (y - mean) * kept(prior_var)), math.sqrt(variance)


def dial_moments(
    c: Number, prior_std: Number, y: Number, noise_std: Number, *, mean: Number = 0.0
) -> tuple[float, float]:
    """:func:`gaussian_moments` of V = c C, in closed form: exact at c = 1, and DPS at c = 0.

    With u = prior_var / noise_std^2, DPS forgets the prior's mean as exp(-u), and its variance is
    noise_std^2 / 2 (1 - exp(-2 u)): for small noise, half the true one.
    """
    _check(prior_std, y, noise_std)
    checks.number("c", c, "theory.dial_moments(0.5, 1.0, 0.3, 0.5)", least=0.0)
    ratio = prior_std**2 / noise_std**2
    R = math.log1p(c * ratio) / c if c else ratio
    variance = noise_std**2 * (R if c == 2 else -math.expm1((c - 2) * R) / (2 - c))
    return y - (y - mean) * math.exp(-R), math.sqrt(variance)


def prior_mean(a: Number, weight: Number = 0.5) -> float:
    """E[x_0], where every particle starts: only here do the prior's weights come in."""
    return a * (1 - 2 * weight)


def _pull(spread: Curve, a: Number, y: Number, noise_std: Number) -> Curve:
    """(y - M) / (noise_std^2 + V) as a function of M: the derivative of log p_guess."""
    call = "theory.atom_weight(lambda C: C, 1.0, 0.3, 0.5)"
    checks.function("spread", spread, call)

    def pull(M: np.ndarray) -> np.ndarray | float:
        V = spread(a**2 - M**2)
        if V is None or np.any(noise_std**2 + V <= 0):
            what = "noise_std^2 + `spread`(C) must be positive for each variance C"
            raise ValueError(checks.complaint(what, V and np.min(noise_std**2 + V), call))
        force: np.ndarray | float = (y - M) / (noise_std**2 + V)
        return force

    return pull


def _log_odds(log_guess: Curve, start: Number, left: Number, right: Number) -> float:
    """Log odds of ending at ``left``: the probabilities may be too small for a float."""
    parts = []
    for low, high in ((left, start), (start, right)):
        M = low + (high - low) * NODES
        parts.append(logsumexp(-2 * log_guess(M), b=(high - low) * WEIGHTS))
    return float(parts[1] - parts[0])


def _integral(fn: Curve, low: Number, high: np.ndarray | Number) -> np.ndarray | float:
    """The integral of ``fn`` from ``low`` to each of ``high``, by the tanh-sinh rule."""
    width = np.asarray(high, dtype=float)[..., None] - low
    area: np.ndarray | float = (width * WEIGHTS * fn(low + width * NODES)).sum(-1)
    return area


def _weight(
    spread: MovingSpread,
    a: Number,
    y: Number,
    noise_std: Number,
    weight: Number,
    stop: Number | None,
    *,
    cells: int,
) -> float:
    """:func:`weight_in_time` on one grid.

    The grid is even in u, where M = a tanh(u), and in log(tau).
    """
    narrow = a * (a + abs(y)) / noise_std**2  # the guidance ends within 1 / narrow of the atoms
    reach = 10 + math.log1p(narrow) / 2
    u, last = np.linspace(-reach, reach, cells + 1), stop or 1e3 / min(a, noise_std) ** 2
    rates = _rates(spread, a, y, noise_std, u)
    h = np.heaviside(-u, 0.5) if stop else _standing(*rates(math.log(last)))
    first = 1e-6 / (a**2 * (1 + narrow))  # before it, nothing moves
    clock = np.linspace(math.log(last), math.log(first), STEPS * cells // CELLS + 1)
    for late, early in zip(clock[:-1], clock[1:], strict=True):
        h = _step_back(h, rates, late, early)
    return float(np.interp(math.atanh(1 - 2 * weight), u, h))


def _rates(spread: MovingSpread, a: Number, y: Number, noise_std: Number, u: np.ndarray) -> Rates:
    """Logs of how often M moves up, and down, across each edge, per unit of log(tau).

    Exponentially fitted (Scharfetter, 1969): the rates are never negative, and exact where V does
    not depend on time.
    """
    cell = u[1] - u[0]
    inner = (u[1:] + u[:-1])[:, None] / 2 + cell / 2 * FOUR
    M, C = a * np.tanh(inner), (a / np.cosh(inner)) ** 2
    outward = 2 * np.diff(np.logaddexp(u, -u))

    def rates(log_tau: float) -> tuple[np.ndarray, np.ndarray]:
        tau = math.exp(log_tau)
        force = (y - M) / (noise_std**2 + spread(C, tau)) * C / a
        drift = outward + cell * force @ SHARES
        size = np.maximum(np.abs(drift), 1e-12)
        both = np.log(size / -np.expm1(-size)) + math.log(tau * (a / cell) ** 2 / 2)
        return both - np.maximum(-drift, 0), both - np.maximum(drift, 0)

    return rates


def _standing(up: np.ndarray, down: np.ndarray) -> np.ndarray:
    """The probability of ending at the first node, from each node, if V does not change."""
    log_step = np.append(0.0, np.cumsum(down[:-1] - up[1:]))
    step = np.exp(log_step - log_step.max())
    total: float = step.sum()
    return np.append(np.cumsum(step[::-1])[::-1], 0.0) / total


def _step_back(h: np.ndarray, rates: Rates, late: float, early: float) -> np.ndarray:
    """One step of the backward equation.

    It takes the trapezoid rule first, then the second-order backward difference (Bank, 1985).
    """
    length = late - early
    half = STAGE / 2 * length
    middle = _solved(h + half * _change(h, *rates(late)), rates(late - STAGE * length), half)
    known = (middle - (1 - STAGE) ** 2 * h) / (STAGE * (2 - STAGE))
    return _solved(known, rates(early), half)


def _change(h: np.ndarray, up: np.ndarray, down: np.ndarray) -> np.ndarray:
    """How h changes per unit of log(tau); at the two atoms it does not change."""
    rise = np.diff(h)
    return np.pad(np.exp(up[1:]) * rise[1:] - np.exp(down[:-1]) * rise[:-1], 1)


def _solved(known: np.ndarray, logs: tuple[np.ndarray, np.ndarray], length: float) -> np.ndarray:
    """The h with h - length times its change = ``known``, a tridiagonal system."""
    up, down = length * np.exp(logs[0][1:]), length * np.exp(logs[1][:-1])
    bands = np.zeros((3, len(known)))
    bands[0, 2:], bands[2, :-2], bands[1] = -up, -down, 1.0
    bands[1, 1:-1] += up + down
    before: np.ndarray = solve_banded((1, 1), bands, known)
    return before


def _check(
    scale: Number, y: Number, noise_std: Number, weight: Number = 0.5, *, least: Number = 0
) -> None:
    """Raise unless the scale and the noise are positive, and the weight is inside (0, 1).

    The scale is the distance a of the atoms from 0, or the prior's standard deviation.

    A quadrature ends 7e-12 before an atom. So it needs noise_std >= ``least`` times the scale.
    """
    call = "theory.true_weight(1.0, 0.3, 0.5, weight=0.5)"
    for name, value in (("a", scale), ("y", y), ("noise_std", noise_std), ("weight", weight)):
        checks.number(name, value, call)
    checks.positive("a", scale, call)
    checks.positive("noise_std", noise_std, call)
    checks.positive("noise_std**2", noise_std**2, call)
    if not 0 < weight < 1:
        what = "`weight` must lie between 0 and 1"
        raise ValueError(checks.complaint(what, weight, call))
    if noise_std < least * scale:
        what = f"a quadrature is right to 1e-5 for a `noise_std` of {least * scale:g} or more"
        call = f"theory.atom_weight(lambda C: C, {scale}, 0.3, {least * scale:g})"
        raise ValueError(checks.complaint(what, noise_std, call))
