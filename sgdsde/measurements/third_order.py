"""What the third-order models mend, and what skewed noise takes back: weak errors without Monte Carlo.

SME-3 and HA-SME-3 add the third derivative's terms that HA-SME leaves out. Their order needs a vanishing third cumulant: where E ξ³ ≠ 0 the difference
(η²/6)·κ₃φ‴ per unit of time is in no SDE, whose increments are locally Gaussian.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.weak_orders import MANY, MODELS, NAMES, line_noise, quotient, torus_noise
from sgdsde.oracles import ExponentialLaw, GaussianLaw, Law, TwoPointLaw
from sgdsde.oracles.weak_error import TORUS_FUNCTIONS, weak_errors
from sgdsde.order import OrderFit, measure_orders
from sgdsde.sdes import HASME3Product
from sgdsde.types import Estimate

#: trigonometric test functions, which Fourier grids resolve best
PERIODIC = {name: TORUS_FUNCTIONS[name] for name in ("sin x₁", "cos x₂", "cos(x₁−x₂)")}
#: accuracy asked of the oracle, relative to the test functions: orders need more digits than sizes
FOR_ORDERS, FOR_SIZES = 1e-9, 1e-8
_UNREAD = Estimate(math.nan, math.nan, 0, math.nan, math.nan)


def law_of(name: str) -> Law:
    """``Gaussian``, ``exponential`` (skewness 2), or ``two-point p`` (p = ½: Rademacher)."""
    if name.startswith("two-point"):
        return TwoPointLaw(float(name.split()[1]))
    return {"Gaussian": GaussianLaw(), "exponential": ExponentialLaw()}[name]


def orders_by_law(*, seed: int, level: float, laws: Sequence[str], problem: Mapping[str, Any]) -> Measured:
    """``law/model`` for SME-3 and HA-SME-3 on the line: the lowest order over the test functions from whose errors one may be read; NaN where there is none."""
    estimates: dict[str, Estimate] = {}
    notes: list[str] = []
    for name in laws:
        options = {"etas": problem["etas"], "theta0": problem["start"], "horizon": problem["horizon"], "law": law_of(name), "tolerance": FOR_ORDERS}
        fits = measure_orders({model: MODELS[model] for model in ("SME3", "HASME3")}, line_noise(*problem["line"]), **options)
        for model, by_function in fits.items():
            estimates[f"{name}/{model}"] = lowest(by_function)
            notes += [f"{name}, {NAMES[model]}, {function}: {fit.reason}" for function, fit in by_function.items() if fit.order is None]
    return Measured(estimates, notes=tuple(notes), conventions="weak errors by deterministic oracles on the line, float64")


def product_form_on_torus(*, seed: int, level: float, problems: Mapping[str, Mapping[str, Any]]) -> Measured:
    """``problem``: the order of HA-SME-3 in product form on the torus, Σ(θ) and Hessians that do not commute."""
    estimates: dict[str, Estimate] = {}
    for name, problem in problems.items():
        options = {"etas": problem["etas"], "theta0": problem["start"], "horizon": problem["horizon"], "functions": PERIODIC, "tolerance": FOR_ORDERS}
        estimates[name] = lowest(measure_orders({"product": HASME3Product}, torus_noise(*problem["torus"]), **options)["product"])
    return Measured(estimates, conventions="weak errors by a deterministic oracle on the torus, float64, Gaussian noise")


def repaired(*, seed: int, level: float, problems: Mapping[str, Mapping[str, float]], pairs: Sequence[tuple[str, str]]) -> Measured:
    """``problem/model:rival``: the model's worst error over the test functions, over its rival's."""
    models = {name: MODELS[name] for pair in pairs for name in pair}
    estimates: dict[str, Estimate] = {}
    for name, p in problems.items():
        noise = line_noise(p["curvature"], p["amplitude"], p["sigma"])
        worst: dict[str, Estimate] = {}
        for model, result in weak_errors(models, noise, eta=p["eta"], theta0=p["start"], horizon=p["horizon"], functions=MANY, tolerance=FOR_SIZES).items():
            function = max(result.error, key=lambda f: abs(result.error[f]))
            worst[model] = exactly(abs(result.error[function]), result.accuracy[function])
        estimates |= {f"{name}/{model}:{rival}": quotient(worst[model], worst[rival]) for model, rival in pairs}
    return Measured(estimates, conventions=f"{len(MANY)} test functions, deterministic oracle on the line, Gaussian noise")


def lowest(by_function: Mapping[str, OrderFit]) -> Estimate:
    """An order holds for all test functions or not at all: the lowest of those that may be read."""
    readable = [fit.order for fit in by_function.values() if fit.order is not None]
    found = min(readable, key=lambda order: order.value, default=_UNREAD)
    return Estimate(found.value, 0.0, 0, found.low, found.high)
