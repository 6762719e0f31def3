"""How far HA-SME's and SME-1's rates of crossing a barrier are from SGD's at small temperature, over what theory says: log(τ_model/τ_SGD) to first order in η.

Theory (docs/theory/fixed_temperature.md), Σ = (2T/η)I, μ the saddle's negative curvature: HA-SME −(η/2)[Δf(minimum) − Δf(saddle)], SME-1
(η/4)[Δf(minimum) − Δf(saddle) − 2μ], SPF and SME-2 0. At each temperature the quotient is extrapolated in η (two step sizes), then in T (three temperatures).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from sgdsde.calculus import hessian
from sgdsde.measurement import Measured, exactly
from sgdsde.noises import Gaussian
from sgdsde.objective import Objective
from sgdsde.objectives import AsymmetricWell, StiffeningWell
from sgdsde.oracles import sde_crossing, sde_mean_exit, sgd_crossing, sgd_mean_exit
from sgdsde.plots.panel import Panel, Series
from sgdsde.regions import Interval
from sgdsde.sdes import HASME, SME1, SME2, SPF
from sgdsde.types import Estimate

MODELS: dict[str, Any] = {"HASME": HASME, "SME1": SME1, "SPF": SPF, "SME2": SME2}
#: models whose rates differ from SGD's at first order in η
FIRST = ("HASME", "SME1")
#: how far left of the wells a path may go: HA-SME exists there at η ≤ .05
_LEFT = -2.2
#: relative accuracy of the crossing rates in d dimensions
_TOLERANCE = 1e-5

#: (model or None for SGD, η, T) → (log τ, its accuracy)
Times = Callable[[str | None, float, float], tuple[float, float]]


def on_the_line(*, seed: int, level: float, tilt: float, temperatures: Sequence[float], etas: tuple[float, float]) -> Measured:
    """Mean exits from the left minimum of x⁴/4 − x²/2 + tilt·x, watched until the right one is reached: SGD at iterates, the models continuously.

    ``model/T``: log(τ_model/τ_SGD) over its theory at the larger step size; ``model``: in the limit η → 0, T → 0. SPF and SME-2 over HA-SME's theory.
    """
    well = AsymmetricWell(tilt)
    left, right = sorted(point[0] for point in well.facts.minima)
    region = Interval(_LEFT, right)

    def times(model: str | None, eta: float, temperature: float) -> tuple[float, float]:
        noise = Gaussian(well, 2 * temperature / eta)
        law = sgd_mean_exit(noise, eta, left, region) if model is None else sde_mean_exit(MODELS[model](noise, eta), left, region)
        return float(np.log(law.mean)), law.error

    slopes = first_order(well, torch.tensor([[left]], dtype=torch.float64), torch.tensor([well.facts.saddles[0]], dtype=torch.float64))
    return _measured(times, slopes, temperatures, etas, f"mean exit from one minimum to the other, f = x⁴/4 − x²/2 + {tilt:g}x")


def in_dimensions(*, seed: int, level: float, dim: int, gain: float, temperatures: Sequence[float], etas: tuple[float, float]) -> Measured:
    """The same for the rates of relaxation between the wells of a :class:`StiffeningWell`; ``one-dimensional formula`` leaves the stiffening out."""
    well = StiffeningWell(dim, gain=gain)

    def times(model: str | None, eta: float, temperature: float) -> tuple[float, float]:
        noise = Gaussian(well, 2 * temperature / eta)
        found = sgd_crossing(noise, eta, tolerance=_TOLERANCE) if model is None else sde_crossing(MODELS[model](noise, eta), tolerance=_TOLERANCE)
        return -float(np.log(found.rate)), found.accuracy / found.rate

    slopes = first_order(well, torch.tensor(well.facts.minima[:1], dtype=torch.float64), torch.tensor(well.facts.saddles, dtype=torch.float64))
    measured = _measured(times, slopes, temperatures, etas, f"rate of relaxation between the wells, d = {dim}, gain = {gain:g}")
    whole, share = measured.estimates["HASME"], slopes["HASME"] / -1.5
    line = Estimate(whole.value * share, 0.0, 0, whole.low * share, whole.high * share)
    return Measured({**measured.estimates, "one-dimensional formula": line}, measured.panels, measured.notes, measured.conventions)


def first_order(well: Objective, minimum: torch.Tensor, saddle: torch.Tensor) -> dict[str, float]:
    """d log(τ_model/τ_SGD)/dη at η = 0 in the limit T → 0; SPF's and SME-2's is 0, they are given HA-SME's to be held against."""
    bottom, top = hessian(well, minimum)[0], hessian(well, saddle)[0]
    stiffening = float(bottom.trace() - top.trace())
    falling = -float(torch.linalg.eigvalsh(top)[0])
    hasme = -stiffening / 2
    return {"HASME": hasme, "SME1": (stiffening - 2 * falling) / 4, "SPF": hasme, "SME2": hasme}


def _measured(times: Times, slopes: Mapping[str, float], temperatures: Sequence[float], etas: tuple[float, float], what: str) -> Measured:
    estimates: dict[str, Estimate] = {}
    logs: dict[str, list[tuple[float, float]]] = {model: [] for model in slopes}
    limits: dict[str, list[tuple[float, float]]] = {model: [] for model in slopes}
    for temperature in temperatures:
        quotients: dict[str, list[tuple[float, float]]] = {model: [] for model in slopes}
        for eta in etas:
            sgd, unsure = times(None, eta, temperature)
            for model, slope in slopes.items():
                log, more = times(model, eta, temperature)
                quotients[model].append(((log - sgd) / (eta * slope), (unsure + more) / abs(eta * slope)))
        for model, ((large, first), (small, second)) in quotients.items():
            weight = 1 / (etas[0] / etas[1] - 1)
            estimates[f"{model}/{temperature:g}"] = exactly(large, first)
            logs[model].append((large * etas[0] * slopes[model], first * abs(etas[0] * slopes[model])))
            limits[model].append((small + weight * (small - large), (1 + weight) * second + weight * first))
    for model, found in limits.items():
        estimates[model] = _cold(temperatures, found)
    x = np.asarray(temperatures)
    drawn = [Series(m, _LABELS[m], x, np.array([log for log, _ in logs[m]]), kind="band") for m in slopes]
    drawn += [Series(f"{m}, theory", f"{_LABELS[m]}, T → 0", x, np.full(len(x), etas[0] * slopes[m])) for m in FIRST]
    panel = Panel(f"Crossing times, η = {etas[0]:g}", "temperature T", "log(τ_model / τ_SGD)", tuple(drawn), level=0.0)
    return Measured(estimates, panels=(panel,), conventions=f"{what}; Σ = (2T/η)I, step sizes {etas[0]:g} and {etas[1]:g}, deterministic oracles")


_LABELS = {"HASME": "HA-SME", "SME1": "SME-1", "SPF": "SPF", "SME2": "SME-2"}


def _cold(temperatures: Sequence[float], found: Sequence[tuple[float, float]]) -> Estimate:
    """The quotient at T → 0 by the parabola through the last three temperatures; unsure by its distance from the line through two, and by the accuracies."""
    T, pairs = np.asarray(temperatures, dtype=float)[-3:], found[-3:]
    weights = np.array([np.prod([other / (other - own) for other in T if other != own]) for own in T])
    value = float(weights @ [q for q, _ in pairs])
    (_, _), (before, _), (last, _) = pairs
    line = last + T[2] / (T[1] - T[2]) * (last - before)
    return exactly(value, float(abs(value - line) + np.abs(weights) @ [unsure for _, unsure in pairs]))
