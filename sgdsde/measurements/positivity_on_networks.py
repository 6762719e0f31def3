"""Positivity of HA-SME's exact Q along SGD with real minibatches: a small network and logistic regression on digits.

At points that SGD visits, H and the covariance Σ of one sample's gradient are exact; Q is asked for at the step size η = x/λmax(H) of the point, so that x is
the largest ηλ. The batch size scales Q and decides only which points are visited.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from sgdsde.calculus import hessian
from sgdsde.data import digits
from sgdsde.kernels import SGD
from sgdsde.measurement import Measured
from sgdsde.measurements.positivity import share
from sgdsde.noises import Minibatch
from sgdsde.objective import Objective
from sgdsde.objectives import LogisticRegression, Network
from sgdsde.plots.panel import Panel, Series
from sgdsde.sdes.functions import phi_pair
from sgdsde.sdes.positivity import defect
from sgdsde.simulate import simulate
from sgdsde.types import Estimate

COMPONENTS, HIDDEN = 5, 5
#: parameters of the network
PARAMETERS = HIDDEN * (COMPONENTS + 1) + HIDDEN + 1
CURVE = (0.01, 0.03, 0.1, 0.3, 0.6, 0.9)


def positivity_along_sgd(*, seed: int, level: float, settings: Mapping[str, Mapping[str, Any]], marks: Sequence[int], paths: int) -> Measured:
    """For each setting (``model``: network or logistic, ``samples``, ``batch``, ``eta``) and mark k: ``name/k/x`` the share of paths whose point has an
    indefinite Q at largest ηλ = x, from independent random starts; the mean defect stands in the figure.
    """
    estimates: dict[str, Estimate] = {}
    series, notes = [], []
    for offset, (name, setting) in enumerate(settings.items()):
        objective = _objective(setting["model"], setting["samples"])
        bound = COMPONENTS**-0.5  # torch's own start of a linear layer
        start = bound * (2 * torch.from_numpy(np.random.default_rng(seed + offset).random((paths, objective.dim))) - 1)
        kernel = SGD(Minibatch(objective, setting["batch"]), setting["eta"])
        run = simulate(kernel, start, horizon=marks[-1] * kernel.tick, save=[k * kernel.tick for k in marks], seed=seed + offset, progress=False)
        for k, states in zip(marks, run.states, strict=True):
            defects = _defects(objective, states)
            for x in CURVE:
                estimates[f"{name}/{k}/{x:g}"] = share(int((defects[x] > 0).sum()), paths, level=level)
            notes.append(f"{name}, k = {k}: loss {float(objective.loss(states).mean()):.3g}, mean defect at x = .9 {float(defects[0.9].mean()):.2g}")
        series.append(Series(name, name, np.array(CURVE), np.array([float(defects[x].mean()) for x in CURVE]), kind="band"))
    panel = Panel(
        f"Defect of HA-SME's Q after {marks[-1]} steps", "largest ηλ", "negative / positive mass, mean", tuple(s for s in series if s.y.min() > 0), log="xy"
    )
    return Measured(estimates, panels=(panel,), notes=tuple(notes), conventions="digits, odd against even; minibatches with replacement, float64")


def _objective(model: str, samples: int) -> Objective:
    """Odd against even digits on the leading principal components, scaled to unit variance overall."""
    data = digits(components=COMPONENTS).against((1, 3, 5, 7, 9)).take(samples)
    x = data.x / data.x.std()
    if model == "logistic":
        return LogisticRegression(x, data.y, intercept=True)
    module = nn.Sequential(nn.Linear(COMPONENTS, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1)).double()
    return Network(module, _logistic_loss, x, data.y.to(torch.float64))


def _logistic_loss(output: Tensor, target: Tensor) -> Tensor:
    """log(1 + e^{∓output}) for target 1 and 0."""
    return softplus((1 - 2 * target) * output[..., 0])


def _defects(objective: Objective, states: Tensor) -> dict[float, Tensor]:
    """Defect of Q ``[paths]`` at each largest ηλ."""
    values, vectors = torch.linalg.eigh(hessian(objective, states))
    rotated = vectors.transpose(1, 2) @ Minibatch(objective, 1).covariance(states) @ vectors
    return {x: defect(rotated * phi_pair(x * values / values[:, -1:])) for x in CURVE}
