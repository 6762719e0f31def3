"""The stationary covariance of SGD in discrete time, plain and with heavy-ball momentum v⁺ = βv − ηĝ, θ⁺ = θ + v⁺, by routes that solve no equation.

On a quadratic with constant noise covariance C the chain (θ, v)⁺ = F(θ, v) + noise is linear; its covariance ΣFᵏNFᵏᵀ is summed by doubling. Its
part V = Cov θ is then put into the equation that it should satisfy (Liu, Ziyin, Ueda, arXiv 2012.03636):
(1−β)(HV+VH) − η(1+β²)/(1−β²)·HVH + ηβ/(1−β²)·(H²V+VH²) = ηC; β = 0: HV + VH − ηHVH = ηC.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.random_quadratics import RandomQuadratic, random_quadratic
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate, OracleRefusal

ETA = 0.1
CONVENTIONS = f"Gaussian noise, constant covariance, float64, eta={ETA}; heavy ball: v⁺ = βv − ηĝ, θ⁺ = θ + v⁺"
DOUBLINGS = 40
BURN_IN, AVERAGED = 250, 100


def momentum_variance(x: float, beta: float) -> float:
    """(1+β)/(x(1−β)(2(1+β)−x)): the stationary variance in one dimension in units of η²σ²."""
    return (1 + beta) / (x * (1 - beta) * (2 * (1 + beta) - x))


def equation_residuals(*, seed: int, level: float, cases: Sequence[tuple[str, int, float, float, float]]) -> Measured:
    """For each case (name, dim, low, high, β), ηλ from ``low`` to ``high``: ``name`` the relative residual of the summed V in the equation, ``name/continuous``
    that of the solution of the continuous-time equation (1−β)(HV+VH) = ηC.
    """
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for name, dim, low, high, beta in cases:
        problem = random_quadratic(rng, dim, low=low, high=high, rank=dim, eta=ETA)
        rounding = 16 * dim * float(np.finfo(float).eps)
        V = summed_covariance(problem, beta)
        estimates[name] = exactly(_residual(problem, V, beta), rounding)
        values, vectors = np.linalg.eigh(problem.hessian)
        inner = vectors.T @ problem.covariance @ vectors / (values[:, None] + values)
        continuous = ETA / (1 - beta) * vectors @ inner @ vectors.T
        estimates[f"{name}/continuous"] = exactly(_residual(problem, continuous, beta), rounding)
    return Measured(estimates, conventions=CONVENTIONS)


def line_variances(*, seed: int, level: float, cases: Sequence[tuple[float, float]], paths: int) -> Measured:
    """For each (x, β) in one dimension: ``x/β`` the summed variance and ``x/β/paths`` that of simulated paths, both in units of η²σ²."""
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    x, beta = (np.array([case[i] for case in cases]) for i in range(2))
    theta, v, squares = (np.zeros((paths, len(cases))) for _ in range(3))
    for k in range(BURN_IN + AVERAGED):
        v = beta * v - x * theta - rng.standard_normal((paths, len(cases)))  # in units of ησ
        theta = theta + v
        if k >= BURN_IN:
            squares += theta**2
    measured = mean_estimate(squares / AVERAGED, level=level)
    for i, (x_, beta_) in enumerate(cases):
        problem = RandomQuadratic(ETA, np.array([[x_ / ETA]]), np.array([[1.0]]), np.zeros(1))
        V = float(summed_covariance(problem, beta_)[0, 0])
        estimates[f"{x_}/{beta_}"] = exactly(V / ETA**2, 1e-11 * V / ETA**2)
        estimates[f"{x_}/{beta_}/paths"] = Estimate(measured.value[i], measured.stderr[i], paths, measured.low[i], measured.high[i])
    note = f"{paths} paths from 0, {AVERAGED} iterates each after {BURN_IN}"
    return Measured(estimates, notes=(note,), conventions=CONVENTIONS)


def summed_covariance(problem: RandomQuadratic, beta: float) -> np.ndarray:
    """The covariance of θ, ΣFᵏNFᵏᵀ by doubling.

    Raises:
        OracleRefusal: the sum has not settled after 2^DOUBLINGS steps (no stationary law).
    """
    dim = problem.hessian.shape[0]
    eye = np.eye(dim)
    F = np.block([[eye - ETA * problem.hessian, beta * eye], [-ETA * problem.hessian, beta * eye]])
    V = ETA**2 * np.tile(problem.covariance, (2, 2))
    for _ in range(DOUBLINGS):
        added = F @ V @ F.T
        V, F = V + added, F @ F
        if np.abs(added).max() <= 1e-18 * np.abs(V).max():
            return V[:dim, :dim]
    raise OracleRefusal("The sum over past steps does not settle: no stationary law. Choose 0 < ηλ < 2(1+β).")


def _residual(problem: RandomQuadratic, V: np.ndarray, beta: float) -> float:
    H, C = problem.hessian, ETA * problem.covariance
    left = (1 - beta) * (H @ V + V @ H) - ETA * (1 + beta**2) / (1 - beta**2) * H @ V @ H + ETA * beta / (1 - beta**2) * (H @ H @ V + V @ H @ H)
    return float(np.linalg.norm(left - C) / np.linalg.norm(C))
