"""The book's first figure: two atoms, and what four samplers make of a measurement.

``cover.js`` computes all of it in the browser. This file holds the same few formulas, for the still
picture. Tests compare both with the library.
"""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib import style
from matplotlib.figure import Figure

from fsps_lite import checks
from fsps_lite.looks import COLOURS, STYLE
from fsps_lite.widgets.output import LiveFigure, picture, written

NAMES = ("truth", "DPS", "PiGDM", "TMPD")
PARTICLES, STEPS, SHOWN = 600, 150, 40
LEAST, MOST = 0.1, 1.5  # of noise_std; MOST also of |y|
FIRST = 45  # the first step that is drawn: before it there is only noise
CALL = "cover(y=0.3, noise_std=0.5, alt='...')"
ALT = (
    "Two atoms at -1 and 1, and one noisy measurement y: the weight of the atom at -1 against y, "
    "and particles on their way from noise to the atoms, for the truth, DPS, PiGDM and TMPD"
)


def cover(
    *, y: int | float = 0.3, noise_std: int | float = 0.5, alt: str = ALT, seed: int = 1
) -> LiveFigure:
    """The truth beside DPS, PiGDM and TMPD for two atoms, computed in the reader's browser.

    Sliders move ``y``, in units of x, and ``noise_std``, in units of y. The particles take the
    ancestral steps of ``VP()``. The weights are those in the limit of small steps. Raises
    ValueError or TypeError for numbers outside the sliders.
    """
    checks.kind("alt", alt, str, CALL)
    checks.number("y", y, CALL)
    checks.number("noise_std", noise_std, CALL)
    if not (abs(y) <= MOST and LEAST <= noise_std <= MOST):
        what = f"`y` must lie in [-{MOST}, {MOST}] and `noise_std` in [{LEAST}, {MOST}]"
        raise ValueError(checks.complaint(what, f"{y} and {noise_std}", CALL))
    spec = written({"y": y, "noise_std": noise_std, "seed": seed})
    still = picture(_still(y, noise_std, seed))
    return LiveFigure("cover", spec, still, alt, f"y = {y}, noise_std = {noise_std}")


def guided(
    name: str, x: np.ndarray, alpha: float, variance: float, y: float, noise_std: float
) -> np.ndarray:
    """E[x_0 | x_t, y] as a sampler believes it to be.

    It is exact for the truth, and a Kalman update for the other three.
    """
    place = alpha * x / variance
    if name == "truth":
        return np.tanh(place + y / noise_std**2)
    m = np.tanh(place)
    C = 1 - m**2
    V = {"DPS": 0 * C, "PiGDM": variance + 0 * C, "TMPD": C}[name]
    guided: np.ndarray = m + C * (y - m) / (V + noise_std**2)
    return guided


def paths(name: str, y: float, noise_std: float, noise: np.ndarray) -> np.ndarray:
    """Particles from noise to data, ``(steps + 1, particles)``, by ancestral steps."""
    alpha, variance = _schedule()
    snr = alpha**2 / variance
    path = [np.sqrt(variance[0]) * noise[0]]
    for k in range(STEPS):
        fresh = variance[k + 1] * (1 - snr[k] / snr[k + 1])
        kept = np.sqrt((variance[k + 1] - fresh) / variance[k])
        m = guided(name, path[-1], alpha[k], variance[k], y, noise_std)
        mean = alpha[k + 1] * m + kept * (path[-1] - alpha[k] * m)
        path.append(mean + np.sqrt(fresh) * noise[k + 1])
    return np.stack(path)


def normals(seed: int) -> np.ndarray:
    """The noise of ``cover.js``, ``(steps + 1, particles)``: mulberry32, then Box and Muller."""
    u32, size = np.uint32, (STEPS + 1) * PARTICLES
    a = (seed + 0x6D2B79F5 * np.arange(1, size + 1, dtype=np.uint64)).astype(u32)
    t = (a ^ (a >> u32(15))) * (a | u32(1))
    t = (t + (t ^ (t >> u32(7))) * (t | u32(61))) ^ t
    uniform = (t ^ (t >> u32(14))) / 2.0**32
    radius, angle = np.sqrt(-2 * np.log(1 - uniform[::2])), 2 * np.pi * uniform[1::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    return pairs.reshape(STEPS + 1, PARTICLES)


def _schedule() -> tuple[np.ndarray, np.ndarray]:
    """alpha and sigma^2 of VP(0.01, 20) at times even in log-SNR from t = 1 to 1e-3."""
    log_alpha_bar = np.array([-0.01 * t - 19.99 * t**2 / 2 for t in (1.0, 1e-3)])
    first, last = log_alpha_bar - np.log(-np.expm1(log_alpha_bar))
    loss = np.log1p(np.exp(-np.linspace(first, last, STEPS + 1)))
    return np.exp(-loss / 2), -np.expm1(-loss)


def _still(y: float, noise_std: float, seed: int) -> Figure:
    """Some paths of each sampler, and the share of its particles that end at -1."""
    noise = normals(seed)
    high, low = COLOURS[4:6]  # of the atoms; the others are those of methods
    with style.context(STYLE):
        figure, axes = plt.subplots(1, 4, figsize=(9, 2.6), sharey=True)
    plt.close(figure)
    for axis, name in zip(axes, NAMES, strict=True):
        path = paths(name, y, noise_std, noise)
        for side, colour in ((path[-1] >= 0, high), (path[-1] < 0, low)):
            some = side & (np.arange(PARTICLES) < SHOWN)
            axis.plot(path[FIRST:, some], color=colour, alpha=0.6, linewidth=0.7)
        axis.set(title=f"{name}: {100 * (path[-1] < 0).mean():.1f} % at −1", ylim=(-2.6, 2.6))
        axis.set(xticks=[], yticks=[-1, 1], xlabel="noise → data")
    return figure
