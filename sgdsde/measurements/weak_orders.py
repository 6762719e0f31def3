"""Weak errors of SDE models without Monte Carlo: their orders in η, and how they depend on curvature.

Problem on the line: f = λx²/2 + a·cos x with constant Σ = σ². Problem on the torus: two angles with a coupling, so that Hessians at different
points do not commute, and a covariance that depends on θ and commutes with none of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from sgdsde.measurement import Measured, exactly
from sgdsde.noise import Noise
from sgdsde.noises import Gaussian
from sgdsde.objectives import PeriodicWell
from sgdsde.oracles.weak_error import LINE_FUNCTIONS, TORUS_FUNCTIONS, weak_errors
from sgdsde.order import OrderFit, measure_orders
from sgdsde.plots.panel import Panel, Series
from sgdsde.sdes import HASME, HASME3, SME1, SME2, SME3, SPF, GradientFlow
from sgdsde.types import Estimate

MODELS: dict[str, Any] = {"GradientFlow": GradientFlow, "SME1": SME1, "SME2": SME2, "SPF": SPF, "HASME": HASME, "SME3": SME3, "HASME3": HASME3}
NAMES = {"GradientFlow": "gradient flow", "SME1": "SME-1", "SME2": "SME-2", "SPF": "SPF", "HASME": "HA-SME", "SME3": "SME-3", "HASME3": "HA-SME-3"}


def line_noise(curvature: float, amplitude: float, sigma: float) -> Noise:
    """The problem on the line."""
    return Gaussian(PeriodicWell(curvature=curvature, amplitude=amplitude), sigma**2)


def _swirl(theta: torch.Tensor) -> torch.Tensor:
    """Σ(θ) on the torus: eigenvalues .25(2 ± 1) along a direction that turns with θ₁ + θ₂."""
    angle = theta.sum(1)
    cos, sin = angle.cos(), angle.sin()
    return 0.25 * torch.stack([torch.stack([2 + cos, sin], 1), torch.stack([sin, 2 - cos], 1)], 1)  # [paths, 2, 2]


def torus_noise(amplitude: float, coupling: float) -> Noise:
    """The problem on the torus."""
    return Gaussian(PeriodicWell(2, amplitude=amplitude, coupling=coupling), _swirl)


def _cube(x: torch.Tensor) -> torch.Tensor:
    return x[:, 0] ** 3


def _sine_twice(x: torch.Tensor) -> torch.Tensor:
    return torch.sin(2 * x[:, 0])


def _cosine_twice(x: torch.Tensor) -> torch.Tensor:
    return torch.cos(2 * x[:, 0])


def _tanh(x: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x[:, 0])


#: x = ηλ at which the dependence on λ is read
RANGE = (0.1, 0.2, 0.4, 0.8)
#: enough that a worst error is not small because a few errors happen to change sign
MANY = {**LINE_FUNCTIONS, "x³": _cube, "sin 2x": _sine_twice, "cos 2x": _cosine_twice, "tanh x": _tanh}


def orders(*, seed: int, level: float, problems: Mapping[str, Mapping[str, Any]]) -> Measured:
    """``problem/model``: the lowest order over the test functions from whose errors one may be read (an order holds for all functions or not at all).

    A problem holds ``line`` or ``torus`` (arguments of the noise), ``start``, ``horizon``, ``etas`` (largest first). NaN where no function is in its
    asymptotic regime.
    """
    estimates: dict[str, Estimate] = {}
    panels, notes = [], []
    for name, problem in problems.items():
        noise = line_noise(*problem["line"]) if "line" in problem else torus_noise(*problem["torus"])
        options = {"etas": problem["etas"], "theta0": problem["start"], "horizon": problem["horizon"]}
        if "torus" in problem:  # Fourier grids resolve trigonometric test functions best
            options["functions"] = {name: TORUS_FUNCTIONS[name] for name in ("sin x₁", "cos x₂", "cos(x₁−x₂)")}
        fits = measure_orders(MODELS, noise, **options)
        for model, by_function in fits.items():
            readable = [fit.order for fit in by_function.values() if fit.order is not None]
            lowest = min(readable, key=lambda order: order.value) if readable else Estimate(math.nan, math.nan, 0, math.nan, math.nan)
            estimates[f"{name}/{model}"] = Estimate(lowest.value, 0.0, 0, lowest.low, lowest.high)
            notes += [f"{name}, {NAMES[model]}, {function}: {fit.reason}" for function, fit in by_function.items() if fit.order is None]
        panels.append(_panel(name, fits))
    return Measured(estimates, panels=tuple(panels), notes=tuple(notes), conventions="weak errors by deterministic oracles, float64, Gaussian noise")


def smoothness(*, seed: int, level: float, problems: Mapping[str, Mapping[str, float]], etas: Sequence[float], horizon: float) -> Measured:
    """How the worst error over the test functions depends on the curvature λ = x/η, x in :data:`RANGE`: its exponent γ is the least-squares slope of
    log error in log λ. ``problem/η/model:rival`` is γ of the model minus γ of the rival; ``problem/η/model`` is γ.
    """
    models = {name: MODELS[name] for name in ("SME1", "SME2", "SPF", "HASME")}
    estimates: dict[str, Estimate] = {}
    panels = []
    for name, problem in problems.items():
        for eta in etas:
            curvatures = [x / eta for x in RANGE]
            worst: dict[str, list[Estimate]] = {model: [] for model in models}
            for curvature in curvatures:
                noise = line_noise(curvature, problem["amplitude"], problem["sigma"])
                for model, result in weak_errors(models, noise, eta=eta, theta0=problem["start"], horizon=horizon, functions=MANY).items():
                    function = max(result.error, key=lambda f: abs(result.error[f]))
                    worst[model].append(exactly(abs(result.error[function]), result.accuracy[function]))
            exponents = {model: _exponent(curvatures, numbers) for model, numbers in worst.items()}
            for model, rival in (("HASME", "SME2"), ("HASME", "SPF"), ("SME2", "SPF")):
                a, b = exponents[model], exponents[rival]
                estimates[f"{name}/{eta}/{model}:{rival}"] = Estimate(a.value - b.value, 0.0, 0, a.low - b.high, a.high - b.low)
            estimates |= {f"{name}/{eta}/{model}": exponent for model, exponent in exponents.items()}
            if eta == etas[0]:
                x = np.array(curvatures)
                series = tuple(Series(model, NAMES[model], x, np.array([e.value for e in numbers]), kind="band") for model, numbers in worst.items())
                panels.append(Panel(f"Worst weak error at η = {eta}, {name}", "curvature λ", "|E φ(X) − E φ(θ)|", series, log="xy"))
    return Measured(
        estimates, panels=tuple(panels), conventions=f"horizon = {horizon}, {len(MANY)} test functions, deterministic oracle on the line, Gaussian noise"
    )


def _exponent(curvatures: Sequence[float], errors: Sequence[Estimate]) -> Estimate:
    """The least-squares slope of log error in log curvature, with the interval that the errors' accuracies leave."""
    log = np.log(np.asarray(curvatures))
    weights = (log - log.mean()) / ((log - log.mean()) ** 2).sum()
    value = float(weights @ np.log([e.value for e in errors]))
    half = float(np.abs(weights) @ np.array([math.log(e.value / e.low) if e.low > 0 else math.inf for e in errors]))
    return Estimate(value, 0.0, 0, value - half, value + half)


