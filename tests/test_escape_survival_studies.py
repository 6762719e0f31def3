"""Studies of survival and of monitors, held against their oracles."""

from __future__ import annotations

import math

import pytest
from escape_studies import agrees, lines_of, module_of, small_run

import sgdsde as sg
from sgdsde.runs import Histogram


def test_curves_are_the_exact_ones() -> None:
    """E min(τ, T) within 4.8 standard errors (3 % at the minimum and in the well, 1 % at the saddle) of the oracle's; SME-1's is not SGD's."""
    found = lines_of(small_run("escape-survival")[2])
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


def test_monitors_against_their_oracles() -> None:
    """Iterates: SGD's mean; the bridge: the continuous oracle's, at 4.8 standard errors (12 %) and the bridge's own bias (2 %); each fails for the other."""
    config, _, summary = small_run("escape-monitors")
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


def test_where_the_shift_works() -> None:
    """The note names the a at which the exact ratio leaves ± 5 %."""
    config, _, summary = small_run("escape-monitors")
    shifted = float(summary.notes[0].rpartition("a = ")[2])
    module = module_of("escape-monitors")
    ratio = module._law(config, shifted, "shifted").mean / module._law(config, shifted, "SGD").mean
    assert abs(math.log(ratio)) == pytest.approx(math.log(1.05), rel=1e-2)
    assert "nowhere" in summary.notes[1]
