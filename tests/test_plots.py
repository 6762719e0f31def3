"""Plots: equal numbers give equal bytes, identifiers can be kept apart, the plotted numbers stand in the table."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest

from sgdsde.plots import Panel, Series, csv_of, difference_panels, embedded, panel_figure, save_figure, svg_of
from sgdsde.plots.style import LOOKS, look_of


def panels(shift: float = 0.0) -> tuple[Panel, ...]:
    x = np.array([0.1, 0.5, 0.9])
    y = 1 - x / 2 + shift
    points = Series("SME1", "", x, y, y - 0.1, y + 0.1, kind="points")
    band = Series("HASME", "HA-SME", x, y, y - 0.1, y + 0.1, kind="band")
    return (Panel("One", "ηλ", "ratio", (Series("SME1", "SME-1", x, y), points), level=1.0, note="n"), Panel("Two", "η", "error", (band,), log="xy"))


def test_equal_numbers_give_equal_bytes_and_others_do_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_figure(panel_figure(panels()), panels(), tmp_path / name)
    save_figure(panel_figure(panels(0.01)), panels(0.01), tmp_path / "c")
    for suffix in (".svg", ".pdf", ".png", ".csv"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
        assert (tmp_path / f"a{suffix}").read_bytes() != (tmp_path / f"c{suffix}").read_bytes()


def test_identifiers_get_the_prefix_everywhere() -> None:
    text = embedded(svg_of(panel_figure(panels())), prefix="left", title='A "title" <of> it')
    assert set(re.findall(r'\bid="([^-"]+)-', text)) == {"left"}
    for target in re.findall(r'(?:href="#|url\(#)([^")]+)', text):
        assert f'id="{target}"' in text
    assert 'aria-label="A &quot;title&quot; &lt;of> it"' in text
    assert "date" not in text.lower()


def test_the_table_holds_every_plotted_number() -> None:
    lines = list(csv.DictReader(io.StringIO(csv_of(panels()))))
    assert len(lines) == 9
    assert float(lines[3]["low"]) == pytest.approx(0.85)
    assert lines[0]["low"] == ""


def test_models_look_the_same_everywhere_and_differ_by_more_than_colour() -> None:
    assert look_of("SME1", 0) == look_of("SME1", 5)
    looks = list(LOOKS.values())
    assert len({look.color for look in looks}) == len({look.marker for look in looks}) == len(looks)
    assert len({str(look.line) for look in looks}) >= len(looks) - 1  # SGD and HA-SME, the two that should agree, are both solid


@pytest.mark.parametrize("color", [look.color for look in LOOKS.values()])
def test_lines_have_a_contrast_of_three_to_one_on_white(color: str) -> None:
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 3


def test_differences_are_drawn_for_one_time_and_for_many() -> None:
    for times in (np.array([1.0]), np.array([1.0, 2.0, 3.0])):
        value = np.linspace(0.01, 0.02, len(times))
        figure = difference_panels(times, {"loss": {"SME1": (value, value / 10)}, "tr Cov": {"SME1": (value, value / 10), "HASME": (-value, value / 5)}})
        assert len(figure.axes) == 2
        assert "SME1" in svg_of(figure)


def test_a_band_over_one_place_is_drawn_as_a_bar() -> None:
    """A band of no width would hide the interval."""
    for places in (1, 2):
        x = np.arange(places) + 1.0
        band = Series("HASME", "HA-SME", x, x, x - 0.5, x + 0.25, kind="band")
        axes = panel_figure((Panel("One", "η", "error", (band,)),)).axes[0]
        bars = [segment for collection in axes.collections if hasattr(collection, "get_segments") for segment in collection.get_segments()]
        assert [segment[:, 1].tolist() for segment in bars] == ([[0.5, 1.25]] if places == 1 else [])


def test_an_axis_that_counts_has_whole_ticks_and_another_has_not() -> None:
    """Batch sizes 3, 6, 12 would get the ticks 5.0, 7.5, 10.0; numbers that are not whole keep theirs, and so do numbers 0 and 1 alone."""
    for x, whole in (([3.0, 6.0, 12.0], True), ([3.0, 6.0, 12.5], False), ([0.0, 1.0, 1.0], False)):
        values = np.array(x)
        figure = panel_figure((Panel("", "batch size B", "steps", (Series("SGD", "", values, values / 7),)),), width=3.0, height=1.8)
        figure.canvas.draw()
        axes = figure.axes[0]
        shown = [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
        assert len(shown) >= 2
        assert all(tick == round(tick) for tick in shown) is whole
