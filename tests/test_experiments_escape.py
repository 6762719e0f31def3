"""Studies of escape: small runs of each against exact answers, their formulas by hand, their figures from stored tables.

Statistical tests use fixed seeds and false-alarm rates of 1e-5 or less; what each resolves is said with it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde.figures.listing import folder_of_figures, load_figures
from sgdsde.figures.table import read_table
from sgdsde.measurements import escape_processes
from sgdsde.measurements.escape_processes import PROCESSES, checked_processes, exact_exit, mean_from_rate, process
from sgdsde.plots import csv_of
from sgdsde.regions import Interval
from sgdsde.runs import Histogram, Moments, Summary
from sgdsde.runs.config import resolve
from sgdsde.runs.listing import folder_of_studies, load
from sgdsde.runs.study import PROFILES, block_seed, layout_of
from sgdsde.types import Estimate, InputError, OracleRefusal

#: a run of each study that takes about a second
TINY: dict[str, dict[str, Any]] = {
    "escape-survival": {
        "paths": 800,
        "block_paths": 400,
        "models": ("SGD", "SME1"),
        "minimum_distance": 2.5,
        "well_sigma": 1.3,
        "substeps": 4,
    },
    "escape-monitors": {"paths": 1_500, "block_paths": 1_500, "a": (0.8, 1.4), "width": 1.8, "substeps": 4, "ladder": (1, 4)},
    "escape-barrier": {
        "paths": 8,
        "block_paths": 8,
        "models": ("SGD", "SME1"),
        "eta": (0.2, 0.3),
        "batch": (2.0,),
        "sharpness": (1.0,),
        "sharp_batch": 2.0,
        "effort": 64,
        "substeps": 1,
    },
    "escape-dimension": {
        "paths": 8,
        "block_paths": 8,
        "models": ("SGD", "HASME"),
        "dim": (2, 3),
        "eigen_up_to": 2,
        "temperature": 0.12,
        "effort": 32,
        "substeps": 1,
    },
    "escape-saddles": {"paths": 2_000, "block_paths": 1_000, "models": ("SGD", "SME1"), "dim": (1, 100), "models_up_to": 1, "eta": (0.3, 1.0), "bins": 24},
    "escape-paths": {"paths": 2_000, "block_paths": 2_000, "models": ("SME1", "HASME"), "substeps": 8, "steps": 8, "drawn": 2},
}
Cells = dict[str, dict[str, Any]]


def study_of(name: str) -> Any:
    return load(name, folder_of_studies())


def module_of(name: str) -> Any:
    study_of(name)
    return sys.modules["sgdsde_experiments_" + name.replace("-", "_")]


def config_of(name: str, **values: Any) -> Any:
    return resolve(study_of(name).config, [("test", TINY[name] | values)])


def cells_of(name: str, config: Any) -> Cells:
    """All blocks of a run, merged in order."""
    layout = layout_of(study_of(name), config)
    merged: Cells = {}
    for index in range(layout.blocks):
        cell, part = layout.place(index)
        block = study_of(name).block(config, cell, paths=layout.paths_of(part), seed=block_seed(config.seed, cell, part))
        merged[cell] = block if cell not in merged else {key: merged[cell][key].merge(value) for key, value in block.items()}
    return merged


@pytest.fixture(scope="module")
def runs() -> dict[str, tuple[Any, Cells, Summary]]:
    """Every study, run small once."""
    found = {}
    for name in TINY:
        config = config_of(name)
        cells = cells_of(name, config)
        found[name] = (config, cells, study_of(name).summary(config, cells))
    return found


def lines_of(summary: Summary) -> dict[tuple[str, str], Estimate]:
    return {(line.cell, line.quantity): line.estimate for line in summary.lines}


def agrees(found: Estimate, exact: float, sigmas: float = 4.8) -> bool:
    """Within ``sigmas`` standard errors: at 4.8 a false alarm in 6e5."""
    return abs(found.value - exact) < sigmas * found.stderr


# ---- every study


@pytest.mark.parametrize("name", TINY)
def test_a_small_run_has_numbers_and_pictures(runs: Mapping[str, Any], name: str) -> None:
    config, cells, summary = runs[name]
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
def test_the_figure_is_drawn_from_the_table_alone(runs: Mapping[str, Any], name: str, tmp_path: Path) -> None:
    """The same numbers in the same looks, with no label of the study lost."""
    summary = runs[name][2]
    (tmp_path / "figure.csv").write_text(csv_of(summary.panels), encoding="utf-8")
    table = read_table(tmp_path / "figure.csv")
    stem = name.replace("-", "_")
    ((_, (figure, _)),) = load_figures((stem,), folder_of_figures()).items()
    stored: Any = SimpleNamespace(study=lambda asked: SimpleNamespace(table=table) if asked == name else None)
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


# ---- survival


def test_curves_are_the_exact_ones(runs: Mapping[str, Any]) -> None:
    """E min(τ, T) within 4.8 standard errors (3 % at the minimum and in the well, 1 % at the saddle) of the oracle's; SME-1's is not SGD's."""
    found = lines_of(runs["escape-survival"][2])
    for problem in ("minimum", "saddle", "double-well"):
        for model in ("SGD", "SME1"):
            cell = f"{problem} {model}"
            exact = found[cell, "the same, exact"].value
            assert agrees(found[cell, "E min(τ, T) / SGD's exact"], exact), cell
            assert (exact == pytest.approx(1.0)) == (model == "SGD")
    assert not agrees(found["saddle SME1", "E min(τ, T) / SGD's exact"], 1.0)


