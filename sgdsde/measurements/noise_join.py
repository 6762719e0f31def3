"""The measured H and Σ of a trained network put into the SDE models: stationary variances by eigendirection, and what Σ = c·H would say.

At a minimum of the 18-parameter network on digits H and the minibatch covariance Σ are exact. With H and Σ frozen there every model has a stationary
covariance in closed form; V is read in H's eigenbasis. "c·H" takes c = tr Σ/tr H: all the noise, spread like the curvature, so that SGD's variance would be
ηc/(2−ηλ) in every direction. Beside it: real minibatches, nothing frozen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde.kernels import SGD
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.digits_network import digits_network, start_at
from sgdsde.noises import Gaussian, Minibatch
from sgdsde.objectives import Quadratic
from sgdsde.oracles import stationary_covariance
from sgdsde.plots.panel import Panel, Series
from sgdsde.sdes import SME1, SPF, HASMEProduct
from sgdsde.simulate import simulate
from sgdsde.stats import mean_estimate
from sgdsde.types import DomainError, Estimate

MODELS = {"SME1": SME1, "SPF": SPF, "HASMEProduct": HASMEProduct}
WRITTEN = {"SME1": "SME-1", "SPF": "SPF", "HASMEProduct": "HA-SME, product", "cH": "SGD if Σ = cH"}
#: relaxation times of the flattest direction before the first look, and between looks
BURN, BETWEEN = 4.0, 1.0


def noise_join(*, seed: int, level: float, problems: Mapping[str, Mapping[str, Any]], x: Sequence[float], paths: int, looks: int) -> Measured:
    """For each problem (``samples``, ``batch``, ``start``) and x = ηλmax, with predicted variances over SGD's, all in H's eigenbasis:
    ``problem/x/model/worst``: the largest |ratio − 1|; ``…/spread``: largest over smallest ratio; and over real minibatch SGD's: ``…/stiffest``, ``…/total``.
    ``problem/x/HASMEProduct over SME1``: ratio of their worsts.

    Raises:
        DomainError: the stationary point that training ends in is no minimum.
    """
    estimates: dict[str, Estimate] = {}
    notes, panels = [], []
    for number, (name, problem) in enumerate(problems.items()):
        objective = digits_network(problem["samples"])
        point = start_at(objective, "minimum", problem["start"])
        noise = Minibatch(objective, problem["batch"])
        values, basis = torch.linalg.eigh(objective.facts.hessian(point[None])[0])  # type: ignore[misc]
        if float(values[0]) <= 0:
            raise DomainError(f"{name}: the smallest eigenvalue at the stationary point is {float(values[0]):.3g}; it is no minimum.")
        sigma = basis.T @ noise.covariance(point[None])[0] @ basis
        share = sigma.trace() / values.sum()
        notes.append(
            f"{name}: λ from {float(values[0]):.3g} to {float(values[-1]):.3g}; Σᵢᵢ/λᵢ from {float((sigma.diagonal() / values).min()):.3g} to "
            f"{float((sigma.diagonal() / values).max()):.3g}, tr Σ/tr H {float(share):.3g}"
        )
        for place, top in enumerate(x):
            eta = top / float(values[-1])
            quadratic = Quadratic(values)
            measured = Gaussian(quadratic, (sigma + sigma.T) / 2)
            exact = stationary_covariance(measured, eta).diagonal()
            predicted = {model: stationary_covariance(make(measured, eta)).diagonal() for model, make in MODELS.items()}
            predicted["cH"] = stationary_covariance(Gaussian(quadratic, torch.diag(share * values)), eta).diagonal()
            real = _variances(noise, eta, point, basis, float(values[0]), paths, looks, seed % 10**9 + 10 * number + place, level)
            worst = {}
            for model, variances in predicted.items():
                ratio = (variances / exact).numpy()
                worst[model] = float(np.abs(ratio - 1).max())
                key = f"{name}/{top}/{model}"
                estimates[f"{key}/worst"] = exactly(worst[model], 0.0)
                estimates[f"{key}/spread"] = exactly(float(ratio.max() / ratio.min()), 0.0)
                estimates[f"{key}/stiffest"] = _over(float(variances[-1]), real[:, -1], level)
                estimates[f"{key}/total"] = _over(float(variances.sum()), real.sum(1), level)
            estimates[f"{name}/{top}/HASMEProduct over SME1"] = exactly(worst["HASMEProduct"] / worst["SME1"], 0.0)
            if number == 0:
                panels.append(_panel(top, values.numpy(), predicted, real, level))
    return Measured(estimates, panels=tuple(panels), notes=tuple(notes), conventions=str(SGD(noise, eta).conventions()))


def _variances(noise: Minibatch, eta: float, point: Tensor, basis: Tensor, slowest: float, paths: int, looks: int, seed: int, level: float) -> np.ndarray:
    """Each path's mean square deviation in H's eigenbasis over several late looks, ``[paths, dim]``."""
    kernel = SGD(noise, eta)
    first, gap = (round(times / (eta * slowest)) + 1 for times in (BURN, BETWEEN))
    save = [(first + i * gap) * kernel.tick for i in range(looks)]
    states = simulate(kernel, point, horizon=save[-1], save=save, paths=paths, seed=seed, progress=False).states  # [looks, paths, dim]
    rotated = ((states - states.mean((0, 1))) @ basis).numpy()
    return np.asarray((rotated**2).mean(0))


def _over(predicted: float, squares: np.ndarray, level: float) -> Estimate:
    """predicted/mean of the squares."""
    found = mean_estimate(squares, level=level)
    ratio = predicted / found.value
    return Estimate(ratio, ratio * found.stderr / found.value, found.n, predicted / found.high, predicted / found.low if found.low > 0 else float("inf"))


def _panel(top: float, values: np.ndarray, predicted: Mapping[str, Tensor], real: np.ndarray, level: float) -> Panel:
    series = []
    found = mean_estimate(real)
    series.append(Series("SGD", "SGD, minibatches", values, np.asarray(found.value), np.asarray(found.low), np.asarray(found.high), kind="points"))
    series += [Series(model, WRITTEN[model], values, variances.numpy()) for model, variances in predicted.items()]
    return Panel(f"Variance about the minimum, largest ηλ = {top}", "eigenvalue λ of H", "stationary variance", tuple(series), log="xy")
