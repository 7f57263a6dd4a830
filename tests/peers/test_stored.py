"""The stored figures are those of the installed versions: this file is run last."""

from importlib.metadata import version

import pytest

from tests.peers import figures

PACKAGES = ("azula", "deepinv", "torch")


def test_the_stored_figures_are_those_of_this_run(request):
    versions = {name: version(name).partition("+")[0] for name in PACKAGES}
    if request.config.getoption("--store"):
        figures.store(versions)
    known = figures.stored()
    if len(figures.measured) < len(known["figures"]):
        pytest.skip("only some of the tests were run")
    assert known["versions"] == versions
    assert set(known["figures"]) == set(figures.measured), "run: make test-peers STORE=--store"
    for name, value in figures.measured.items():
        if (
            known["figures"][name] > 1e-3
        ):  # what is smaller is rounding, and another on each machine
            assert abs(value - known["figures"][name]) < 0.02 + 0.05 * value, name
