"""The even-step model past ηλ = 1 against SGD: mean and covariance after k steps, exactly and from paths.

SGD's side is iterated by hand, mean ← M·mean, V ← MVMᵀ + η²Σ; the model's comes from matrix exponentials or from Heun. A direction with m = 1 − ηλ < 0
flips its sign at each step, which no continuous path does; two steps make m².
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from sgdsde.kernels import Heun
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.random_quadratics import rotation
from sgdsde.measurements.whitened import exact_variance_ratio, states_at, variance_ratio
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import Moments, kernel_moments, sde_moments
from sgdsde.sde import ModifiedEquation
from sgdsde.sdes import SME1, EvenStepHASME
from sgdsde.types import Estimate, OracleRefusal

ETA = 0.1
CONVENTIONS = f"Gaussian noise, constant covariance, float64, eta={ETA}"
MODELS: dict[str, type[ModifiedEquation]] = {"EvenStepHASME": EvenStepHASME, "SME1": SME1}
#: share of white noise, and how often Σ may be drawn until the even-step Q is positive
WHITE, TRIES = 0.8, 50


def law_after(*, seed: int, level: float, spectra: Mapping[str, Sequence[float]], iterates: Sequence[int]) -> Measured:
    """``name/model/k``: max of the relative errors of mean and covariance after k steps; x = ηλ as given, in a random basis, Σ not commuting."""
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for name, x in spectra.items():
        noise = _problem(rng, np.asarray(x))
        start = rng.standard_normal(len(x))
        rounding = 16 * len(x) * float(np.finfo(float).eps)
        for k in iterates:
            sgd = _iterated(noise, start, k)
            for label, model in MODELS.items():
                found = sde_moments(model(noise, ETA), start, k * ETA)
                mean = float((found.mean - sgd.mean).norm() / sgd.mean.norm())
                covariance = float((found.covariance - sgd.covariance).norm() / sgd.covariance.norm())
                estimates[f"{name}/{label}/{k}"] = exactly(max(mean, covariance), rounding)
    return Measured(estimates, conventions=CONVENTIONS)


def paths_after(*, seed: int, level: float, spectrum: Sequence[float], iterates: Sequence[int], paths: int, substeps: int) -> Measured:
    """``k``: the mean variance of the even-step model's paths (Heun) in units of SGD's covariance after k steps; ``k/bias`` the same of the chain, exactly."""
    noise = _problem(np.random.default_rng(7), np.asarray(spectrum))
    kernel, start = Heun(EvenStepHASME(noise, ETA), ETA / substeps), np.zeros(len(spectrum))
    estimates: dict[str, Estimate] = {}
    for k, states in states_at(kernel, start, tuple(iterates), paths=paths, seed=seed).items():
        sgd = _iterated(noise, start, k)
        estimates[f"{k}"] = variance_ratio(states, sgd, level=level)
        estimates[f"{k}/bias"] = exactly(exact_variance_ratio(kernel_moments(kernel, start, k), sgd), 1e-10)
    return Measured(estimates, notes=(f"{paths} paths, {substeps} steps a tick",), conventions=CONVENTIONS)


def _problem(rng: np.random.Generator, x: np.ndarray) -> Gaussian:
    """Σ is drawn until the even-step model's Q is positive, which is a condition of the statement."""
    dim = len(x)
    basis = rotation(rng, dim)
    hessian = (basis * (x / ETA)) @ basis.T
    objective = Quadratic((hessian + hessian.T) / 2)
    for _ in range(TRIES):
        factor = rng.standard_normal((dim, 2 * dim))
        noise = Gaussian(objective, (1 - WHITE) * factor @ factor.T / (2 * dim) + WHITE * np.eye(dim))
        if float(EvenStepHASME(noise, ETA).defect(torch.zeros(1, dim, dtype=torch.float64))) == 0:
            return noise
    raise OracleRefusal(f"No positive Q among {TRIES} draws of Σ in dimension {dim}: choose a larger share of white noise.")


def _iterated(noise: Gaussian, start: np.ndarray, k: int) -> Moments:
    """SGD's moments after k steps from a point."""
    origin = torch.zeros(1, len(start), dtype=torch.float64)
    M = torch.eye(len(start), dtype=torch.float64) - ETA * noise.objective.matrix  # type: ignore[attr-defined]
    mean, V, added = torch.from_numpy(start), torch.zeros_like(M), ETA**2 * noise.covariance(origin)[0]
    for _ in range(k):
        mean, V = M @ mean, M @ V @ M.T + added
    return Moments.of(mean, V)
