"""Exits from intervals by paths, for every monitor, against SGD's exact exit law: what the deterministic ratios look like when somebody simulates.

Compared is the restricted mean E min(τ, T), T = twice SGD's mean exit, over SGD's own (the sum of its exact survival curve): no path needs to be waited
for, and none is dropped. Models run by stochastic Heun.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sgdsde.exits import exit_times
from sgdsde.kernel import Kernel
from sgdsde.kernels import SGD, Heun
from sgdsde.measurement import Measured
from sgdsde.measurements.interval_exits import ITERATES, MODELS, law_of, noise_at
from sgdsde.oracles import ExitLaw
from sgdsde.regions import Interval
from sgdsde.types import Estimate

#: the watch ends after this many of SGD's mean exits
WATCHED = 2.0


def interval_paths(*, seed: int, level: float, runs: Mapping[str, Mapping[str, Any]], paths: int, substeps: int) -> Measured:
    """For each run {x, low, high, start, model, monitor}: ``run``, the restricted mean of the model ("SGD" or an SDE's name) over SGD's exact one."""
    estimates: dict[str, Estimate] = {}
    notes = [f"{paths} paths, stochastic Heun with {substeps} steps a tick; restricted means up to {WATCHED:g} of SGD's mean exits"]
    for offset, (name, run) in enumerate(runs.items()):
        noise, sgd = noise_at(run["x"]), law_of("SGD", ITERATES, run)
        ticks = math.ceil(WATCHED * sgd.mean)
        kernel: Kernel = SGD(noise, 1.0) if run["model"] == "SGD" else Heun(MODELS[run["model"]](noise, 1.0), 1.0 / substeps)
        found = exit_times(
            kernel,
            [run["start"]],
            region=Interval(run["low"], run["high"]),
            horizon=float(ticks),
            monitor=run["monitor"],
            paths=paths,
            seed=seed + offset,
            progress=False,
        )
        estimates[name] = over(found.restricted_mean(found.horizon, level=level), restricted(sgd, ticks))
    return Measured(estimates, notes=tuple(notes), conventions="1-D quadratic, Gaussian noise, float64; units η = 1, σ = 1")


def restricted(law: ExitLaw, ticks: int) -> float:
    """E min(τ, T) of a law looked at ticks of length 1: Σ_{k<T} P(τ > k)."""
    return float(law.survival(np.arange(float(ticks))).sum())


def over(estimate: Estimate, exact: float) -> Estimate:
    """An estimate divided by an exact positive number."""
    return Estimate(estimate.value / exact, estimate.stderr / exact, estimate.n, estimate.low / exact, estimate.high / exact)
