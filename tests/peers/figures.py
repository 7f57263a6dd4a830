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
