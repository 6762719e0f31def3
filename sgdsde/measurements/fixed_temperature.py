"""Small steps at a fixed temperature T, Σ = (2T/η)·C: weak orders, and orders of the relaxation rates, without Monte Carlo.

This is the limit in which barrier crossing survives η → 0. A problem is a periodic well (or a rippled parabola), T, and the shape C of the noise (default I).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sgdsde.measurement import Measured
from sgdsde.measurements.weak_orders import MODELS, NAMES
from sgdsde.noise import Noise
from sgdsde.noises import Gaussian
from sgdsde.objectives import PeriodicWell
from sgdsde.oracles import sde_relaxation, sgd_relaxation
from sgdsde.oracles.weak_error import TORUS_FUNCTIONS
from sgdsde.order import OrderFit, fit_order, measure_orders
from sgdsde.plots.panel import Panel, Series
from sgdsde.types import Estimate

#: those of weak order 1 and 2 here
SHOWN = ("SME1", "SME2", "SPF", "HASME", "SME3", "HASME3")
_PERIODIC = ("sin x₁", "cos x₂", "cos(x₁−x₂)")
_UNREAD = Estimate(math.nan, math.nan, 0, math.nan, math.nan)


def noise_at(problem: Mapping[str, Any]) -> Callable[[float], Noise]:
    """η ↦ the noise with Σ = (2T/η)·C."""
    well, temperature, shape = PeriodicWell(**problem["well"]), problem["temperature"], np.asarray(problem.get("shape", np.eye(problem["well"].get("dim", 1))))

    def noise(eta: float) -> Noise:
        return Gaussian(well, 2 * temperature / eta * shape)

    return noise


def weak_orders(*, seed: int, level: float, problems: Mapping[str, Mapping[str, Any]]) -> Measured:
    """``problem/model``: the lowest order over the test functions from whose errors one may be read; NaN where there is none."""
    estimates: dict[str, Estimate] = {}
    panels, notes = [], []
    for name, problem in problems.items():
        options: dict[str, Any] = {"etas": problem["etas"], "theta0": problem["start"], "horizon": problem["horizon"]}
        if problem["well"].get("dim", 1) == 2:
            options["functions"] = {function: TORUS_FUNCTIONS[function] for function in _PERIODIC}
        fits = measure_orders({model: MODELS[model] for model in SHOWN}, noise_at(problem), **options)
        for model, by_function in fits.items():
            readable = [fit.order for fit in by_function.values() if fit.order is not None]
            estimates[f"{name}/{model}"] = _exact(min(readable, key=lambda order: order.value, default=_UNREAD))
            notes += [f"{name}, {NAMES[model]}, {function}: {fit.reason}" for function, fit in by_function.items() if fit.order is None]
        first = next(iter(next(iter(fits.values()))))
        panels.append(_panel(f"Weak error, {name}, φ = {first}", "|E φ(X) − E φ(θ)|", {model: fit[first] for model, fit in fits.items()}))
    return Measured(estimates, panels=tuple(panels), notes=tuple(notes), conventions="Σ = (2T/η)·C with T and C fixed, Gaussian noise, deterministic oracles")


def rate_orders(*, seed: int, level: float, groups: Mapping[str, Mapping[str, Any]]) -> Measured:
    """Of each group of problems and each model, the relaxation rate against SGD's.

    ``group/model``: the order in η of the root mean square over the group of the relative error (one problem's leading coefficient may nearly vanish);
    ``group/model/η``: that error itself. NaN where no order may be read.
    """
    estimates: dict[str, Estimate] = {}
    panels, notes = [], []
    for name, group in groups.items():
        errors: dict[str, list[float]] = {model: [] for model in SHOWN}
        accuracy: dict[str, list[float]] = {model: [] for model in SHOWN}
        for eta in group["etas"]:
            for model, (squares, unsure) in _rate_errors(group["problems"], eta).items():
                errors[model].append(math.sqrt(np.mean(squares)))
                accuracy[model].append(max(unsure))
                estimates[f"{name}/{model}/{eta:g}"] = Estimate(errors[model][-1], 0.0, 0, errors[model][-1] - max(unsure), errors[model][-1] + max(unsure))
        fits = {model: fit_order(group["etas"], errors[model], accuracy[model]) for model in SHOWN}
        for model, fit in fits.items():
            estimates[f"{name}/{model}"] = _UNREAD if fit.order is None else _exact(fit.order)
            if fit.order is None:
                notes.append(f"{name}, {NAMES[model]}: {fit.reason}")
        panels.append(_panel(f"Relaxation rate, {name}", "relative error of the rate", fits))
    return Measured(estimates, panels=tuple(panels), notes=tuple(notes), conventions="Σ = (2T/η)·C with T and C fixed, Gaussian noise, Fourier oracles")


def _rate_errors(problems: Sequence[Mapping[str, Any]], eta: float) -> dict[str, tuple[list[float], list[float]]]:
    """By model: squared relative errors over the problems, and how sure the relative errors are."""
    found: dict[str, tuple[list[float], list[float]]] = {model: ([], []) for model in SHOWN}
    for problem in problems:
        noise = noise_at(problem)(eta)
        sgd = sgd_relaxation(noise, eta)
        for model in SHOWN:
            sde = sde_relaxation(MODELS[model](noise, eta))
            found[model][0].append((sde.rate / sgd.rate - 1) ** 2)
            found[model][1].append((sde.accuracy + sgd.accuracy) / sgd.rate)
    return found


def _exact(order: Estimate) -> Estimate:
    """An order's interval comes from extrapolation, not from samples."""
    return Estimate(order.value, 0.0, 0, order.low, order.high)


def _panel(title: str, label: str, fits: Mapping[str, OrderFit]) -> Panel:
    series = tuple(Series(model, NAMES[model], fit.eta, np.abs(fit.errors), kind="band") for model, fit in fits.items())
    return Panel(title, "η", label, series, log="xy")
