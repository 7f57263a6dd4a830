"""The player: a slider and pictures that are linked in the browser, with no kernel behind them."""

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