def test_a_survival_band_by_hand() -> None:
    """Clopper–Pearson of 7 of 10; a lost path widens both ends; none and all."""
    survival = module_of("escape-survival").survival
    value, low, high = survival(Histogram.of([1, 1, 3, 9, 9, 9, 9, 9, 9, 9], [0.5, 1.5, 2.5, 3.5]))
    assert value.tolist() == [1.0, 0.8, 0.8, 0.7]
    assert (low[3], high[3]) == (pytest.approx(0.34755, abs=1e-5), pytest.approx(0.93326, abs=1e-5))
    assert (low[0], high[0]) == (pytest.approx(0.025**0.1), 1.0)
    _, wide_low, wide_high = survival(Histogram.of([1, 1, 3, 9, 9, 9, 9, 9, 9, math.nan], [0.5, 1.5, 2.5, 3.5]))
    assert wide_low[3] < low[3]
    assert wide_high[3] == high[3]


# ---- monitors


def test_monitors_against_their_oracles(runs: Mapping[str, Any]) -> None:
    """Iterates: SGD's mean; the bridge: the continuous oracle's, at 4.8 standard errors (12 %) and the bridge's own bias (2 %); each fails for the other."""
    config, _, summary = runs["escape-monitors"]
    module, found = module_of("escape-monitors"), lines_of(summary)
    for a in config.a:
        iterates = found[f"iterates a={a!r} n=4", "mean exit / SGD's exact"]
        bridge = found[f"bridge a={a!r} n=4", "mean exit / SGD's exact"]
        continuous = module._law(config, a, "continuous").mean / module._law(config, a, "SGD").mean
        assert agrees(iterates, 1.0)
        assert agrees(bridge, continuous, 6.0)
        assert not agrees(bridge, 1.0)
        assert not agrees(iterates, continuous)
    assert set(found) >= {(f"shift a={config.ladder_a!r} n=1", "mean exit / continuous oracle")}


def test_where_the_border_stands() -> None:
    """x, R from (a, c): R is c stationary deviations of SGD, the drift over noise at the border is a. The mutant x = a²/(c² + a²) puts it elsewhere."""
    place = module_of("escape-monitors")._place
    for a, width in ((0.4, 2.4), (2.0, 2.1)):
        x, distance = place(a, width)
        noise = sg.noises.Gaussian(sg.objectives.Quadratic([x]), 1.0)
        deviation = float(sg.oracles.stationary_covariance(noise, 1.0)[0, 0]) ** 0.5
        assert distance == pytest.approx(width * deviation)
        assert x * distance == pytest.approx(a)
        mutant = a**2 / (width**2 + a**2)
        assert a / mutant != pytest.approx(width / (mutant * (2 - mutant)) ** 0.5, rel=1e-3)


def test_where_the_shift_works(runs: Mapping[str, Any]) -> None:
    """The note names the a at which the exact ratio leaves ± 5 %."""
    config, _, summary = runs["escape-monitors"]
    shifted = float(summary.notes[0].rpartition("a = ")[2])
    module = module_of("escape-monitors")
    ratio = module._law(config, shifted, "shifted").mean / module._law(config, shifted, "SGD").mean
    assert abs(math.log(ratio)) == pytest.approx(math.log(1.05), rel=1e-2)
    assert "nowhere" in summary.notes[1]


# ---- barriers


