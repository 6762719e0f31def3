"""The stationary covariance of SGD with a finite step, plain and with heavy-ball momentum: equation, formula, recursion, paths.

Plain: AV + VA − ηAVA = ηC. Heavy ball v⁺ = βv − ηĝ, θ⁺ = θ + v⁺ in one dimension: V = ησ²(1 + β)/(λ(1 − β)(2(1 + β) − ηλ)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from sgdsde.kernels import SGD
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.random_quadratics import random_quadratic
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import momentum_stationary_moments, stationary_covariance
from sgdsde.rng import stream
from sgdsde.sdes import HASME, SME1, SME2
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate

ETA = 0.1
BURN_IN, AVERAGED = 150, 150
MODELS: dict[str, Any] = {"SME1": SME1, "SME2": SME2, "HASME": HASME}


def stationary_equation(*, seed: int, level: float, cases: Mapping[str, tuple[int, float, float]]) -> Measured:
    """For each case ``name: (dim, low, high)`` of ηλ: ``name/SGD``, the residual ‖AV + VA − ηAVA − ηC‖/‖ηC‖ of the covariance found by summing the chain's
    own covariance V = Σⱼ Mʲ(η²C)Mʲ (doubling, no solver); ``name/model``, the same residual of a model's Lyapunov solution.
    """
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for name, (dim, low, high) in cases.items():
        problem = random_quadratic(rng, dim, low=low, high=high, rank=2 * dim, white=0.5, eta=ETA)
        noise = Gaussian(Quadratic(problem.hessian), problem.covariance)
        A, C = torch.from_numpy(problem.hessian), torch.from_numpy(problem.covariance)

        def residual(V: torch.Tensor, A: torch.Tensor = A, C: torch.Tensor = C) -> float:
            return float((A @ V + V @ A - ETA * A @ V @ A - ETA * C).norm() / (ETA * C).norm())

        M, V = torch.eye(dim, dtype=torch.float64) - ETA * A, ETA**2 * C
        while float(M.norm()) > 1e-30:  # V ← V + MVMᵀ, M ← M²: after j rounds 2ʲ terms are summed
            V, M = V + M @ V @ M.T, M @ M
        accuracy = 1e-15 * dim / low
        estimates[f"{name}/SGD"] = exactly(residual(V), accuracy)
        for label, model in MODELS.items():
            if high < 1 or label != "HASME":
                estimates[f"{name}/{label}"] = exactly(residual(stationary_covariance(model(noise, ETA))), accuracy)
    return Measured(estimates, conventions="Gaussian noise with constant covariance, float64, eta = 0.1")


def heavy_ball_variance(x: float, beta: float) -> float:
    """λV/(ησ²) = (1 + β)/((1 − β)(2(1 + β) − x))."""
    return (1 + beta) / ((1 - beta) * (2 * (1 + beta) - x))


def momentum_variance(*, seed: int, level: float, pairs: Sequence[tuple[float, float]], paths: int) -> Measured:
    """``x, β/solver``: λV/(ησ²) from the stationary equation of (θ, v); ``x, β/recursion``: from iterating its moments; ``x, β/paths``: simulated
    (all pairs at once); ``x, β/continuous``: 1/(2(1 − β)), what the Langevin limit says.
    """
    estimates: dict[str, Estimate] = {}
    for x, beta in pairs:
        noise = Gaussian(Quadratic(x / ETA), 1.0)
        scale = x / ETA**2  # λ/(ησ²)
        estimates[f"{x}, {beta}/solver"] = exactly(float(momentum_stationary_moments(noise, ETA, beta).covariance[0, 0]) * scale, 1e-9)
        estimates[f"{x}, {beta}/recursion"] = exactly(_iterated(x, beta), 1e-9)
        estimates[f"{x}, {beta}/continuous"] = exactly(1 / (2 * (1 - beta)), 0.0)
    squares = _simulated(pairs, paths=paths, seed=seed)
    for i, (x, beta) in enumerate(pairs):
        estimates[f"{x}, {beta}/paths"] = mean_estimate(squares[:, i], level=level)
    note = f"{paths} paths from rest; burn-in of {BURN_IN} iterates, then {AVERAGED} averaged"
    return Measured(estimates, notes=(note,), conventions=str(SGD(Gaussian(Quadratic(1.0), 1.0), ETA).conventions()))


def _iterated(x: float, beta: float) -> float:
    """λV/(ησ²) from the recursion of Cov(θ, v) with unit λ: step x, noise x·ξ of variance such that V is in units of ησ²/λ."""
    F = np.array([[1 - x, beta], [-x, beta]])
    S, noise = np.zeros((2, 2)), x * np.ones((2, 2))  # η²σ²·λ/(ησ²) = x
    for _ in range(200_000):
        following = F @ S @ F.T + noise
        if np.abs(following - S).max() < 1e-15 * np.abs(following).max():
            break
        S = following
    return float(S[0, 0])


def _simulated(pairs: Sequence[tuple[float, float]], *, paths: int, seed: int) -> np.ndarray:
    """Per path the mean of λθ²/(ησ²) over the averaged iterates, ``[paths, pairs]``: heavy ball written out, one axis a pair."""
    x, beta = (torch.tensor(column, dtype=torch.float64) for column in zip(*pairs, strict=True))
    noise, generator = Gaussian(Quadratic(x / ETA), 1.0), stream(seed, "heavy ball")
    theta = torch.zeros(paths, len(pairs), dtype=torch.float64)
    velocity, total = torch.zeros_like(theta), torch.zeros_like(theta)
    for k in range(BURN_IN + AVERAGED):
        velocity = beta * velocity - ETA * noise.draw(theta, generator)
        theta = theta + velocity
        if k >= BURN_IN:
            total += theta**2
    return (total / AVERAGED * (x / ETA**2)).numpy()
