"""How log Eτ (SDE time) of SGD out of a well grows with 1/η: slopes between neighbouring step sizes over the large-deviation exponent.

Without Monte Carlo by Nyström's method (Gaussian noise) and by Ulam's (Rademacher noise); by splitting at step sizes where no path would be waited for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from sgdsde.kernels import SGD
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.interval_exits import FLOOR
from sgdsde.noises import Gaussian
from sgdsde.objectives import AsymmetricWell
from sgdsde.oracles import GaussianLaw, Law, TwoPointLaw, sgd_exponent, sgd_mean_exit
from sgdsde.plots.panel import Panel, Series
from sgdsde.regions import Interval
from sgdsde.splitting import rare_exit_time
from sgdsde.splitting_result import log_interval
from sgdsde.types import Estimate

LAWS: dict[str, Law] = {"Gaussian": GaussianLaw(), "Rademacher": TwoPointLaw()}
#: a half-line is cut here for noise of finitely many values, which cannot get there
FAR = -2.0
#: relative accuracy asked of Ulam's method
ULAM = 5e-3

#: {tilt, sigma, deeper: 1 or 0}
Well = Mapping[str, float]


def well_of(well: Well) -> tuple[Gaussian, float, float, Interval]:
    """Noise, start (the deeper or the other minimum), top, and the region on this side of the top."""
    objective = AsymmetricWell(well["tilt"])
    bottom = objective.facts.minima[0 if well["deeper"] else 1][0]
    top = objective.facts.saddles[0][0]
    return Gaussian(objective, well["sigma"] ** 2), bottom, top, Interval(-math.inf, top) if bottom < top else Interval(top, math.inf)


def slopes(*, seed: int, level: float, wells: Mapping[str, Well], inverse: Sequence[float]) -> Measured:
    """``well/k``: the slope of log Eτ between the k before and this one, k = 1/η, over 2ΔV/σ²; ``well/k/shrinks``: |it − 1| less that at the k before."""
    estimates: dict[str, Estimate] = {}
    series = []
    for index, (name, well) in enumerate(wells.items()):
        noise, bottom, top, region = well_of(well)
        limit = sgd_exponent(noise, 1.0, bottom, top)
        laws = [sgd_mean_exit(noise, 1 / k, bottom, region) for k in inverse]
        ratios = []
        for (k, law), (next_k, next_law) in pairwise(zip(inverse, laws, strict=True)):
            value = math.log(next_law.mean / law.mean) / (next_k - k) / limit
            estimates[f"{name}/{next_k:g}"] = exactly(value, (law.error + next_law.error + FLOOR) / (next_k - k) / limit)
            ratios.append(value)
        for (_, before), (k, value) in pairwise(zip(inverse[1:], ratios, strict=True)):
            estimates[f"{name}/{k:g}/shrinks"] = exactly(abs(value - 1) - abs(before - 1), 4 * FLOOR)
        series.append(Series(f"well {index}", name, np.asarray(inverse[1:]), np.array(ratios), kind="band"))
    panel = Panel("Slope of log Eτ in 1/η", "1/η (the larger of two)", "slope / (2ΔV/σ²)", tuple(series), log="x", level=1.0)
    return Measured(estimates, panels=(panel,), conventions="SGD, 1-D wells, Gaussian noise of constant variance, times in SDE time, float64")


def laws_apart(*, seed: int, level: float, sigma: float, inverse: Sequence[float]) -> Measured:
    """``law/k``: the same slope in the quartic for Gaussian and Rademacher noise; ``law/exponent``: its own limit; ``law/own/k``: slope / own limit."""
    estimates: dict[str, Estimate] = {}
    noise, region = Gaussian(AsymmetricWell(0.0), sigma**2), Interval(FAR, 0.0)
    for name, law in LAWS.items():
        exponent = sgd_exponent(noise, 1.0, -1.0, 0.0, law=law)
        estimates[f"{name}/exponent"] = exactly(exponent, 1e-10)
        found = [sgd_mean_exit(noise, 1 / k, -1.0, region, law=law, tolerance=ULAM if name == "Rademacher" else None) for k in inverse]
        for (k, a), (next_k, b) in pairwise(zip(inverse, found, strict=True)):
            value, error = math.log(b.mean / a.mean) / (next_k - k), (a.error + b.error + FLOOR) / (next_k - k)
            estimates[f"{name}/{next_k:g}"] = exactly(value, error)
            estimates[f"{name}/own/{next_k:g}"] = exactly(value / exponent, error / exponent)
    return Measured(estimates, conventions=f"SGD in the quartic double well, σ = {sigma:g}, times in SDE time, float64")


def by_splitting(*, seed: int, level: float, wells: Mapping[str, Well], inverse: Sequence[float], effort: int, replicas: int) -> Measured:
    """``well/k/splitting``: the mean exit at η = 1/k by multilevel splitting over the oracle's; ``well/slope/splitting``: the slope between the two outer step
    sizes by splitting over 2ΔV/σ².
    """
    estimates: dict[str, Estimate] = {}
    notes = []
    for number, (name, well) in enumerate(wells.items()):
        noise, bottom, top, region = well_of(well)
        logs = []
        for offset, k in enumerate(inverse):
            run = rare_exit_time(
                SGD(noise, 1 / k), [bottom], region=region, effort=effort, replicas=replicas, seed=seed + 100 * number + offset, progress=False
            )
            rate = log_interval(run.replica_rates, level=level)
            mean = sgd_mean_exit(noise, 1 / k, bottom, region).mean
            estimates[f"{name}/{k:g}/splitting"] = Estimate(
                1 / rate.value / mean, rate.stderr / rate.value**2 / mean, rate.n, 1 / rate.high / mean, 1 / rate.low / mean
            )
            logs.append(rate)
            notes.append(f"{name}, 1/η = {k:g}: {mean * k:.3g} steps by the oracle, {run.evaluations:.3g} steps of paths taken")
        first, last, limit = logs[0], logs[-1], sgd_exponent(noise, 1.0, bottom, top) * (inverse[-1] - inverse[0])
        spread = math.hypot(math.log(first.high / first.value), math.log(last.high / last.value)) / limit
        stderr = math.hypot(first.stderr / first.value, last.stderr / last.value) / limit
        value = math.log(first.value / last.value) / limit
        estimates[f"{name}/slope/splitting"] = Estimate(value, stderr, replicas, value - spread, value + spread)
    return Measured(estimates, notes=tuple(notes), conventions="SGD, 1-D wells, Gaussian noise of constant variance, times in SDE time, float64")
