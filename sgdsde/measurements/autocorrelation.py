"""The stationary autocorrelation Corr(θ₀, θ_k) on quadratics with constant noise: Cov(θ_k, θ₀)V⁻¹ is Mᵏ for SGD and e^{Akη} for a linear SDE with drift Ax.

So it depends on the drift alone, not on Q: a model may have every correlation right and every variance wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.linalg
import torch

from sgdsde.kernel import Kernel
from sgdsde.kernels import SGD, Heun
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.random_quadratics import random_quadratic
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import stationary_covariance
from sgdsde.plots.panel import Panel, Series
from sgdsde.sdes import HASME, SME1, SME2, SPF, HASMEProduct
from sgdsde.simulate import simulate
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate

ETA = 0.1
CONVENTIONS = f"Gaussian noise, constant covariance, float64, eta={ETA}"
MODELS: dict[str, Any] = {"SPF": SPF, "HASME": HASME, "HASMEProduct": HASMEProduct, "SME1": SME1, "SME2": SME2}
LAGS = (1, 2, 5, 20)


def correlations(*, seed: int, level: float, cases: Mapping[str, tuple[int, float, float]]) -> Measured:
    """For each case ``name: (dim, low, high)`` of ηλ, Σ not commuting: ``name/model`` the largest ‖C_k − Mᵏ‖₂ over lags 1, 2, 5, 20, C_k from its drift;
    ``name/model/variance`` tr V of the model over SGD's.
    """
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for name, (dim, low, high) in cases.items():
        problem = random_quadratic(rng, dim, low=low, high=high, rank=4 * dim, white=0.5, eta=ETA)
        noise = Gaussian(Quadratic(problem.hessian), problem.covariance)
        M = np.eye(dim) - ETA * problem.hessian
        sgd = float(stationary_covariance(noise, ETA).trace())
        for label, model in MODELS.items():
            sde = model(noise, ETA)
            A = sde.affine()[0].numpy()
            worst = max(float(np.linalg.norm(scipy.linalg.expm(A * k * ETA) - np.linalg.matrix_power(M, k), 2)) for k in LAGS)
            estimates[f"{name}/{label}"] = exactly(worst, 16 * dim * float(np.finfo(float).eps))
            estimates[f"{name}/{label}/variance"] = exactly(float(stationary_covariance(sde).trace()) / sgd, 1e-10)
    return Measured(estimates, panels=(_panel(),), conventions=CONVENTIONS)


def simulated_correlations(*, seed: int, level: float, xs: Sequence[float], paths: int, substeps: int) -> Measured:
    """``process/x/k``: E θ₀θ_k/E θ₀² from paths, one axis per x, after a burn-in from 0."""
    noise = Gaussian(Quadratic(np.asarray(xs) / ETA), 1.0)
    kernels: dict[str, Kernel] = {"SGD": SGD(noise, ETA)} | {name: Heun(MODELS[name](noise, ETA), ETA / substeps) for name in ("SPF", "SME1")}
    estimates: dict[str, Estimate] = {}
    for offset, (name, kernel) in enumerate(kernels.items()):
        sde = None if name == "SGD" else MODELS[name](noise, ETA)
        root = (stationary_covariance(noise, ETA) if sde is None else stationary_covariance(sde)).diagonal().sqrt()

        def start(count: int, generator: torch.Generator, root: torch.Tensor = root) -> torch.Tensor:
            return torch.randn(count, len(root), generator=generator, dtype=torch.float64) * root

        run = simulate(kernel, start, horizon=3 * ETA, save=[0.0, ETA, 2 * ETA, 3 * ETA], paths=paths, seed=seed + offset, progress=False)
        for k in (1, 2):
            products = ((run.states[0] * run.states[k] + run.states[1] * run.states[k + 1]) / (2 * root**2)).numpy()
            for i, x in enumerate(xs):
                estimates[f"{name}/{x:.4g}/{k}"] = mean_estimate(products[:, i], level=level)
    note = f"{paths} paths from the exact stationary variance, {substeps} Heun steps a tick"
    return Measured(estimates, notes=(note,), conventions=CONVENTIONS)


def _panel() -> Panel:
    x = np.linspace(0.01, 0.99, 100)
    series = (
        Series("SGD", "SGD, SPF and HA-SME", x, 1 - x),
        Series("SME1", "SME-1", x, np.exp(-x)),
        Series("SME2", "SME-2", x, np.exp(-x - x**2 / 2)),
    )
    return Panel("Correlation of consecutive iterates", "x = ηλ", "Corr(θ₀, θ₁)", series)
