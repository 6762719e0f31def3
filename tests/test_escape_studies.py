"""Every study of escape: a small run has numbers and pictures, other parameters run as well, what cannot be is refused; processes by name."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from escape_studies import TINY, cells_of, config_of, lines_of, small_run, study_of

import sgdsde as sg
from sgdsde.figures.listing import folder_of_figures, load_figures
from sgdsde.figures.table import read_table
from sgdsde.measurements.escape_processes import PROCESSES, checked_processes, exact_exit, process
from sgdsde.plots import csv_of
from sgdsde.regions import Interval
from sgdsde.runs.config import resolve
from sgdsde.runs.study import PROFILES, layout_of
from sgdsde.types import InputError


@pytest.mark.parametrize("name", TINY)
def test_a_small_run_has_numbers_and_pictures(name: str) -> None:
    config, cells, summary = small_run(name)
    assert set(cells) == set(study_of(name).cells(config))
    assert all(math.isfinite(float(line.estimate.value)) for line in summary.lines)
    titles = [panel.title for panel in summary.panels]
    assert len(set(titles)) == len(titles)  # tables of numbers are keyed by title
    assert all(panel.x_label for panel in summary.panels)
    assert all(panel.y_label for panel in summary.panels)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("escape-survival", {"minimum_x": 0.8, "minimum_distance": 2.0, "saddle_x": 2.5, "saddle_distance": 3.0, "well_eta": 0.1, "well_sigma": 1.8}),
        ("escape-survival", {"problems": ("double-well",), "models": ("HASME3", "SME3", "EvenStepHASME"), "well_eta": 0.05, "well_sigma": 2.5, "horizon": 0.5}),
        ("escape-monitors", {"model": "SME1", "a": (0.5,), "width": 1.5, "ladder": (2,)}),
        ("escape-barrier", {"axes": ("sharpness",), "models": ("SGD", "SPF"), "sharpness": (0.7, 3.3), "base_eta": 0.25, "sigma": 1.1}),
        ("escape-dimension", {"base": 3.0, "gain": 0.0, "eta": 0.05, "dim": (4,), "models": ("SGD", "SME2")}),
        ("escape-saddles", {"falling": 1.5, "rising": 0.3, "angle": -100.0, "correlation": -0.3, "wall": 0.9, "distance": 100.0, "line_distance": 3.0}),
        ("escape-paths", {"quartic": 0.0, "falling": 2.0, "rising": 0.5, "eta": 0.8, "correlation": -0.5, "models": ("SPF", "SME3")}),
    ],
)
def test_other_parameters_run_as_well(name: str, values: dict[str, Any]) -> None:
    """SGD's numbers are finite, and within 4.8 standard errors of exact ones where there are such; every panel has numbers."""
    config = config_of(name, **values)
    summary = study_of(name).summary(config, cells_of(name, config))
    assert all(np.isfinite(series.y).any() for panel in summary.panels for series in panel.series)
    found = lines_of(summary)
    for (cell, quantity), one in found.items():
        if cell.endswith("SGD"):
            assert math.isfinite(one.value), (cell, quantity)
        if quantity == "mean exit / SGD's exact" and cell.endswith("SGD"):
            assert abs(math.log(one.value)) < 4.8 * one.stderr / one.value
        if quantity == "E min(τ, T) / SGD's exact" and (cell, "the same, exact") in found:
            # four Heun steps a tick err by up to 3 % in the third-order models
            assert abs(one.value - found[cell, "the same, exact"].value) < 4.8 * one.stderr + 0.03


@pytest.mark.parametrize("name", TINY)
def test_profiles_are_configurations_that_can_run(name: str) -> None:
    study = study_of(name)
    for profile in PROFILES:
        config = resolve(study.config, [(profile, study.profiles[profile])])
        assert layout_of(study, config).blocks > 0


