"""The explorer, whose pictures a running kernel draws."""

import ipywidgets
import matplotlib
import pytest
import torch

from fsps_lite import plots, widgets

matplotlib.use("agg")
X = torch.linspace(0, 1, 5)


@pytest.fixture
def explorer():
    """An explorer of two controls, and the values that it drew."""
    drawn = []

    def draw(y, method):
        drawn.append((y, method))
        return plots.curves({method: (X, y * X)}, xlabel="x", ylabel="y")

    box = widgets.explore(draw, alt="a line", y=[0.5, 1.0], method=["DPS", "TMPD"])
    return box, drawn


def test_the_explorer_draws_the_first_values_at_once(explorer):
    box, drawn = explorer
    assert drawn == [(0.5, "DPS")]
    assert 'alt="a line: y = 0.5, method = DPS"' in box.children[-1].value


def test_numbers_get_a_slider_and_names_a_menu(explorer):
    slider, menu, _ = explorer[0].children
    assert isinstance(slider, ipywidgets.SelectionSlider)
    assert isinstance(menu, ipywidgets.Dropdown)
    assert (slider.description, menu.description) == ("y", "method")


def test_moving_a_control_draws_again(explorer):
    (slider, menu, picture), drawn = explorer[0].children, explorer[1]
    before = picture.value
    slider.value = 1.0
    assert picture.value != before
    menu.value = "TMPD"
    assert drawn == [(0.5, "DPS"), (1.0, "DPS"), (1.0, "TMPD")]
    assert "y = 1.0, method = TMPD" in picture.value


@pytest.mark.parametrize("choices", [{}, {"y": []}])
def test_the_explorer_needs_something_to_choose(choices):
    with pytest.raises(ValueError, match="at least one argument.*Call it like"):
        widgets.explore(lambda **_: None, alt="a", **choices)
