"""The rows of published packages in the leaderboard: they run unmodified, and come out again."""

import math

import pytest

from fsps_lite.diagnosis.cell_files import NUMBERS, loaded, rounded
from fsps_lite.diagnosis.cells import Judge
from tools.gallery.jobs import PLACE, Job, Size
from tools.gallery.peers import PEERS, version

SMALL = Size(n=128, measurements=2, steps=5)
NAMES = [entry.name for entry in PEERS]
SINGLE = 1e-3  # what float32 may move in a cloud of 500


@pytest.mark.parametrize("name", NAMES)
def test_a_row_of_a_package_names_its_version(name):
    row = Job("row", name, "two_atoms", SMALL).row()
    assert row.made.package in name
    assert row.made.version == version(row.made.package)
    assert len(row.each) == 2
    assert all(one.calls > 0 for one in row.each)
    refused = Job("row", name, "square", SMALL).row()
    assert bool(refused.refused) == (name != "azula DPSSampler")


def test_the_batch_of_azula_dps_is_coupled_and_no_other():
    moved = {name: Job("row", name, "one_coordinate", SMALL).row().coupling for name in NAMES}
    assert moved.pop("azula DPSSampler") > 1e-4
    assert math.isnan(moved.pop("azula TDSSampler"))  # which names its runs
    # rounding moves none of them: the others are computed in the same order
    assert set(moved.values()) == {0.0}


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_row_comes_out_again(name):
    job = Job("row", name, "two_atoms")
    data, asked = loaded(PLACE / job.path), job.asked()
    assert data is not None
    assert data["of"] == job.made().of
    at_y, how = next(asked.each())
    found = Judge(how)(at_y, job.entry.method)
    for number in set(NUMBERS) - {"seconds"}:
        stored, now = data["each"][number][0], rounded(getattr(found, number))
        assert (stored is None) == (now is None)
        if stored is not None:
            assert now == pytest.approx(stored, rel=2e-3, abs=SINGLE + 1.5 / asked.how.n), number