@pytest.mark.parametrize("name", TINY)
def test_the_figure_is_drawn_from_the_table_alone(name: str, tmp_path: Path) -> None:
    """The same numbers in the same looks, with no label of the study lost; of the configuration captions only."""
    config, _, summary = small_run(name)
    (tmp_path / "figure.csv").write_text(csv_of(summary.panels), encoding="utf-8")
    table = read_table(tmp_path / "figure.csv")
    stem = name.replace("-", "_")
    ((_, (figure, _)),) = load_figures((stem,), folder_of_figures()).items()
    facts = SimpleNamespace(table=table, config=asdict(config))
    stored: Any = SimpleNamespace(study=lambda asked: facts if asked == name else None)
    sheet = figure.draw(stored)
    assert len(sheet.panels) == len(summary.panels)
    assert sum(len(panel.series) for panel in sheet.panels) == sum(len(panel.series) for panel in summary.panels)
    looks = {series.name for panel in summary.panels for series in panel.series}
    assert {series.name for panel in sheet.panels for series in panel.series} == looks
    assert sheet.caption


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("escape-survival", {"models": ("SME4",)}, "no process"),
        ("escape-survival", {"problems": ("hill",)}, "not offered here"),
        ("escape-survival", {"minimum_distance": 30.0}, "escape-barrier"),
        ("escape-survival", {"saddle_x": -0.5}, "wanted more than 0"),
        ("escape-monitors", {"a": (0.5, 1.9)}, "x ≥ 1"),
        ("escape-monitors", {"a": (1.0, 0.5)}, "ascending"),
        ("escape-monitors", {"a": (0.01, 1.0)}, "stays longer"),
        ("escape-monitors", {"a": (0.3, 1.0), "width": 5.0}, "stays longer"),
        ("escape-monitors", {"model": "SME9"}, "not offered"),
        ("escape-barrier", {"axes": ("eta", "depth")}, "no axis"),
        ("escape-barrier", {"sharpness": (6.0,)}, "ends"),
        ("escape-barrier", {"paths": 12}, "whole blocks"),
        ("escape-dimension", {"eta": 0.5}, "wanted less than 1"),
        ("escape-dimension", {"dim": (1,)}, "at least 2"),
        ("escape-saddles", {"dim": (5000,)}, "fill the ball"),
        ("escape-saddles", {"bins": 25}, "even"),
        ("escape-saddles", {"dim": (1,)}, "above 1"),
        ("escape-saddles", {"line_distance": 0.1}, "Use a larger plane_distance or line_distance"),
        ("escape-saddles", {"models": ("HASME",), "correlation": 0.99, "falling": 1.8, "angle": 10.0}, "does not exist on the planar saddle"),
        ("escape-paths", {"models": ("SGD",)}, "beside it"),
        ("escape-paths", {"eta": 0.5}, "less than 1"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(name: str, values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        layout_of(study_of(name), config_of(name, **values))


def test_processes_by_name() -> None:
    """Every name makes a kernel with the tick η; those with a logarithm clip; oracles that refuse say None."""
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.81)
    for name in PROCESSES:
        kernel = process(name, noise, 0.2, substeps=2)
        assert kernel.tick == 0.2
    beyond = torch.full((1, 1), 1.6, dtype=torch.float64)  # ηλ = 1.33
    assert bool(torch.isfinite(process("HASME", noise, 0.2, substeps=2).sde.drift(0.0, beyond)).all())  # type: ignore[attr-defined]
    law = exact_exit("SGD", noise, 0.2, -1.0, Interval(-math.inf, 0.0))
    assert law is not None
    assert law.steps == pytest.approx(320.02, abs=0.01)
    assert exact_exit("SGD", sg.noises.Gaussian(sg.objectives.Quadratic([0.1]), 0.0), 1.0, 0.0, Interval(-1.0, 1.0)) is None
    with pytest.raises(InputError, match="HASME"):
        checked_processes(("HASMES",))
