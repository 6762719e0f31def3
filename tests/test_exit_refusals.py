"""Exit problems without an exit, and bad input: exact answers, warnings with the theory's estimate, errors before any work."""

from __future__ import annotations

import math

import numpy as np
import pytest
from exit_problems import HALF_LINE, always, quadratic, quartic

import sgdsde as sg
from sgdsde import oracles
from sgdsde.regions import Ball, Interval
from sgdsde.types import DomainError, InputError, SgdsdeWarning


def test_zero_noise_at_a_stationary_point_is_never_and_takes_no_time() -> None:
    n = quadratic(0.3, 0.0)
    for kernel in (sg.kernels.SGD(n, 1.0), sg.kernels.Heun(sg.sdes.GradientFlow(quadratic(0.3), 1.0), 0.5), sg.kernels.SVAG(n, 1.0, 4)):
        with pytest.warns(SgdsdeWarning, match="exact answer"):
            found = sg.exit_times(kernel, [0.0], region=Interval(-1, 1), horizon=1e12, paths=100, seed=17)
        assert found.counts() == {"censored": 100}
        assert found.rate().value == 0.0
        assert bool((found.times == 1e12).all())


def test_a_region_that_is_not_left_is_reported_with_the_oracles_mean() -> None:
    kernel = sg.kernels.SGD(quadratic(0.5), 1.0)
    mean = oracles.sgd_mean_exit(quadratic(0.5), 1.0, 0.0, Interval(-8, 8)).mean
    with pytest.warns(SgdsdeWarning, match=f"None of 50 paths left.*mean exit is t = {mean:.4g}".replace("+", r"\+")):
        sg.exit_times(kernel, [0.0], region=Interval(-8, 8), horizon=10, paths=50, seed=18)
    plane = sg.noises.Gaussian(sg.objectives.Quadratic([1.0, 0.5]), 1.0)
    with pytest.warns(SgdsdeWarning, match="large-deviation exponent"):
        sg.exit_times(sg.kernels.SGD(plane, 0.1), [0.0, 0.0], region=Ball([0.0, 0.0], 5.0), horizon=1, paths=50, seed=18)
    with pytest.warns(SgdsdeWarning, match="No oracle covers"):
        sg.exit_times(sg.kernels.SGD(plane, 0.1), [0.0, 0.0], region=always, horizon=1, paths=50, seed=18)


def test_forecast_knows_the_monitor() -> None:
    kernel, interval = sg.kernels.Heun(sg.sdes.HASME(quadratic(0.5), 1.0), 0.25), Interval(-4, 4)
    sgd = oracles.sgd_mean_exit(quadratic(0.5), 1.0, 0.0, interval).mean
    forecast = sg.expected_exit(kernel, [0.0], interval)
    assert forecast is not None
    assert forecast.law is not None
    assert forecast.law.mean == pytest.approx(sgd, rel=1e-9)
    continuous = sg.expected_exit(kernel, [0.0], interval, monitor="bridge")
    assert continuous is not None
    assert continuous.law is not None
    assert continuous.law.mean == pytest.approx(0.120 * sgd, rel=5e-3)
    assert sg.expected_exit(kernel, [0.0], always) is None


def _minibatch() -> sg.kernels.SGD:
    return sg.kernels.SGD(sg.noises.Minibatch(sg.objectives.LeastSquares(np.ones((4, 1)), np.arange(4.0)), 2), 0.1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"theta0": [3.0]}, "lie outside the region, the first at \\[3.0\\]"),
        ({"theta0": [[0.0], [-2.5], [9.0]], "paths": None}, "2 of 3 start points"),
        ({"region": Ball([0.0, 0.0], 1.0)}, "region has dimension 2 and the kernel 1"),
        ({"region": "somewhere"}, "wanted a sg.Region"),
        ({"region": lambda theta: theta}, "bool tensor"),
        ({"monitor": "bridge"}, "no path between iterates"),
        ({"monitor": "shift", "kernel": _minibatch(), "theta0": [0.0]}, "no path between iterates"),
        ({"monitor": "bridge", "kernel": sg.kernels.Heun(sg.sdes.SME1(quadratic(0.3), 1.0), 0.5), "region": always}, "has none"),
        ({"monitor": "bridges"}, "Did you mean 'bridge'"),
        ({"horizon": 0.0}, "horizon"),
        ({"horizon": math.inf}, "horizon"),
        ({"seed": -1}, "seed"),
        ({"paths": 0}, "paths"),
        ({"block_size": 0}, "block_size"),
        ({"precision": 0.0}, "precision"),
        ({"precision": 0.01}, "use more paths"),
    ],
)
def test_bad_input_is_refused_before_any_work(options: dict[str, object], words: str) -> None:
    problem: dict[str, object] = {
        "kernel": sg.kernels.SGD(quadratic(0.3), 1.0),
        "theta0": [0.0],
        "region": Interval(-2, 2),
        "horizon": 10.0,
        "paths": 10,
        "seed": 1,
    }
    with pytest.raises(InputError, match=words):
        sg.exit_times(**(problem | options))  # type: ignore[arg-type]


def test_a_model_that_does_not_exist_is_refused_before_any_work() -> None:
    with pytest.raises(DomainError):
        sg.exit_times(sg.kernels.Heun(sg.sdes.HASME(quartic(1.0), 0.6), 0.2), [-1.0], region=HALF_LINE, horizon=6, paths=10, seed=1)


def test_quasi_stationary_refuses_a_start_outside() -> None:
    with pytest.raises(InputError, match="lies outside"):
        sg.QuasiStationary(sg.kernels.SGD(quadratic(0.3), 1.0), [3.0], Interval(-2, 2), 10.0)
