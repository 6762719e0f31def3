"""Where the real logarithm ends: what models do at ηλ ≥ 1.

A model with a constant Hessian is not built; one whose Hessian varies freezes each path where it leaves the domain, with its own status, or clips
and counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sgdsde.kernels import EulerMaruyama
from sgdsde.measurement import Measured, exactly
from sgdsde.noises import Gaussian
from sgdsde.objectives import PeriodicWell, Quadratic
from sgdsde.sdes import HASME, SPF, PrincipalFlow
from sgdsde.sdes.log_domain import X_MAX
from sgdsde.simulate import simulate
from sgdsde.types import DomainError, Estimate, Status

ETA = 0.1
LOGARITHMIC: dict[str, Any] = {"HASME": HASME, "SPF": SPF, "PrincipalFlow": PrincipalFlow}
POINTS = 1000


def refusals(*, seed: int, level: float, xs: Sequence[float], reach: Sequence[float]) -> Measured:
    """``model/x``: share of two quadratics (one axis; four axes, one of them at x) with top ηλ = x that the model refuses before a run.

    ``frozen/r``: on a rippled parabola whose ηλ reaches r, the paths that one tick freezes as out of domain, over those that start where ηλ ≥ 1;
    ``moved/r``: how far a frozen path has moved; ``clipped/r``: clips counted under ``log="clip"``, over the starts where ηλ > X_MAX.
    """
    estimates: dict[str, Estimate] = {}
    for x in xs:
        spectra = ([x / ETA], [x / ETA, 0.5 * min(x, 1) / ETA, 1.0, -2.0])
        for name, model in LOGARITHMIC.items():
            estimates[f"{name}/{x}"] = exactly(float(np.mean([_refuses(model, np.array(spectrum)) for spectrum in spectra])), 0.0)
    for r in reach:
        # λ runs from (r − .6)/η to r/η
        noise = Gaussian(PeriodicWell(curvature=(r - 0.3) / ETA, amplitude=0.3 / ETA), 1.0)
        theta = torch.linspace(0.0, 2 * math.pi, POINTS, dtype=torch.float64)[:, None]
        hessian = noise.objective.facts.hessian
        assert hessian is not None
        reached = ETA * hessian(theta)[:, 0, 0]
        beyond = reached >= 1
        run = simulate(EulerMaruyama(HASME(noise, ETA), ETA), theta, horizon=ETA, seed=seed, progress=False)
        frozen = run.status == int(Status.OUT_OF_DOMAIN)
        clipped = simulate(EulerMaruyama(HASME(noise, ETA, log="clip"), ETA), theta, horizon=ETA, seed=seed, progress=False)
        estimates[f"frozen/{r}"] = exactly(float((frozen == beyond).double().mean()), 0.0)
        estimates[f"moved/{r}"] = exactly(float((run.states[-1] - theta)[frozen].abs().max()), 0.0)
        estimates[f"clipped/{r}"] = exactly(clipped.tally.counts.get("log clipped", 0) / int((reached > X_MAX).sum()), 0.0)
    return Measured(estimates, conventions=str(HASME(Gaussian(Quadratic(1.0), 1.0), ETA).conventions()))


def _refuses(model: Any, spectrum: np.ndarray) -> bool:
    try:
        model(Gaussian(Quadratic(spectrum), 1.0), ETA)
    except DomainError:
        return True
    return False
