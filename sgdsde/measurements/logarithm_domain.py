"""Where the real logarithm ends: what models do at ηλ ≥ 1, and even-step HA-SME after two steps there.

Refusal: a model with a constant Hessian is not built; one whose Hessian varies freezes each path where it leaves the domain, with its own status,
or clips and counts. Even-step HA-SME: over 2η its transition is held against two steps of SGD, (I − ηH)² and η²(MΣM + Σ), M = I − ηH.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from sgdsde.kernels import EulerMaruyama
from sgdsde.kernels.exact_ou import transition
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.random_quadratics import rotation
from sgdsde.noises import Gaussian
from sgdsde.objectives import PeriodicWell, Quadratic
from sgdsde.sdes import HASME, SME1, SME2, SPF, EvenStepHASME, PrincipalFlow
from sgdsde.sdes.log_domain import X_MAX
from sgdsde.sdes.positivity import defect
from sgdsde.simulate import simulate
from sgdsde.types import DomainError, Estimate, Status

ETA = 0.1
LOGARITHMIC: dict[str, Any] = {"HASME": HASME, "SPF": SPF, "PrincipalFlow": PrincipalFlow}
POINTS = 1000
_EPS = float(np.finfo(float).eps)


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


def two_steps(*, seed: int, level: float, spectra: Mapping[str, Sequence[float]]) -> Measured:
    """Relative Frobenius errors of the law after two steps, ``spectrum/model``; ``positive``: share of the spectra with even-step Q ≥ 0.

    Random bases, Σ a tenth Wishart (so that Q is positive), the rest white.
    """
    rng = np.random.default_rng(seed)
    models: dict[str, Any] = {"EvenStepHASME": EvenStepHASME, "SME1": SME1, "SME2": SME2}
    estimates: dict[str, Estimate] = {}
    positive = []
    for name, x in spectra.items():
        dim = len(x)
        basis, factor = rotation(rng, dim), rng.standard_normal((dim, 2 * dim))
        hessian = (basis * (np.asarray(x) / ETA)) @ basis.T
        noise = Gaussian(Quadratic((hessian + hessian.T) / 2), 0.9 * np.eye(dim) + 0.1 * factor @ factor.T / (2 * dim))
        origin = torch.zeros(1, dim, dtype=torch.float64)
        M, S = torch.eye(dim, dtype=torch.float64) - ETA * torch.as_tensor(hessian), ETA**2 * noise.covariance(origin)[0]
        for label, model in models.items():
            A, c, Q = model(noise, ETA).affine()
            flow, _, V = transition(A, c, Q, 2 * ETA)
            wanted = M @ S @ M.T + S
            error = max(float((flow - M @ M).norm() / (M @ M).norm()), float((V - wanted).norm() / wanted.norm()))
            estimates[f"{name}/{label}"] = exactly(error, 256 * dim * _EPS)
        positive.append(float(defect(EvenStepHASME(noise, ETA).diffusion(0.0, origin))) == 0)
    estimates["positive"] = exactly(float(np.mean(positive)), 0.0)
    return Measured(estimates, conventions="float64, Gaussian noise with constant covariance, eta = 0.1")


def _refuses(model: Any, spectrum: np.ndarray) -> bool:
    try:
        model(Gaussian(Quadratic(spectrum), 1.0), ETA)
    except DomainError:
        return True
    return False
