"""The figures of the comparison with published packages, stored with the versions.

`make test-peers` measures them again and compares; `python -m tests.peers.figures` prints
what the README shows, and needs none of the packages.
"""

import json
from pathlib import Path

STORED = Path(__file__).with_name("figures.json")
measured = {}  # {name: number}, of this run


def record(name, value):
    """Keep a number of this run."""
    measured[name] = float(value)


def stored():
    """{"versions": {name: version}, "figures": {name: number}}."""
    return json.loads(STORED.read_text(encoding="utf-8"))


def store(versions):
    """Write the numbers of this run, with two digits that count: the rest is rounding."""
    figures = {name: float(f"{value:.2g}") for name, value in sorted(measured.items())}
    text = json.dumps({"versions": versions, "figures": figures}, indent=1) + "\n"
    STORED.write_text(text, encoding="utf-8")


ROWS = (  # theirs, ours, the name of the figure
    ("azula `TMPDenoiser`", "`DiagonalTMPD`", "azula TMPDenoiser, DiagonalTMPD"),
    ("azula `MMPSDenoiser`, converged", "`TMPD`", "azula MMPSDenoiser converged, TMPD"),
    (
        "azula `MMPSDenoiser`, one iteration (its default)",
        "`TMPD`",
        "azula MMPSDenoiser with one iteration, TMPD",
    ),
    ("azula `DPSSampler`, one particle", "`StepDPS`", "azula DPSSampler.step, StepDPS"),
    ("azula `DDPMSampler`", "`ddpm`", "azula DDPMSampler, ddpm"),
    ("deepinv `PiGDMDataFidelity`", "`PiGDM`", "deepinv PiGDMDataFidelity, PiGDM(1)"),
    (
        "deepinv `MomentMatchingDataFidelity`, 50 iterations",
        "`TMPD`",
        "deepinv MomentMatchingDataFidelity with 50 iterations, TMPD",
    ),
    (
        "deepinv `MomentMatchingDataFidelity`, 3 iterations (its default)",
        "`TMPD`",
        "deepinv MomentMatchingDataFidelity with 3 iterations, TMPD",
    ),
    ("deepinv `DPSDataFidelity`", "`ZetaDPS`", "deepinv DPSDataFidelity, ZetaDPS(1)"),
)

STEPS = (  # one step of a family: theirs, ours, what is otherwise, the name of the figure
    (
        "azula `DiffPIRDenoiser`, converged",
        "data step of `DiffPIR`",
        "",
        "azula DiffPIRDenoiser, data step of DiffPIR",
    ),
    (
        "the same, one iteration (its default)",
        "data step of `DiffPIR`",
        "it solves for the data step, and stops early; on `digits_blurred`",
        "azula DiffPIRDenoiser with one iteration, on digits_blurred",
    ),
    ("azula `RePaintSampler`", "`RePaint`", "", "azula RePaintSampler.step, RePaint"),
    (
        "azula `TDSSampler`, proposal and weight",
        "`TDS`",
        "it resamples in each step, and drops the last weights",
        "azula TDSSampler.step, TDS.proposed",
    ),
    (
        "deepinv `DDRM`",
        "`DDRM`",
        "its noise is divided by the root of 2, and a singular value below the noise is unseen",
        "deepinv DDRM, one step, as it is",
    ),
    (
        "the same, noise put right",
        "`DDRM`",
        "",
        "deepinv DDRM, one step, its noise put right",
    ),
)


DIFFER = (  # the sampler, what a report finds, the name of the figure
    (
        "azula `DPSSampler`, 2,048 particles on `two_atoms`",
        "weight of -1 (truth 0.083)",
        "azula DPSSampler, weight of -1 at n = 2048 (truth .083)",
    ),
    (
        "azula `TDSSampler` there, twelve reports of ten runs each",
        "weight of -1, on average",
        "azula TDSSampler, mean weight of -1 (truth .083)",
    ),
    ("", "its scatter", "azula TDSSampler, scatter of the weight over 12 reports"),
    ("", "its stated error", "azula TDSSampler, stated error"),
    ("", "stars in all", "azula TDSSampler, stars in 12 reports"),
    (
        "deepinv `DDRM` on `digits_masked`",
        "total variation between digits",
        "deepinv DDRM, TV between digits, noise 1.0",
    ),
    ("", "with `noise_std=0.9`", "deepinv DDRM, TV between digits, noise 0.9"),
    (
        "deepinv `PosteriorDiffusion` there, with PiGDM",
        "total variation between digits",
        "deepinv PosteriorDiffusion with PiGDM, TV between digits",
    ),
    ("our `PiGDM` there", "total variation between digits", "PiGDM, TV between digits"),
)


def differences():
    """What a report finds, as the README shows it."""
    head = ["| sampler | what a report finds | number |", "|---|---|---|"]
    rows = [f"| {who} | {what} | {stored()['figures'][name]:.2g} |" for who, what, name in DIFFER]
    return "\n".join([*head, *rows])


def _shown(value):
    return f"{value:.2g}" if value > 1e-3 else f"{value:.0e}"


def table():
    """What agrees, as the README shows it."""
    known = stored()["figures"]
    head = ["| theirs | ours | largest relative difference |", "|---|---|---|"]
    rows = [f"| {theirs} | {ours} | {_shown(known[name])} |" for theirs, ours, name in ROWS]
    return "\n".join([*head, *rows])


def steps():
    """One step of the families' samplers, as the library's page on samplers shows it."""
    known = stored()["figures"]
    head = [
        "| theirs | ours | largest relative difference | what is otherwise |",
        "|---|---|---|---|",
    ]
    rows = [f"| {one} | {two} | {_shown(known[name])} | {why} |" for one, two, why, name in STEPS]
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    print(table(), differences(), steps(), sep="\n\n")
