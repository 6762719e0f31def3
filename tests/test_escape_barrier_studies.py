"""Studies of barriers and of the dimension: units, rates by splitting, refusals that are results."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from escape_studies import cells_of, config_of, lines_of, module_of, small_run, study_of

from sgdsde.measurements import escape_processes
from sgdsde.measurements.escape_processes import mean_from_rate
from sgdsde.runs import Moments
from sgdsde.types import OracleRefusal


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


def test_rates_by_splitting_are_the_oracles() -> None:
    """Each within a factor 4.8 log-standard-errors (eight replicas: up to 2.5); all together within 15 %, where forgetting the ½ of η' is a factor of 2 off."""
    found = lines_of(small_run("escape-barrier")[2])
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


def test_few_distinct_points_are_a_remark() -> None:
    """Of a splitting so small that it warns."""
    _, cells, summary = small_run("escape-dimension")
    assert {cell for cell in cells if float(cells[cell]["distinct"].mean) * 8 < 200} == {note.partition(":")[0] for note in summary.notes if "distinct" in note}
    assert any("distinct" in note for note in summary.notes)


def test_a_mean_from_a_rate_by_hand() -> None:
    """1/2 with Student's factor e^{t·s/m}, t = 4.302653 at three replicas."""
    found = mean_from_rate(Moments.of([1.0, 2.0, 3.0]).mean_estimate())
    factor = math.exp(4.302653 * 3**-0.5 / 2)
    assert (found.value, found.low, found.high) == (pytest.approx(0.5), pytest.approx(0.5 / factor), pytest.approx(0.5 * factor))
    assert math.isnan(mean_from_rate(Moments.of([0.0, 0.0]).mean_estimate()).value)


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
