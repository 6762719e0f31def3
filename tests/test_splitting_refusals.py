"""What splitting refuses, and what it counts or warns of."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from splitting_cases import LEFT, double_well, quadratic, run
from torch import Tensor

import sgdsde as sg
from sgdsde.regions import Ball, Interval, Where
from sgdsde.types import InputError, OracleRefusal, SgdsdeWarning


def test_paths_that_break_are_counted_and_leave_no_mean() -> None:
    """HA-SME does not exist around the top of this barrier: exits and breaks compete. The rate is that of direct simulation (standard errors 3 and 9 %)."""
    kernel = sg.kernels.Heun(sg.sdes.HASME(sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.81), 0.2), 0.05)
    result = sg.rare_exit_time(kernel, [-1.0], region=LEFT, seed=1, effort=256)
    assert result.fates["out_of_domain"] > 0
    assert result.tally.counts["log out of domain"] >= result.fates["out_of_domain"]
    assert "mean exit time" not in str(result)
    with pytest.raises(InputError, match="broke before they left"):
        _ = result.mean
    direct = sg.exit_times(kernel, [-1.0], region=LEFT, horizon=1e3, paths=1000, seed=1).rate()
    assert abs(result.rate.value - direct.value) < 5 * math.hypot(result.rate.stderr, direct.stderr)


def still() -> sg.Kernel:
    return sg.kernels.SGD(sg.noises.Gaussian(sg.objectives.Quadratic([0.1]), 0.0), 1.0)


def flat(theta: Tensor) -> Tensor:
    return torch.ones_like(theta[:, 0])


def undefined(theta: Tensor) -> Tensor:
    return theta[:, 0] * math.nan


def crossed(theta: Tensor) -> Tensor:
    return theta[:, 0] < 2


@pytest.mark.parametrize(
    ("kernel", "start", "options", "error", "words"),
    [
        (None, [0.0], {"region": Where(crossed)}, InputError, "no border, so nothing tells how near"),
        (None, [0.0], {"region": crossed}, InputError, "Give score=…"),
        (None, [11.0], {}, InputError, "lie outside the region"),
        (None, [0.0], {"region": Ball([0.0, 0.0], 1.0)}, InputError, "region has dimension 2"),
        (None, [0.0], {"score": 3.0}, InputError, "wanted a function"),
        (None, [0.0], {"score": undefined}, InputError, "NaN at a finite point"),
        (None, [0.0], {"score": torch.ones_like}, InputError, "wanted floating numbers"),
        (None, [0.0], {"score": flat}, OracleRefusal, "give another score"),
        (None, [0.0], {"levels": (1.0, 2.0)}, InputError, "falling scores"),
        (None, [0.0], {"levels": (4.0,)}, InputError, "at least two"),
        (None, [0.0], {"levels": (0.5, 0.4)}, InputError, "paths came from the core"),
        (None, [0.0], {"levels": (12.0, 6.0)}, OracleRefusal, "nor came back into the core"),
        (None, [0.0], {"effort": 4}, InputError, "effort = 4"),
        (None, [0.0], {"replicas": 2}, InputError, "replicas = 2"),
        (None, [0.0], {"burn_in": 0.0}, InputError, "burn_in"),
        (None, [0.0], {"monitor": "bridge"}, InputError, "between its steps"),
        (still(), [0.0], {}, OracleRefusal, "no path ever leaves"),
        (still(), [1.0], {}, OracleRefusal, "there is no noise"),
    ],
)  # fmt: skip
def test_bad_input(kernel: sg.Kernel | None, start: list[float], options: dict[str, Any], error: type[Exception], words: str) -> None:
    options = {"region": Interval(-10.0, 10.0), "effort": 64, "replicas": 8, **options}
    with pytest.raises(error, match=words):
        sg.rare_exit_time(kernel or quadratic(0.1, 3.0)[0], start, seed=1, **options)


def test_a_second_well_inside_the_region_is_refused() -> None:
    """Paths that cross into the other well come back after thousands of steps, if ever: no cycle, no flux."""
    kernel = double_well(0.1, 0.6)[0]
    with pytest.raises(OracleRefusal, match="linger somewhere else"):
        sg.rare_exit_time(kernel, [-1.0], region=Interval(-math.inf, 2.0), seed=1)


def test_what_never_settles_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sgdsde.splitting_plan.MAX_SETTLING", 256)
    walk = sg.kernels.SGD(sg.noises.Gaussian(sg.objectives.Quadratic([0.0]), 1.0), 1.0)
    with pytest.raises(OracleRefusal, match="does not settle"):
        sg.rare_exit_time(walk, [0.0], region=Interval(-1e4, 1e4), seed=1)


def test_jumps_that_cannot_be_divided_are_refused() -> None:
    """ηλ near 1: every iterate starts afresh, and an integrator of one step a tick has no parts. SGD's Gaussian noise has."""
    noise = sg.noises.Gaussian(sg.objectives.Quadratic([0.99]), 1.0)
    with pytest.raises(OracleRefusal, match="not separated by the size of a step"):
        sg.rare_exit_time(sg.kernels.ExactOU(sg.sdes.HASME(noise, 1.0), 1.0), [0.0], region=Interval(-6, 6), seed=1)


def test_few_distinct_points_are_warned_of() -> None:
    with pytest.warns(SgdsdeWarning, match="distinct points stand behind a level"):
        run(quadratic(0.1, 8.0), effort=16, replicas=8, levels=(6.0, 4.0, 2.0))
