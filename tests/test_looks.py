"""A method is drawn in one way in all figures, and no two names of a figure look alike."""

from itertools import combinations

import pytest

from fsps_lite.looks import COLOURS, METHODS, Look, looks

NAMED = {
    "exact score": "exact",
    "the truth": "exact",
    "DPS": "DPS",
    "DPS, 50 steps": "DPS",
    "zeta-DPS": "zeta",
    "StepDPS": "step",
    "PiGDM": "PiGDM",
    "PiGDM (flat)": "PiGDM",
    "TMPD": "TMPD",
    "DiagonalTMPD": "diagonal",
    "diagonal TMPD": "diagonal",
}


@pytest.mark.parametrize("beside", [[], ["mine"], ["a", "b", "c"], ["TMPD"], ["PiGDM", "mine"]])
@pytest.mark.parametrize("name", NAMED)
def test_a_method_has_its_colour_in_any_company(name, beside):
    alone = looks([name])[name]
    company = looks([*beside, name])[name]
    if NAMED[name] not in {NAMED.get(other) for other in beside}:
        assert company == alone


def test_methods_differ_in_their_colours():
    own = {kind: looks([name])[name].colour for name, kind in NAMED.items()}
    assert len(set(own.values())) == len(own) == len(METHODS) <= len(COLOURS)


def test_a_second_name_of_a_method_has_its_colour_and_another_line():
    found = looks(["DPS", "DPS, stopped", "exact"])
    assert found["DPS"].colour == found["DPS, stopped"].colour != found["exact"].colour
    assert found["DPS"].style != found["DPS, stopped"].style


def test_names_of_one_method_alone_take_all_colours():
    found = looks([f"DPS, {steps} steps" for steps in (10, 20, 40)])
    assert len({look.colour for look in found.values()}) == 3


@pytest.mark.parametrize(
    "known", [[], ["DPS"], ["exact", "PiGDM", "DPS"], [f"DPS {i}" for i in range(6)]]
)
def test_no_two_names_look_alike_and_their_order_stays(known):
    names = [*known, *(f"name {i}" for i in range(12))]
    found = looks(names)
    assert list(found) == names
    for one, other in combinations(found.values(), 2):
        assert one.style != other.style
        assert (one.colour, one.again) != (other.colour, other.again)


def test_a_figure_of_no_name_has_no_look():
    assert looks([]) == {}
    assert looks(["DPS", "DPS"]) == {"DPS": Look(COLOURS[1], 1)}
