"""Exits through a border on a slope, at fixed σ and R while η → 0, without Monte Carlo: a = g(R)/σ is the drift over the noise in one tick there.

SGD's stationary law is e^{−2f/(ησ²)} times a factor that stays at η → 0: for dimensional reasons a function of g²/σ², and on quadratics, where the variance is
ησ²/(λ(2 − ηλ)), it is e^{g²/(2σ²)}. SME-1's has no such factor, SME-2's and SPF's have its inverse. So, looked at t = kη, the mean exits over SGD's
tend to e^{a²/2} and e^{a²}; watched continuously they are smaller by ν(2a) (:func:`sgdsde.oracles.overshoot_factor`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.interval_exits import FLOOR, NAMES, quotient
from sgdsde.noises import Gaussian
from sgdsde.objectives import AsymmetricWell, Quadratic
from sgdsde.oracles import overshoot_factor, sde_mean_exit, sgd_mean_exit, skeleton_mean_exit
from sgdsde.plots.panel import Panel, Series
from sgdsde.regions import Interval
from sgdsde.sdes import HASME, SME1, SME2, SPF
from sgdsde.types import Estimate

SKELETONS: dict[str, Any] = {"SME1": SME1, "SME2": SME2, "SPF": SPF, "HASME": HASME}
#: log(mean exit at iterates / SGD's) as a multiple of a², in the limit
LIMITS = {"SME1": 0.5, "SME2": 1.0, "SPF": 1.0, "HASME": 0.0}
#: where the border stands on the wells: the fraction of the way from the minimum to the top
UPHILL = 0.35


def quadratic_slope(*, seed: int, level: float, etas: Mapping[float, Sequence[float]]) -> Measured:
    """λ = σ = 1, exits from (−a, a), for each a at its step sizes.

    ``a/η/model``: log(mean exit at iterates / SGD's)/a²; ``a/η/watch/model``: continuous / at iterates, for SME-1 and HA-SME; ``a/error/model``: |error of the
    first| at the smallest η less that at the one before.
    """
    estimates: dict[str, Estimate] = {}
    found: dict[str, list[tuple[float, float, float]]] = {model: [] for model in SKELETONS}
    for a, steps in etas.items():
        errors: dict[str, list[float]] = {model: [] for model in SKELETONS}
        for eta in steps:
            noise, region = Gaussian(Quadratic([1.0]), 1.0), Interval(-a, a)
            sgd = sgd_mean_exit(noise, eta, 0.0, region)
            for name, model in SKELETONS.items():
                skeleton = skeleton_mean_exit(model(noise, eta), 0.0, region)
                value = math.log(skeleton.mean / sgd.mean) / a**2
                estimates[f"{a}/{eta}/{name}"] = exactly(value, (skeleton.error + sgd.error + FLOOR) / a**2)
                errors[name].append(abs(value - LIMITS[name]))
                found[name].append((a, eta, value * a**2))
                if name in ("SME1", "HASME"):
                    estimates[f"{a}/{eta}/watch/{name}"] = quotient(sde_mean_exit(model(noise, eta), 0.0, region), skeleton)
        estimates |= {f"{a}/error/{name}": exactly(each[-1] - each[-2], 4 * FLOOR / a**2) for name, each in errors.items()}
    return Measured(estimates, panels=(_panel(found),), conventions="1-D quadratic λ = σ = 1, Gaussian noise, float64; deterministic oracles")


def well_slope(*, seed: int, level: float, wells: Mapping[str, Mapping[str, float]], etas: Sequence[float]) -> Measured:
    """The same on wells x⁴/4 − x²/2 + tilt·x, from the deeper minimum: ``well/η/model``, log(continuously watched mean exit / SGD's), for SME-1 and SME-2."""
    estimates: dict[str, Estimate] = {}
    for name, well in wells.items():
        objective = AsymmetricWell(well["tilt"])
        bottom, top = objective.facts.minima[0][0], objective.facts.saddles[0][0]
        border = bottom + UPHILL * (top - bottom)
        slope = abs(border**3 - border + well["tilt"])
        region = Interval(-math.inf, border) if border > bottom else Interval(border, math.inf)
        for eta in etas:
            noise = Gaussian(objective, (slope / well["a"]) ** 2)
            sgd = sgd_mean_exit(noise, eta, bottom, region)
            for model in ("SME1", "SME2"):
                law = sde_mean_exit(SKELETONS[model](noise, eta), bottom, region)
                estimates[f"{name}/{eta}/{model}"] = exactly(math.log(law.mean / sgd.mean), law.error + sgd.error + FLOOR)
    return Measured(estimates, conventions="1-D wells, Gaussian noise of constant variance, float64; deterministic oracles")


def watched_limit(model: str, a: float) -> float:
    """lim log(continuously watched mean exit / SGD's) = (½ or 1)·a² + log ν(2a)."""
    return LIMITS[model] * a**2 + math.log(overshoot_factor(a))


def _panel(found: Mapping[str, Sequence[tuple[float, float, float]]]) -> Panel:
    """log ratios over a at the smallest step size of each a, with their limits."""
    series = []
    for model, rows in found.items():
        smallest: dict[float, tuple[float, float]] = {}
        for a, eta, value in rows:
            if a not in smallest or eta < smallest[a][0]:
                smallest[a] = (eta, value)
        places = np.array(sorted(smallest))
        grid = np.linspace(0, places[-1], 60)
        series.append(Series(model, "", grid, LIMITS[model] * grid**2))
        series.append(Series(model, NAMES[model], places, np.array([smallest[each][1] for each in places]), kind="points"))
    return Panel("Exit through a slope, smallest η", "a = g(R)/σ", "log(mean exit at iterates / SGD's)", tuple(series), note="lines: limits η → 0")
