"""The principal flow dx = U·[log(1−ηΛ)/(ηΛ)]·Uᵀ∇f dt on quadratics, against gradient descent.

Below ηλ = 1 the package's model is used, through matrix exponentials and through an ODE solver that knows nothing of quadratics. Above it the logarithm
is complex, log(1−x) = log|1−x| + iπ; that flow exists here only, as exp(tU log(1−ηΛ)Uᵀ/η).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.integrate
import scipy.linalg
import torch

from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.random_quadratics import RandomQuadratic, random_quadratic
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import sde_moments
from sgdsde.sde import SDE
from sgdsde.sdes import GradientFlow, PrincipalFlow
from sgdsde.types import DomainError, Estimate

ETA = 0.1
CONVENTIONS = f"no noise, float64, eta={ETA}"
ITERATES = (1, 5, 20)
#: tolerance asked of the ODE solver, relative
SOLVER = 1e-12


def real_flow(*, seed: int, level: float, cases: Sequence[tuple[str, int, float, float]]) -> Measured:
    """For each case (name, dim, low, high) with ηλ < 1: ``name/model`` the worst error at iterates 1, 5, 20, relative to the larger of start and iterate;
    ``name/solver`` the principal flow's by the ODE solver, at iterate 5.
    """
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for name, dim, low, high in cases:
        problem = random_quadratic(rng, dim, low=low, high=high, rank=dim, eta=ETA)
        noise = Gaussian(Quadratic(problem.hessian), 1.0)
        rounding = 16 * dim * float(np.finfo(float).eps)
        for label, sde in (("PrincipalFlow", PrincipalFlow(noise, ETA)), ("GradientFlow", GradientFlow(noise, ETA))):
            errors = [_distance(sde_moments(sde, problem.start, k * ETA).mean.numpy(), problem, k) for k in ITERATES]
            estimates[f"{name}/{label}"] = exactly(max(errors), rounding)
        estimates[f"{name}/solver"] = exactly(_distance(_solved(PrincipalFlow(noise, ETA), problem.start, 5 * ETA), problem, 5), 1e3 * SOLVER)
    return Measured(estimates, conventions=CONVENTIONS)


def complex_flow(*, seed: int, level: float, cases: Sequence[tuple[str, int, float, float]]) -> Measured:
    """For each case (name, dim, low, high), ηλ up to ``high`` > 1: ``name/iterates`` the worst error at iterates 1, 5, 20; ``name/between`` the imaginary
    part of the state halfway to iterate 1 in the top direction, as a share of its modulus; ``name/growth`` the spectral radius of one tick;
    ``name/gradient flow`` that of gradient flow; ``name/refused`` 1 where the package's real model refuses.
    """
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for name, dim, low, high in cases:
        problem = random_quadratic(rng, dim, low=low, high=high, rank=dim, eta=ETA)
        values, vectors = np.linalg.eigh(problem.hessian)
        A = (vectors * np.log(1 - ETA * values + 0j)) @ vectors.T / ETA
        rounding = 16 * dim * float(np.finfo(float).eps)
        errors = [_distance(scipy.linalg.expm(A * k * ETA) @ problem.start, problem, k) for k in ITERATES]
        between = vectors[:, -1] @ scipy.linalg.expm(A * ETA / 2) @ problem.start
        estimates[f"{name}/iterates"] = exactly(max(errors), rounding)
        estimates[f"{name}/between"] = exactly(abs(between.imag) / abs(between), 1e-10)
        estimates[f"{name}/growth"] = exactly(np.abs(np.linalg.eigvals(scipy.linalg.expm(A * ETA))).max(), 1e-10)
        estimates[f"{name}/gradient flow"] = exactly(np.abs(np.linalg.eigvals(scipy.linalg.expm(-problem.hessian * ETA))).max(), 1e-10)
        estimates[f"{name}/refused"] = exactly(float(_refused(problem)), 0.0)
    return Measured(estimates, conventions=CONVENTIONS)


def _distance(state: np.ndarray, problem: RandomQuadratic, k: int) -> float:
    """|state − GD's iterate k|/max(|start|, |iterate|)."""
    M = np.eye(len(problem.start)) - ETA * problem.hessian
    iterate = np.linalg.matrix_power(M, k) @ problem.start
    return float(np.linalg.norm(state - iterate) / max(np.linalg.norm(problem.start), np.linalg.norm(iterate)))


def _solved(sde: SDE, start: np.ndarray, horizon: float) -> np.ndarray:
    def drift(t: float, x: np.ndarray) -> np.ndarray:
        return sde.drift(t, torch.from_numpy(x)[None])[0].numpy()

    return scipy.integrate.solve_ivp(drift, (0.0, horizon), start, method="DOP853", rtol=SOLVER, atol=SOLVER).y[:, -1]


def _refused(problem: RandomQuadratic) -> bool:
    try:
        PrincipalFlow(Gaussian(Quadratic(problem.hessian), 1.0), ETA)
    except DomainError:
        return True
    return False
