"""Exit problems without an exit, and bad input: exact answers, warnings with the theory's estimate, errors before any work."""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from exit_problems import HALF_LINE, always, quadratic, quartic

import sgdsde as sg
from sgdsde import oracles
from sgdsde.monitors import as_monitor
from sgdsde.outlook import outlook
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


class Telltale(sg.kernels.SGD):
    """SGD that knows whether it has moved."""

    moved = False

    def advance(self, state, k, generator):  # type: ignore[no-untyped-def]
        self.moved = True
        return super().advance(state, k, generator)


PLANE = sg.noises.Gaussian(sg.objectives.Quadratic([1.0, 0.5]), 1.0)
SADDLE = sg.noises.Gaussian(sg.objectives.Quadratic([1.0, -0.5]), 1e-8)
JUMPS = sg.noises.SymmetricStable(sg.objectives.CosineWell(), 1.5, 1e-3)
MEAN = oracles.sgd_mean_exit(quadratic(0.5), 1.0, 0.0, Interval(-8, 8)).mean


@pytest.mark.parametrize(
    ("kernel", "start", "region", "words"),
    [
        (sg.kernels.SGD(quadratic(0.5), 1.0), [0.0], Interval(-8, 8), f"t = 10: The oracle's mean exit is t = {MEAN:.4g}. Of 50 paths 1.7e-09 are"),
        (sg.kernels.SGD(quadratic(0.2), 1.0), [0.0], Interval(-80, 80), "first-order model .* mean exit is t = e^1280"),
        (sg.kernels.SGD(quartic(0.7), 0.001), [-1.0], HALF_LINE, "first-order model has it that, watched continuously"),
        (sg.kernels.Heun(sg.sdes.SME1(quartic(0.5), 0.1), 0.1), [-1.0], HALF_LINE, "Watched continuously, SME1's mean exit"),
        (sg.kernels.SGD(PLANE, 0.1), [0.0, 0.0], Ball([0.0, 0.0], 5.0), "relaxation times .large-deviation exponent"),
        (sg.kernels.Heun(sg.sdes.HASME(PLANE, 0.1), 0.1), [0.0, 0.0], Ball([0.0, 0.0], 5.0), "relaxation times .large-deviation exponent"),
        (sg.kernels.SGD(SADDLE, 0.1), [0.0, 0.0], Ball([0.0, 0.0], 5.0), "The saddle law's mean exit is t = 25"),
        (sg.kernels.SGD(JUMPS, 0.1), [0.0], Interval(-1.0, 1.0), "By the law of one jump"),
    ],
)
def test_a_region_that_is_hardly_left_is_foretold_before_anything_moves(kernel: sg.Kernel, start: list[float], region: sg.Region, words: str) -> None:
    """The warning comes first: as an error it keeps the run from beginning. It names the theory, and what to do."""
    told = Telltale(kernel.noise, kernel.eta) if isinstance(kernel, sg.kernels.SGD) else kernel
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SgdsdeWarning, match=words.replace("+", r"\+").replace("^", r"\^")) as warning:
            sg.exit_times(told, start, region=region, horizon=10, paths=50, seed=18)
    assert "sg.rare_exit_time" in str(warning.value)
    assert not getattr(told, "moved", False)


def test_a_run_that_was_warned_of_goes_on_and_is_not_warned_of_twice() -> None:
    with pytest.warns(SgdsdeWarning) as caught:
        found = sg.exit_times(sg.kernels.SGD(quadratic(0.5), 1.0), [0.0], region=Interval(-8, 8), horizon=10, paths=50, seed=18)
    assert found.counts() == {"censored": 50}
    assert len(caught) == 1


def test_what_no_theory_foretells_is_told_afterwards() -> None:
    with pytest.warns(SgdsdeWarning, match=r"None of 50 paths left within t = 1\. No oracle covers"):
        sg.exit_times(sg.kernels.SGD(PLANE, 0.1), [0.0, 0.0], region=always, horizon=1, paths=50, seed=18)


def test_what_leaves_is_not_warned_of() -> None:
    """Also where the first-order model errs by many orders: at ηλ = 1.6 SGD leaves after 76 steps on average what SME-1 leaves at 1e6; and from a saddle in
    good time. By 200 steps 46 ± 2 of 50 paths have left."""
    noisy = sg.kernels.SGD(sg.noises.Minibatch(sg.objectives.LeastSquares(np.ones((6, 1)), np.array([-1.0, 1.0, 2.0, -2.0, 0.5, -0.5])), 1), 1.6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = sg.exit_times(sg.kernels.SGD(quadratic(1.6), 1.0), [0.0], region=Interval(-3, 3), horizon=200, paths=50, seed=18)
        sg.exit_times(noisy, [0.0], region=Interval(-6.0, 6.0), horizon=200, paths=50, seed=18)
        sg.exit_times(sg.kernels.SGD(SADDLE, 0.1), [0.0, 0.0], region=Ball([0.0, 0.0], 5.0), horizon=40, paths=50, seed=18)
    assert int((~found.censored).sum()) > 25


def test_the_outlook_costs_little_however_large_the_problem() -> None:
    """A region of 1e4 noise widths, and a barrier of 500 kT: less work than a quarter of the 20,000-point chain that the oracle itself would refuse."""
    for kernel, start, region in (
        (sg.kernels.SGD(quadratic(0.3), 1.0), 0.0, Interval(-1e4, 1e4)),
        (sg.kernels.SGD(quartic(1.0), 5e-4), -1.0, HALF_LINE),
        (sg.kernels.Heun(sg.sdes.HASME(quartic(1.0), 5e-4), 5e-4), -1.0, HALF_LINE),
    ):
        began = time.process_time()
        told = outlook(kernel, torch.tensor([start]), region, as_monitor("iterates"), horizon=1.0, paths=10)
        assert time.process_time() - began < 3.0
        assert told is not None
        assert told.log_mean > 400


def test_the_outlook_of_a_saddle_is_its_law() -> None:
    """P(τ ≤ t) by the closed form within .02 of 20,000 paths' at three times; with the growth of the flow in place of the chain's it is not."""
    kernel, region = sg.kernels.SGD(SADDLE, 0.4), Ball([0.0, 0.0], 5.0)
    told = outlook(kernel, torch.zeros(2), region, as_monitor("iterates"), horizon=1.0, paths=10)
    assert told is not None
    found = sg.exit_times(kernel, [0.0, 0.0], region=region, horizon=200, paths=20_000, seed=19)
    gaps = [abs(told.share(0.4 * k) - float((found.steps <= k).double().mean())) for k in (60, 65, 73)]
    assert max(gaps) < 0.02
    assert told.saddle is not None
    flow = replace(told, saddle=(math.exp(0.4 * 0.5), *told.saddle[1:]))
    assert max(abs(flow.share(t) - told.share(t)) for t in (24.0, 26.0, 29.0)) > 0.1


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
