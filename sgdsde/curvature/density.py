"""Spectral density by products with random vectors.

Stochastic Lanczos quadrature: for a unit vector v the Lanczos run of m steps gives a Gauss rule with nodes θⱼ and weights τⱼ² for the measure
μ_v = Σᵢ(vᵀuᵢ)²δ(λᵢ); averaged over random v it is the spectral density (Ubaru, Chen, Saad 2017; Ghorbani, Krishnan, Xiao 1901.10159). The
basis is reorthogonalised in full, twice, so no eigenvalue shows as a ghost. Error bars come from the scatter over vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.curvature.operator import Operator
from sgdsde.rng import stream
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate, InputError


@dataclass(frozen=True)
class SpectralDensity:
    """Nodes and weights of each random vector's Gauss rule, ``[vectors, m]`` (weights sum to 1 a row; unused places have weight 0)."""

    nodes: Float[np.ndarray, "vectors m"]
    weights: Float[np.ndarray, "vectors m"]
    dim: int

    def smoothed(self, grid: Float[np.ndarray, " g"], width: float) -> Estimate:
        """The density of eigenvalues convolved with a Gaussian of standard deviation ``width``, on a grid, with error bars."""
        grid = np.asarray(grid, dtype=float)
        kernel = np.exp(-0.5 * ((grid[None, None, :] - self.nodes[:, :, None]) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        return mean_estimate((self.weights[:, :, None] * kernel).sum(1))

    def integral(self, function: object) -> Estimate:
        """tr φ(A) for a function φ on arrays, with its error bar."""
        if not callable(function):
            raise InputError("integral wants a function of eigenvalues.")
        return mean_estimate(self.dim * (self.weights * np.where(self.weights > 0, function(self.nodes), 0.0)).sum(1))


def spectral_density(operator: Operator, *, steps: int = 60, vectors: int = 8, seed: int = 0) -> SpectralDensity:
    """The spectral density by stochastic Lanczos quadrature with ``vectors`` random vectors of ``steps`` steps.

    Raises:
        InputError: fewer than 2 vectors (no error bar) or 1 step.
    """
    if vectors < 2 or steps < 1:
        raise InputError(f"vectors = {vectors}, steps = {steps}; wanted at least 2 (for an error bar) and 1.")
    steps = min(steps, operator.dim)
    generator = stream(seed, "spectral density")
    nodes, weights = np.zeros((vectors, steps)), np.zeros((vectors, steps))
    for row in range(vectors):
        v = torch.randn(operator.dim, generator=generator, dtype=torch.float64).to(operator.device, operator.dtype)
        alpha, beta = lanczos(operator, v / v.norm(), steps)
        matrix = np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1)
        values, eigenvectors = np.linalg.eigh(matrix)
        nodes[row, : len(values)], weights[row, : len(values)] = values, eigenvectors[0] ** 2
    return SpectralDensity(nodes, weights, operator.dim)


def lanczos(operator: Operator, v: Tensor, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Diagonal and off-diagonal of the Lanczos matrix from a unit vector; ends early where the Krylov space is invariant."""
    basis = v[:, None]
    alpha: list[float] = []
    beta: list[float] = []
    scale = 0.0
    for _ in range(steps):
        w = operator @ basis[:, -1]
        alpha.append(float(w @ basis[:, -1]))
        for _ in range(2):  # full reorthogonalisation, twice
            w = w - basis @ (basis.T @ w)
        size = float(w.norm())
        scale = max(scale, abs(alpha[-1]) + size)
        if len(alpha) == steps or size <= 64 * torch.finfo(v.dtype).eps * scale:
            break
        beta.append(size)
        basis = torch.cat([basis, (w / size)[:, None]], 1)
    return np.array(alpha), np.array(beta[: len(alpha) - 1])
