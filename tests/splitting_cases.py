"""Rare exits with exact answers, shared by the tests of splitting.

The statistical tests on them use fixed seeds and a false-alarm rate of 1e-6 each (:func:`sgdsde.stats.check` of the rate, which is unbiased, by Student's t).
What they resolve is stated with each: a discrepancy of about 7.5 standard errors is seen with power .9.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import sgdsde as sg
from sgdsde import oracles
from sgdsde.regions import Interval
from sgdsde.splitting_result import RareExit
from sgdsde.stats import check, mean_estimate

LEFT = Interval(-math.inf, 0.0)
Case = tuple[sg.Kernel, list[float], Interval, float]


def quadratic(x: float, r: float) -> Case:
    """SGD at ηλ = x from the minimum out of (−r, r), r in units of ησ, and its exact mean in steps."""
    noise, region = sg.noises.Gaussian(sg.objectives.Quadratic([x]), 1.0), Interval(-r, r)
    return sg.kernels.SGD(noise, 1.0), [0.0], region, oracles.sgd_mean_exit(noise, 1.0, 0.0, region).steps


def double_well(eta: float, sigma: float) -> Case:
    """SGD across the barrier of the double well."""
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), sigma**2)
    return sg.kernels.SGD(noise, eta), [-1.0], LEFT, oracles.sgd_mean_exit(noise, eta, -1.0, LEFT).steps


def agrees(result: RareExit, steps: float) -> None:
    """The rate per step is 1/steps."""
    check(mean_estimate(result.replica_rates * result.tick * steps), 1.0, false_alarm=1e-6)


def run(case: Case, **options: Any) -> RareExit:
    kernel, start, region, _ = case
    return sg.rare_exit_time(kernel, start, region=region, seed=options.pop("seed", 1), **options)


def fit() -> tuple[sg.Objective, float]:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 1)), rng.normal(size=12) * 2
    return sg.objectives.LeastSquares(X, y), float(np.linalg.lstsq(X, y, rcond=None)[0][0])
