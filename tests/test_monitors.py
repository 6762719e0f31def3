"""Monitors: each against its oracle, the same SDE several-fold apart, every border under every monitor."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch
from exit_problems import FALSE_ALARM, quadratic
from torch import Tensor

import sgdsde as sg
from sgdsde import oracles
from sgdsde.monitors.substeps import Substeps
from sgdsde.regions import Ball, Box, HalfSpace, Interval, Outside, Positive
from sgdsde.stats import CheckFailed, check
from sgdsde.types import Estimate


def test_bridge_has_the_first_passage_law_of_brownian_motion_at_any_step() -> None:
    """No drift, steps as long as the mean squared distance: crossings and their times inside the step follow P(τ ≤ t) = 2Φ(−L/√t) exactly.

    Kolmogorov's test on 40,000 paths, false-alarm rate 1e-6, resolves .013. Looking at the steps' ends alone (mutant) fails.
    """
    sde = sg.sdes.SME1(quadratic(0.0), 1.0)
    for monitor, right in (("bridge", True), ("iterates", False)):
        found = sg.exit_times(sg.kernels.EulerMaruyama(sde, 1.0), [0.0], region=HalfSpace([1.0], 1.3), horizon=6.0, monitor=monitor, paths=40_000, seed=5)
        times = np.where(found.censored, np.inf, found.times)
        grid = np.linspace(0.05, 6.0, 200)
        exact = 2 * scipy.stats.norm.cdf(-1.3 / np.sqrt(grid))
        gap = np.abs(np.searchsorted(np.sort(times), grid, side="right") / 40_000 - exact).max()
        assert (gap < math.sqrt(math.log(2 / FALSE_ALARM) / 80_000)) == right
        if right:
            assert torch.allclose(found.states[~found.censored], torch.tensor(1.3, dtype=torch.float64))


def watched(monitor: str, substeps: int = 8, seed: int = 6) -> Estimate:
    """HA-SME at x = .5 from 0 out of (−1.8, 1.5)."""
    kernel = sg.kernels.Heun(sg.sdes.HASME(quadratic(0.5), 1.0), 1 / substeps)
    return sg.exit_times(kernel, [0.0], region=Interval(-1.8, 1.5), horizon=1e3, monitor=monitor, paths=20_000, seed=seed).mean()


def test_monitors_of_a_continuous_watch() -> None:
    """bridge (8 substeps) is within error of the boundary-value problem (resolves 5 %), shift within 3 %; iterates and bare substeps are not near it."""
    sde = sg.sdes.HASME(quadratic(0.5), 1.0)
    truth = oracles.sde_mean_exit(sde, 0.0, Interval(-1.8, 1.5)).mean
    bridge = check(watched("bridge"), truth, false_alarm=FALSE_ALARM, rounding=0.01 * truth)
    assert bridge.resolvable < 0.06 * truth
    assert watched("shift").value == pytest.approx(truth, rel=0.03)
    skeleton = oracles.skeleton_mean_exit(sde, 0.0, Interval(-1.8, 1.5)).mean
    check(watched("iterates"), skeleton, false_alarm=FALSE_ALARM, rounding=0.01 * truth)
    assert skeleton > 2 * truth
    bare = sg.exit_times(Substeps(sg.kernels.Heun(sde, 1 / 8)), [0.0], region=Interval(-1.8, 1.5), horizon=1e3, paths=20_000, seed=6).mean()
    with pytest.raises(CheckFailed):
        check(bare, truth, false_alarm=FALSE_ALARM, rounding=0.01 * truth)


def test_outward_shift_predicts_iterates_where_a_is_small() -> None:
    """B12: at x = .1, R/s = 3 it is within 4 % of SGD's mean; the unshifted watch is at half of it."""
    n, interval = quadratic(0.1), Interval(-3, 3)
    sde, truth = sg.sdes.HASME(n, 1.0), oracles.sgd_mean_exit(n, 1.0, 0.0, interval).mean
    shifted = sg.exit_times(sg.kernels.Heun(sde, 1 / 8), [0.0], region=interval, horizon=1e4, monitor="shift outward", paths=10_000, seed=7).mean()
    assert shifted.value == pytest.approx(truth, rel=0.04)
    assert oracles.sde_mean_exit(sde, 0.0, interval).mean < 0.75 * truth


def test_bridge_in_two_dimensions_is_the_first_face_reached() -> None:
    """Independent coordinates: the box's survival is the product of two intervals' (P(τ > 1) from the oracle, 20,000 paths), and sides count faces."""
    n = sg.noises.Gaussian(sg.objectives.Quadratic([0.3, -0.2]), [[1.0, 0.0], [0.0, 2.0]])
    found = sg.exit_times(
        sg.kernels.Heun(sg.sdes.SME1(n, 1.0), 1 / 16), [0.0, 0.0], region=Box([-1.2, -2.0], [1.2, 2.0]), horizon=40, monitor="bridge", paths=20_000, seed=8
    )
    parts = [
        oracles.sde_mean_exit(sg.sdes.SME1(quadratic(lam, math.sqrt(v)), 1.0), 0.0, Interval(-r, r)).survival([1.0])[0]
        for lam, v, r in ((0.3, 1.0, 1.2), (-0.2, 2.0, 2.0))
    ]
    survived = float((found.times > 1.0).double().mean())
    assert abs(survived - parts[0] * parts[1]) < 5 * 0.5 / math.sqrt(20_000) + 0.005
    for axis, limit in ((1, 1.2), (2, 2.0)):
        for sign in (-1, 1):
            on_face = found.states[found.sides == sign * axis][:, axis - 1]
            assert torch.allclose(on_face, torch.full_like(on_face, sign * limit), atol=1e-9)


def test_every_region_with_a_border_takes_every_monitor() -> None:
    n = sg.noises.Gaussian(sg.objectives.DoubleWell(2), 2.25)
    kernel = sg.kernels.Heun(sg.sdes.SME1(n, 0.1), 0.05)
    for region in (Ball([-1.0, 0.0], 0.5), sg.regions.Sublevel(n.objective, 0.1), Positive(beside), Outside(Ball([1.0, 0.0], 1.5))):
        means = []
        for monitor in ("iterates", "bridge", "shift", "shift outward"):
            found = sg.exit_times(kernel, [-1.0, 0.0], region=region, horizon=1e3, monitor=monitor, paths=500, seed=9)
            assert found.monitor == monitor
            assert set(found.sides.tolist()) == {1}
            means.append(found.mean().value)
        assert means[1] < means[0]
        assert means[2] < means[0]


def beside(theta: Tensor) -> Tensor:
    return -0.3 - theta[:, 0]
