"""Splitting for SDE models, continuous watch, several dimensions and kernels with a memory, against oracles and direct simulation."""

from __future__ import annotations

import math
from typing import Any

import pytest
from splitting_cases import LEFT, agrees, fit, quadratic

import sgdsde as sg
from sgdsde import oracles
from sgdsde.regions import Ball, HalfSpace, Interval
from sgdsde.stats import CheckFailed


@pytest.mark.parametrize("model", [sg.sdes.SME1, sg.sdes.SME2])
def test_sde_models_at_iterates(model: type[sg.SDE]) -> None:
    """Across the double well at (η, σ) = (.2, .9) by Heun with 4 substeps, whose bias is below .5 %. Standard error 2 %, resolves 15 %."""
    sde = model(sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.81), 0.2)
    result = sg.rare_exit_time(sg.kernels.Heun(sde, 0.05), [-1.0], region=LEFT, seed=5, effort=512)
    agrees(result, oracles.skeleton_mean_exit(sde, -1.0, LEFT).steps)
    assert result.recipe["moves a tick"] == 4


def test_rare_exits_of_sde_models() -> None:
    """HA-SME by exact steps leaves a quadratic as SGD does (8.7e5 ticks), SME-1 does not (1.63e6): told apart at a standard error of 5 %."""
    kernel, start, region, exact = quadratic(0.1, 11.0)
    noise = kernel.noise
    for model, steps in ((sg.sdes.HASME, exact), (sg.sdes.SME1, oracles.skeleton_mean_exit(sg.sdes.SME1(noise, 1.0), 0.0, region).steps)):
        result = sg.rare_exit_time(sg.kernels.ExactOU(model(noise, 1.0), 0.5), start, region=region, seed=6, effort=512)
        agrees(result, steps)
    with pytest.raises(CheckFailed):
        agrees(result, exact)


@pytest.mark.parametrize("monitor", ["bridge", "shift"])
def test_continuous_watch(monitor: str) -> None:
    """SME-1 across the double well watched continuously, by eighths of a tick: 276.6 ticks, 353 at iterates. Standard error 2.5 %, resolves 20 %."""
    sde = sg.sdes.SME1(sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.81), 0.2)
    result = sg.rare_exit_time(sg.kernels.Heun(sde, 0.025), [-1.0], region=LEFT, seed=7, effort=256, monitor=monitor)
    agrees(result, oracles.sde_mean_exit(sde, -1.0, LEFT).mean / 0.2)
    with pytest.raises(CheckFailed):
        agrees(result, oracles.skeleton_mean_exit(sde, -1.0, LEFT).steps)


def against_direct(kernel: sg.Kernel, start: Any, region: Any, *, paths: int, horizon: float, **options: Any) -> None:
    """The logarithms of both means differ by less than 5 joint standard errors (false alarm 1e-6 for normal errors)."""
    split = sg.rare_exit_time(kernel, start, region=region, seed=8, **options)
    direct = sg.exit_times(kernel, start, region=region, horizon=horizon, paths=paths, seed=8).mean()
    joint = math.hypot(split.mean.stderr / split.mean.value, direct.stderr / direct.value)
    assert abs(math.log(split.mean.value / direct.value)) < 5 * joint
    assert joint < 0.06  # a factor of 1.45 is seen with power .9


def test_mueller_brown_against_direct_simulation() -> None:
    """Out of the deepest minimum over the first saddle, 1.5e3 steps, by a score that does not follow the path. 700 direct paths: resolves 30 %."""
    objective = sg.objectives.MullerBrown(scale=0.01)
    kernel = sg.kernels.SGD(sg.noises.Gaussian(objective, 20.0), 0.02)
    against_direct(kernel, list(objective.facts.minima[0]), HalfSpace([0.0, -1.0], -0.62), paths=700, horizon=2000.0, effort=256)


def test_a_ball_in_the_plane_against_direct_simulation() -> None:
    """Correlated noise in a double well, out of a ball around the minimum, which paths leave on all sides. Resolves 35 %."""
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(2), [[1.2, 0.5], [0.5, 0.8]])
    against_direct(sg.kernels.SGD(noise, 0.1), [-1.0, 0.0], Ball([-1.0, 0.0], 1.0), paths=800, horizon=1e4, effort=512)


def test_a_kernel_with_a_memory_and_a_period() -> None:
    """Epoch shuffling: the permutation goes with the path, and its place in the epoch too. 32.7 steps; resolves 10 %. Independent minibatches leave in 7."""
    objective, center = fit()
    region = Interval(center - 0.35, center + 0.35)
    shuffled = sg.kernels.ShuffledSGD(objective, 3, 0.25)
    assert shuffled.period == 4
    against_direct(shuffled, [center], region, paths=20_000, horizon=1e3, effort=128, replicas=64)
    against_direct(sg.kernels.SGD(sg.noises.Minibatch(objective, 3), 0.25), [center], region, paths=10_000, horizon=1e3, effort=128, replicas=32)
