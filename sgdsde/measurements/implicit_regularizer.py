"""One step of gradient descent against flows of f + c·η‖∇f‖² over time η, on objectives that are not quadratic.

Backward error analysis: θ − η∇f is the flow of f + (η/4)‖∇f‖² up to O(η³), that of f up to O(η²). The flows are solved by DOP853 to 1e-13.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy.integrate
import torch

from sgdsde.calculus import grad, hessian, hvp
from sgdsde.data import digits
from sgdsde.measurement import Measured
from sgdsde.objective import Objective
from sgdsde.objectives import DoubleWell, LogisticRegression, PeriodicWell
from sgdsde.order import fit_order
from sgdsde.plots.panel import Panel, Series
from sgdsde.types import Estimate


def _digits() -> Objective:
    data = digits(classes=(3, 8), components=5)
    return LogisticRegression(data.x, data.y, intercept=True)


def _double_well() -> Objective:
    return DoubleWell(2)


def _ripples() -> Objective:
    return PeriodicWell(3, curvature=1.0, amplitude=0.6, coupling=0.3)


PROBLEMS: dict[str, Callable[[], Objective]] = {"digits": _digits, "double well": _double_well, "ripples": _ripples}
DIMS = {"digits": 6, "double well": 2, "ripples": 3}
#: c in f + c·η‖∇f‖²: gradient flow, the implicit regulariser, twice of it
COEFFICIENTS = {0.0: "gradient flow", 0.25: "flow of f + (η/4)‖∇f‖²", 0.5: "flow of f + (η/2)‖∇f‖²"}
#: the solver's relative tolerance, with a margin
ACCURACY = 1e-12


def one_step_orders(*, seed: int, level: float, starts: Mapping[str, tuple[str, Sequence[float]]], etas: Sequence[float]) -> Measured:
    """For each ``name: (problem, start)``: ``name/c/η``, the order in η of the distance after one step, read off η and the two step sizes before it.

    Step sizes are in units of 1/‖H‖ at the start. NaN where the errors are not in their asymptotic regime.
    """
    estimates: dict[str, Estimate] = {}
    panels = []
    for name, (problem, start) in starts.items():
        objective, theta = PROBLEMS[problem](), np.asarray(start, dtype=float)
        scale = 1 / float(torch.linalg.matrix_norm(hessian(objective, torch.from_numpy(theta)[None])[0], 2))
        errors = {c: np.array([_distance(objective, theta, eta * scale, c) for eta in etas]) for c in COEFFICIENTS}
        for c, found in errors.items():
            for i in range(2, len(etas)):
                ladder = slice(i - 2, i + 1)
                order = fit_order(np.asarray(etas[ladder]), found[ladder], ACCURACY * float(np.linalg.norm(theta))).order
                nothing = Estimate(np.nan, np.nan, 0, np.nan, np.nan)
                estimates[f"{name}/{c}/{etas[i]}"] = nothing if order is None else Estimate(order.value, 0.0, 0, order.low, order.high)
        series = tuple(Series(label, label, np.asarray(etas), errors[c], kind="band") for c, label in COEFFICIENTS.items())
        panels.append(Panel(f"One step of GD, {name}", "η·‖H‖", "distance to the flow", series, log="xy"))
    return Measured(estimates, panels=tuple(panels), conventions="no noise, float64; step sizes in units of 1/‖H‖ at the start")


def _distance(objective: Objective, theta: np.ndarray, eta: float, c: float) -> float:
    def velocity(_: float, point: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(point)[None]
        g = grad(objective, x)
        return -(g + 2 * c * eta * hvp(objective, x, g))[0].numpy()

    end = scipy.integrate.solve_ivp(velocity, (0.0, eta), theta, method="DOP853", rtol=1e-13, atol=1e-15).y[:, -1]
    step = theta - eta * grad(objective, torch.from_numpy(theta)[None])[0].numpy()
    return float(np.linalg.norm(end - step))
