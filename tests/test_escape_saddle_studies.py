"""Studies of saddles and of paths: exits, angles, pairs of paths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from escape_studies import agrees, config_of, lines_of, module_of, small_run, study_of

import sgdsde as sg
from sgdsde.runs import Moments


def test_exits_off_a_saddle_in_a_hundred_dimensions() -> None:
    """2,000 paths: the mean exit within .35 steps of the law (a path's spread is 2.7), E sin² within 3 %; without the overshoot it would be 46 % more."""
    config, _, summary = small_run("escape-saddles")
    found, module = lines_of(summary), module_of("escape-saddles")
    law = sg.oracles.saddle_steps(1.5, module._left(config, 100))
    assert agrees(found["d=100 SGD", "mean exit in steps"], law)
    side = found["d=100 SGD", "E sin² of the angle to the falling direction"]
    theory = 99 * module._variance(config) / config.distance**2
    overshoot = (1 - 1.5**-2) / (2 * math.log(1.5))
    assert side.value == pytest.approx(theory * overshoot, rel=0.03)
    assert side.value != pytest.approx(theory, rel=0.2)


def test_exits_on_the_line_are_the_oracles() -> None:
    """Mean steps of SGD and SME-1 within 4.8 standard errors (about 1 %) of the exact ones; SME-1's are not SGD's at η = 1."""
    config, _, summary = small_run("escape-saddles")
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


def test_pairs_of_paths_end_where_one_leaves_the_picture() -> None:
    until_out = module_of("escape-paths").until_out
    pair = np.array([[0.0, 0, 0, 0], [1, 0, 1, 0], [3, 0, 1, 0], [1, 0, 1, 0]])
    cut = until_out(pair, np.array([2.0, 1, 2, 1]))
    assert np.isfinite(cut[:3]).all()  # the point outside is drawn, so that one sees where it goes
    assert np.isnan(cut[3]).all()
    assert np.isfinite(until_out(pair, np.array([4.0, 1, 4, 1]))).all()


def test_coupled_paths() -> None:
    """SGD's drawn paths are the same beside each model. After one step E|θ|² of HA-SME is SGD's (quadratic there) within 3 %, SME-1's is not."""
    config, cells, _ = small_run("escape-paths")
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
