"""The figures of the comparison with published packages, stored with the versions.

`make test-peers` measures them again and compares; `python -m tests.peers.figures` prints the table
that the README shows, and needs none of the packages.
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


def table():
    """What agrees, as the README shows it."""
    known = stored()["figures"]
    head = ["| theirs | ours | largest relative difference |", "|---|---|---|"]
    rows = [f"| {theirs} | {ours} | {known[name]:.0e} |" for theirs, ours, name in ROWS]
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    print(table())
