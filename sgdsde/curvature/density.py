"""Spectral density by products with random vectors.

Stochastic Lanczos quadrature: for a unit vector v the Lanczos run of m steps gives a Gauss rule with nodes θⱼ and weights τⱼ² for the measure
μ_v = Σᵢ(vᵀuᵢ)²δ(λᵢ); averaged over random v it is the spectral density (Ubaru, Chen, Saad 2017; Ghorbani, Krishnan, Xiao 1901.10159). All vectors
run together, one block product a step. Each basis is reorthogonalised in full, so no eigenvalue shows as a ghost. Error bars come from the scatter
over vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from sgdsde.curvature.operator import Operator, as_operator
from sgdsde.curvature.recurrence import recurrence
from sgdsde.given import is_whole
from sgdsde.objectives.memory import require
from sgdsde.rng import stream
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate, InputError

#: bytes that the bases of vectors that run together may take
BASIS_BYTES = 2**29


@dataclass(frozen=True)
class SpectralDensity:
    """Nodes and weights of each random vector's Gauss rule, ``[vectors, m]`` (weights sum to 1 a row; unused places have weight 0).

    ``operator``: of what this is the density, mode included.

    Example:
        >>> density = sg.curvature.spectral_density(sg.curvature.Matrix(torch.diag(torch.tensor([3.0, 1.0]).double())), steps=2, vectors=4)
        >>> [sorted(round(float(node), 6) for node in row) for row in density.nodes][0]
        [1.0, 3.0]
    """

    nodes: Float[np.ndarray, "vectors m"]
    weights: Float[np.ndarray, "vectors m"]
    dim: int
    operator: str = ""

    def smoothed(self, grid: Float[np.ndarray, " g"], width: float) -> Estimate:
        """The density of eigenvalues convolved with a Gaussian of standard deviation ``width``, on a grid, with error bars."""
        grid = np.asarray(grid, dtype=float)
        if not width > 0:
            raise InputError(f"width = {width!r}; wanted a positive standard deviation.")
        kernel = np.exp(-0.5 * ((grid[None, None, :] - self.nodes[:, :, None]) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        return mean_estimate((self.weights[:, :, None] * kernel).sum(1))

    def integral(self, function: Callable[[np.ndarray], np.ndarray]) -> Estimate:
        """tr φ(A) for a function φ on arrays, with its error bar."""
        if not callable(function):
            raise InputError("integral wants a function of eigenvalues.")
        return mean_estimate(self.dim * (self.weights * np.where(self.weights > 0, function(self.nodes), 0.0)).sum(1))

    def share(self, low: float, high: float) -> Estimate:
        """The share of eigenvalues in [low, high], with its error bar: nodes are points, so an edge inside a dense bulk is blurred by their spacing."""
        inside = (self.nodes >= low) & (self.nodes <= high)
        return mean_estimate((self.weights * inside).sum(1))


def spectral_density(operator: Operator, *, steps: int = 60, vectors: int = 8, seed: int = 0, progress: bool | None = None) -> SpectralDensity:
    """The spectral density by stochastic Lanczos quadrature with ``vectors`` random vectors of ``steps`` steps.

    Raises:
        InputError: fewer than 2 vectors (no error bar) or 1 step; a basis that does not fit the machine.

    Example:
        >>> A = sg.curvature.Matrix(torch.diag(torch.tensor([3.0, 1.0]).double()))
        >>> density = sg.curvature.spectral_density(A, steps=2, vectors=4, seed=0)
        >>> density.dim, density.weights.sum(1).round(9).tolist()
        (2, [1.0, 1.0, 1.0, 1.0])
    """
    as_operator(operator)
    if not is_whole(vectors, 2) or not is_whole(steps, 1):
        raise InputError(f"vectors = {vectors!r}, steps = {steps!r}; wanted integers, at least 2 (for an error bar) and 1.")
    vectors, steps = int(vectors), min(int(steps), operator.dim)
    generator = stream(seed, "spectral density")
    starts = torch.randn(vectors, operator.dim, generator=generator, dtype=torch.float64).to(operator.device, operator.dtype)
    one = steps * operator.dim
    require(2 * one, starts, what=f"A basis of {steps} vectors of {operator.dim} parameters", instead="Use fewer steps.")
    together = max(1, BASIS_BYTES // (one * starts.element_size()))
    nodes, weights = np.zeros((vectors, steps)), np.zeros((vectors, steps))
    row = 0
    with tqdm(total=vectors * steps, desc="density", unit="product", leave=False, disable=None if progress is None else not progress) as bar:
        for some in starts.split(together):
            for alpha, beta in _runs(operator, torch.nn.functional.normalize(some, dim=1), steps, bar):
                values, eigenvectors = np.linalg.eigh(np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1))
                nodes[row, : len(values)], weights[row, : len(values)] = values, eigenvectors[0] ** 2
                row += 1
    return SpectralDensity(nodes, weights, operator.dim, operator.description)


def lanczos(operator: Operator, v: Tensor, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Diagonal and off-diagonal of the Lanczos matrix from a unit vector; ends early where the Krylov space is invariant.

    Example:
        >>> A = sg.curvature.Matrix(torch.diag(torch.tensor([3.0, 1.0]).double()))
        >>> diagonal, beside = sg.curvature.lanczos(A, torch.tensor([1.0, 1.0]).double() / math.sqrt(2), 2)
        >>> diagonal.round(9).tolist(), beside.round(9).tolist()
        ([2.0, 2.0], [1.0])
    """
    return _runs(operator, v[None], min(steps, operator.dim), None)[0]


def _runs(operator: Operator, starts: Float[Tensor, "p dim"], steps: int, bar: tqdm | None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Diagonals and off-diagonals of the Lanczos matrices from unit vectors, all at once; a run whose space is invariant ends early."""

    def product(rows: Tensor) -> Tensor:
        if bar is not None:
            bar.update(len(rows))
        return (operator @ rows.T).T

    made = recurrence(product, starts, steps)
    a, b = made.alpha.cpu().double().numpy(), made.beta.cpu().double().numpy()
    return [(a[i, :n], b[i, : n - 1]) for i, n in enumerate(made.length.tolist())]
