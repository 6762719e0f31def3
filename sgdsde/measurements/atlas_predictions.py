"""The atlas's predicted weak errors against the deterministic oracles, cell by cell.

A cell is an objective with its noise, a step size, a start point, a model and a test function. The oracle calls it asymptotic if an order can be read off the
exact errors at η, η/2 and η/4 (:func:`sgdsde.order.fit_order`). A prediction hits if it has the exact error's sign and lies within a factor 2 of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from sgdsde.atlas import ORDERS
from sgdsde.measurement import Measured, exactly
from sgdsde.noise import Noise
from sgdsde.noises import Gaussian
from sgdsde.objective import Objective
from sgdsde.objectives import AsymmetricWell, DoubleWell, PeriodicWell
from sgdsde.oracles.weak_error import sde_expectations, sgd_expectations
from sgdsde.order import fit_order
from sgdsde.predicted_error import Factory, Forecast, Functions, Prediction
from sgdsde.sdes import HASME, HASME3, SME1, SME2, SME3, SPF, HASME3Product, HASMEProduct
from sgdsde.types import Estimate, OracleRefusal

ON_THE_LINE = (SME1, SME2, SPF, HASME, SME3, HASME3)
ON_THE_TORUS = (*ON_THE_LINE, HASMEProduct, HASME3Product)
#: accuracy asked of the oracle, by dimension
_TOLERANCE = {1: 1e-10, 2: 3e-9}


def swirl(theta: torch.Tensor, *, variance: float) -> torch.Tensor:
    """Σ(θ) on the torus: eigenvalues ``variance``·(1 ± ½) along a direction that turns with θ₁ + θ₂."""
    angle = theta.sum(1)
    cos, sin = angle.cos() / 2, angle.sin() / 2
    return variance * torch.stack([torch.stack([1 + cos, sin], 1), torch.stack([sin, 1 - cos], 1)], 1)  # [paths, 2, 2]


def noise_of(problem: Mapping[str, Any]) -> Noise:
    """The noise of a problem: ``kind`` (double well, tilted well, ripple, turning torus, torus), ``options`` of the objective, ``sigma``."""
    kind, options, variance = problem["kind"], problem.get("options", {}), problem["sigma"] ** 2
    if kind == "turning torus":
        return Gaussian(PeriodicWell(2, **options), partial(swirl, variance=variance))
    if kind == "torus":
        return Gaussian(PeriodicWell(2, **options), [[variance, variance / 2], [variance / 2, variance]])
    objective: Objective = {"double well": DoubleWell, "tilted well": AsymmetricWell, "ripple": PeriodicWell}[kind](**options)
    return Gaussian(objective, variance)


def predictions(*, seed: int, level: float, problems: Sequence[Mapping[str, Any]]) -> Measured:
    """``hit``: share of the cells that the oracle calls asymptotic in which the prediction lies within a factor 2; ``halved``: the same for predictions made
    for half the step size; ``withheld``: share of all cells that the atlas calls not asymptotic; ``trusted``: share of hits where it does not, whatever the
    oracle's slopes; ``asymptotic``: how many cells the oracle calls so.
    """
    cells = [cell for problem in problems for cell in _cells(problem)]
    asymptotic = [cell for cell in cells if cell[1]]
    answered = [(prediction, exact) for prediction, _, exact in cells if prediction.asymptotic and exact is not None]
    estimates = {
        "hit": _share([_hit(prediction.error, exact) for prediction, _, exact in asymptotic]),
        "halved": _share([_hit(prediction.error / 2**prediction.slope, exact) for prediction, _, exact in asymptotic]),
        "withheld": _share([not prediction.asymptotic for prediction, _, _ in cells]),
        "trusted": _share([_hit(prediction.error, exact) for prediction, exact in answered]),
        "asymptotic": exactly(float(len(asymptotic)), 0.0),
    }
    refused = sum(exact is None for _, _, exact in cells)
    notes = (f"{len(cells)} cells, {len(asymptotic)} of them asymptotic by the oracle's slopes, {refused} refused by the oracle",)
    return Measured(estimates, notes=notes, conventions="weak errors by deterministic oracles, float64, Gaussian noise")


def _cells(problem: Mapping[str, Any]) -> Iterator[tuple[Prediction, bool, float | None]]:
    """(prediction, whether the oracle's slopes are asymptotic, exact error or None) for each η, start point, model and test function."""
    noise, starts = noise_of(problem), [list(start) for start in problem["starts"]]
    horizon = problem["steps"] * problem["etas"][0]
    models = ON_THE_LINE if noise.objective.dim == 1 else ON_THE_TORUS
    # on the torus the oracle takes all start points at once; on the line it is cheap, and one test function depends on the start
    groups = [[start] for start in starts] if noise.objective.dim == 1 else [starts]
    for group in groups:
        functions = _functions(noise.objective, group[0])
        steps = sorted({eta / halving for eta in problem["etas"] for halving in (1, 2, 4)})
        exact = {h: _errors(noise, h, group, horizon, functions, models) for h in steps}
        for eta in problem["etas"]:
            etas = [eta / halving for halving in (1, 2, 4)]
            for j, start in enumerate(group):
                forecast = Forecast(noise, eta, torch.tensor([start], dtype=torch.float64), steps=round(horizon / eta), functions=functions)
                for model in models:
                    for i, prediction in enumerate(forecast.predict(_factory(model), ORDERS[model]).values()):
                        known = [(pair[0][i, j], pair[1][i, j]) for h in etas if (pair := exact[h][model]) is not None]
                        settled = len(known) == 3 and fit_order(etas, [error for error, _ in known], [accuracy for _, accuracy in known]).asymptotic
                        first = exact[eta][model]
                        yield prediction, settled, None if first is None else float(first[0][i, j])


def _errors(noise: Noise, eta: float, starts: list[list[float]], horizon: float, functions: Functions, models: Sequence[Any]) -> dict[Any, Any]:
    """model → (errors, accuracies) ``[functions, starts]``, None where the oracle refuses."""
    sgd = _expected(partial(sgd_expectations, noise, eta=eta), starts, horizon, functions)
    found: dict[Any, Any] = {}
    for model in models:
        sde = None if sgd is None else _expected(partial(sde_expectations, model(noise, eta)), starts, horizon, functions)
        found[model] = None if sgd is None or sde is None else (sde[0] - sgd[0], sde[1] + sgd[1])
    return found


def _expected(oracle: Any, starts: list[list[float]], horizon: float, functions: Functions) -> tuple[np.ndarray, np.ndarray] | None:
    """(values, accuracies), None where the oracle refuses."""
    try:
        result = oracle(theta0=starts, horizon=horizon, functions=functions, tolerance=_TOLERANCE[len(starts[0])])
    except OracleRefusal:
        return None
    return result.value, result.accuracy


def _factory(model: Any) -> Factory:
    return lambda noise, eta: model(noise, eta)


def _functions(objective: Objective, start: Sequence[float]) -> Functions:
    """The atlas's own test functions on the line; on the torus, where they must be periodic, f and three waves."""
    if objective.dim == 1:
        return {"f": objective.loss, "squared distance": lambda x: (x[:, 0] - start[0]) ** 2, "x": lambda x: x[:, 0]}
    return {
        "f": objective.loss,
        "sin x₁": lambda x: torch.sin(x[:, 0]),
        "cos x₂": lambda x: torch.cos(x[:, 1]),
        "cos(x₁−x₂)": lambda x: torch.cos(x[:, 0] - x[:, 1]),
    }


def _hit(predicted: float, exact: float | None) -> bool:
    return exact is not None and exact != 0 and 0.5 < predicted / exact < 2


def _share(outcomes: Sequence[bool]) -> Estimate:
    return exactly(sum(outcomes) / len(outcomes), 0.0) if outcomes else Estimate(math.nan, math.nan, 0, math.nan, math.nan)