def contest(*, seed: int, level: float, problems: Mapping[str, Mapping[str, float]], function: str) -> Measured:
    """|HA-SME's error| over |rival's| for one test function: ``problem/SME2``, ``problem/SPF``."""
    estimates = {}
    for name, p in problems.items():
        noise = line_noise(p["curvature"], p["amplitude"], p["sigma"])
        results = weak_errors({m: MODELS[m] for m in ("HASME", "SME2", "SPF")}, noise, eta=p["eta"], theta0=p["start"], horizon=p["horizon"])
        sizes = {m: exactly(abs(r.error[function]), r.accuracy[function]) for m, r in results.items()}
        for rival in ("SME2", "SPF"):
            estimates[f"{name}/{rival}"] = quotient(sizes["HASME"], sizes[rival])
    return Measured(estimates, conventions=f"test function {function}, deterministic oracle on the line, Gaussian noise")


def quotient(a: Estimate, b: Estimate) -> Estimate:
    """a/b of two exact non-negative numbers, with the interval that their accuracies leave; infinite above where b may be 0."""
    low = max(a.low, 0.0) / b.high
    high = a.high / b.low if b.low > 0 else math.inf
    value = a.value / b.value if b.value > 0 else math.inf
    return Estimate(value, 0.0, 0, low, high)


def _panel(name: str, fits: Mapping[str, Mapping[str, OrderFit]]) -> Panel:
    """The first test function's errors against η."""
    series = []
    for model, by_function in fits.items():
        fit = next(iter(by_function.values()))
        series.append(Series(model, NAMES[model], fit.eta, np.abs(fit.errors), kind="band"))
    return Panel(f"Weak error, {name}, φ = {next(iter(next(iter(fits.values()))))}", "η", "|E φ(X) − E φ(θ)|", tuple(series), log="xy")
