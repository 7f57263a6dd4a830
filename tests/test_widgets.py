"""The player, a slider linked to pictures with no kernel; and the explorer, which has one."""

import base64
import re

import ipywidgets
import matplotlib
import pytest
import torch

from fsps_lite import plots, widgets

matplotlib.use("agg")
X = torch.linspace(0, 1, 5)


def frames(n):
    return [plots.curves({"a": (X, i * X)}, xlabel="x", ylabel="y") for i in range(n)]


@pytest.fixture
def player(monkeypatch):
    """A player of three frames, and the links that it made."""
    links = []
    original = ipywidgets.jslink

    def jslink(source, target):
        links.append((source, target))
        return original(source, target)

    monkeypatch.setattr(ipywidgets, "jslink", jslink)
    box = widgets.player(
        frames(3), ["-1.0", "0.0", "1.0"], name="y", alt='the "posterior" as y < 2 moves'
    )
    return box, links


def test_the_slider_is_linked_to_the_pictures_in_the_browser(player):
    box, links = player
    slider, stack = box.children
    assert links == [((slider, "index"), (stack, "selected_index"))]
    assert isinstance(stack, ipywidgets.Stack)
    assert stack.selected_index == slider.index == 0


def test_there_is_a_label_for_each_picture(player):
    slider, stack = player[0].children
    assert slider.options == ("-1.0", "0.0", "1.0")
    assert slider.description == "y"
    assert len(stack.children) == 3


def test_each_picture_says_what_it_shows(player):
    _, stack = player[0].children
    for picture, label in zip(stack.children, ("-1.0", "0.0", "1.0"), strict=True):
        (alt,) = re.findall(r'<img alt="([^"]*)"', picture.value)
        assert alt == f"the &quot;posterior&quot; as y &lt; 2 moves: {label}"


def test_the_pictures_are_the_frames(player):
    _, stack = player[0].children
    data = [re.search(r"base64,([^\"]+)", picture.value)[1] for picture in stack.children]
    assert len(set(data)) == 3
    assert all(base64.b64decode(d).startswith(b"\x89PNG") for d in data)


def test_the_same_frames_are_the_same_bytes():
    one, two = (widgets.player(frames(1), ["0"], name="y", alt="a") for _ in range(2))
    assert one.children[1].children[0].value == two.children[1].children[0].value


@pytest.mark.parametrize(("count", "labels"), [(0, []), (2, ["one"])])
def test_as_many_labels_as_frames(count, labels):
    with pytest.raises(ValueError, match="`frames` and `labels` must be as many.*Call it like"):
        widgets.player(frames(count), labels, name="y", alt="a")


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