def test_a_well_of_another_width_is_the_double_well_in_other_units() -> None:
    """One step of SGD on f = 4h[(θ/w)⁴/4 − (θ/w)²/2], h = ¼, in u = θ/w. Mutants: η' without the ½, the variance without the 2."""
    module, config = module_of("escape-barrier"), config_of("escape-barrier")
    for axis, value in (("sharpness", 1.3), ("sharpness", 3.7), ("eta", 0.17), ("batch", 5.0)):
        eta, variance = module._scaled(config, axis, value)
        sharpness = value if axis == "sharpness" else 2.0
        step = value if axis == "eta" else config.base_eta
        batch = {"eta": config.base_batch, "batch": value, "sharpness": config.sharp_batch}[axis]
        w = math.sqrt(2 / sharpness)  # f'' = 8h/w² = λ
        theta, xi = 0.37, 1.9
        u = theta / w
        moved = theta - step * ((u**3 - u) / w + config.sigma / math.sqrt(batch) * xi)
        for factor, root, same in ((1.0, 1.0, True), (2.0, 1.0, False), (1.0, 0.5**0.5, False)):
            other = u - factor * eta * (u**3 - u + root * math.sqrt(variance) * xi)
            assert (other * w == pytest.approx(moved)) == same
        law = math.sqrt(2) * math.pi * math.exp(0.25 / (step * config.sigma**2 / batch / 2)) / (step * sharpness)
        assert module.kramers_steps(config, axis, value) == pytest.approx(law)


def test_rates_by_splitting_are_the_oracles(runs: Mapping[str, Any]) -> None:
    """Each within a factor 4.8 log-standard-errors (eight replicas: up to 2.5); all together within 15 %, where forgetting the ½ of η' is a factor of 2 off."""
    found = lines_of(runs["escape-barrier"][2])
    ratios = [one for (cell, quantity), one in found.items() if quantity == "mean exit / SGD's exact" and cell.endswith("SGD")]
    assert len(ratios) == 4
    for one in ratios:
        assert abs(math.log(one.value)) < 4.8 * one.stderr / one.value
    assert abs(float(np.mean([math.log(one.value) for one in ratios]))) < 0.4


def test_a_refused_splitting_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: Any, **options: Any) -> None:
        raise OracleRefusal("no way out")

    monkeypatch.setattr(escape_processes, "rare_exit_time", refused)
    for name in ("escape-barrier", "escape-dimension"):
        config = config_of(name)
        summary = study_of(name).summary(config, cells_of(name, config))
        assert any("refused in 8" in note for note in summary.notes)
        assert all(math.isnan(line.estimate.value) for line in summary.lines)


def test_few_distinct_points_are_a_remark(runs: Mapping[str, Any]) -> None:
    """Of a splitting so small that it warns."""
    _, cells, summary = runs["escape-dimension"]
    assert {cell for cell in cells if float(cells[cell]["distinct"].mean) * 8 < 200} == {note.partition(":")[0] for note in summary.notes if "distinct" in note}
    assert any("distinct" in note for note in summary.notes)


def test_a_mean_from_a_rate_by_hand() -> None:
    """1/2 with Student's factor e^{t·s/m}, t = 4.302653 at three replicas."""
    found = mean_from_rate(Moments.of([1.0, 2.0, 3.0]).mean_estimate())
    factor = math.exp(4.302653 * 3**-0.5 / 2)
    assert (found.value, found.low, found.high) == (pytest.approx(0.5), pytest.approx(0.5 / factor), pytest.approx(0.5 * factor))
    assert math.isnan(mean_from_rate(Moments.of([0.0, 0.0]).mean_estimate()).value)


# ---- dimension


def test_laws_against_the_dimension() -> None:
    """Eyring–Kramers' falls by √(k₀/(k₀+k₁)) a dimension; it and the exact mean agree as T → 0; the slope of HA-SME is −(3 + (d−1)k₁)/2."""
    module = module_of("escape-dimension")
    config = config_of("escape-dimension", base=0.8, gain=0.5, temperature=0.03, eta=0.02)
    laws = [module.law_steps(config, dim) for dim in (2, 3, 4)]
    assert laws[1] / laws[0] == pytest.approx((0.8 / 1.3) ** 0.5)
    assert laws[2] / laws[1] == pytest.approx((0.8 / 1.3) ** 0.5)
    assert module.exact_steps(config, 3, "SGD") / laws[1] == pytest.approx(1.0, abs=0.1)  # O(T); the other well's half of it would be off by 2
    assert module._slope(config, 4) == pytest.approx(-(3 + 3 * 0.5) / 2)
    ratio = math.log(module.exact_steps(config, 3, "HASME") / module.exact_steps(config, 3, "SGD")) / config.eta
    assert ratio == pytest.approx(module._slope(config, 3), rel=0.15)


# ---- saddles


def test_exits_off_a_saddle_in_a_hundred_dimensions(runs: Mapping[str, Any]) -> None:
    """2,000 paths: the mean exit within .35 steps of the law (a path's spread is 2.7), E sin² within 3 %; without the overshoot it would be 46 % more."""
    config, _, summary = runs["escape-saddles"]
    found, module = lines_of(summary), module_of("escape-saddles")
    law = sg.oracles.saddle_steps(1.5, module._left(config, 100))
    assert agrees(found["d=100 SGD", "mean exit in steps"], law)
    side = found["d=100 SGD", "E sin² of the angle to the falling direction"]
    theory = 99 * module._variance(config) / config.distance**2
    overshoot = (1 - 1.5**-2) / (2 * math.log(1.5))
    assert side.value == pytest.approx(theory * overshoot, rel=0.03)
    assert side.value != pytest.approx(theory, rel=0.2)


def test_exits_on_the_line_are_the_oracles(runs: Mapping[str, Any]) -> None:
    """Mean steps of SGD and SME-1 within 4.8 standard errors (about 1 %) of the exact ones; SME-1's are not SGD's at η = 1."""
    config, _, summary = runs["escape-saddles"]
    found, exact = lines_of(summary), module_of("escape-saddles")._exact
    for eta in config.eta:
        for model in config.models:
            assert agrees(found[f"eta={eta!r} {model}", "mean exit in steps"], exact(config, model, eta))
    assert not agrees(found["eta=1.0 SME1", "mean exit in steps"], exact(config, "SGD", 1.0))


def test_angles_are_counted_from_the_falling_direction() -> None:
    """Isotropic noise: as many exits on either side of the falling direction and at either end of it (4.8 standard errors), whatever the angle."""
    config = config_of("escape-saddles", correlation=0.0, angle=70.0, models=("SGD",))
    angle = study_of("escape-saddles").block(config, "plane SGD", paths=2_000, seed=5)["angle"]
    counts = angle.counts
    quarter = config.bins // 4
    assert counts.sum() == 2_000
    near = counts[: 2 * quarter].sum(), counts[2 * quarter :].sum()
    left = counts[:quarter].sum() + counts[2 * quarter : 3 * quarter].sum()
    for part in (near[0], left):
        assert abs(part - 1_000) < 4.8 * math.sqrt(500)
    assert counts[quarter - 3 : quarter + 3].sum() > 0.9 * near[0]


# ---- paths


def test_pairs_of_paths_end_where_one_leaves_the_picture() -> None:
    until_out = module_of("escape-paths").until_out
    pair = np.array([[0.0, 0, 0, 0], [1, 0, 1, 0], [3, 0, 1, 0], [1, 0, 1, 0]])
    cut = until_out(pair, np.array([2.0, 1, 2, 1]))
    assert np.isfinite(cut[:3]).all()  # the point outside is drawn, so that one sees where it goes
    assert np.isnan(cut[3]).all()
    assert np.isfinite(until_out(pair, np.array([4.0, 1, 4, 1]))).all()


def test_coupled_paths(runs: Mapping[str, Any]) -> None:
    """SGD's drawn paths are the same beside each model. After one step E|θ|² of HA-SME is SGD's (quadratic there) within 3 %, SME-1's is not."""
    config, cells, _ = runs["escape-paths"]
    one, other = (cells[f"drawn {name}"]["paths"].mean for name in ("SME1", "HASME"))
    assert np.array_equal(one[..., :2], other[..., :2])
    assert not np.array_equal(one[..., 2:], other[..., 2:])
    module = module_of("escape-paths")
    ratios = {name: module.size_ratio(*(cells[f"distance {name}"][key].mean_estimate() for key in ("gain", "size"))) for name in config.models}
    assert ratios["HASME"].value[0] == pytest.approx(1.0, abs=0.03)
    assert ratios["SME1"].value[0] < 0.98


def test_ratios_of_sizes_by_hand() -> None:
    module = module_of("escape-paths")
    a, b = np.array([[1.0], [3.0]]), np.array([[2.0], [4.0]])
    ratio = module.size_ratio(Moments.of(b - a).mean_estimate(), Moments.of(a).mean_estimate())
    assert ratio.value.tolist() == [1.5]
    apart = module.relative_distance(Moments.of(np.array([[1.0], [1.0]])).mean_estimate(), Moments.of(np.array([[4.0], [4.0]])).mean_estimate())
    assert (apart.value.tolist(), apart.stderr.tolist()) == ([0.5], [0.0])


# ---- processes


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
