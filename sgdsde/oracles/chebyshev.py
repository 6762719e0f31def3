"""Polynomial interpolation in Chebyshev points x_j = cos(πj/(N−1)) on [−1, 1]: differentiation and evaluation.

Barycentric form (Berrut, Trefethen, SIAM Review 46, 2004); node differences as products of sines, so that nothing cancels near ±1.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Array = np.ndarray


def points(count: int) -> Float[Array, " N"]:
    """The N nodes, from 1 down to −1."""
    return np.cos(np.pi * np.arange(count) / (count - 1))


def _weights(count: int) -> Float[Array, " N"]:
    weights = (-1.0) ** np.arange(count)
    weights[[0, -1]] *= 0.5
    return weights


def derivative(count: int) -> Float[Array, "N N"]:
    """The matrix that maps values at the nodes to the interpolant's derivative there."""
    angle, weights = np.pi * np.arange(count) / (count - 1), _weights(count)
    gaps = 2 * np.sin((angle[:, None] + angle) / 2) * np.sin((angle - angle[:, None]) / 2)  # x_i − x_j
    np.fill_diagonal(gaps, 1.0)
    D = weights / weights[:, None] / gaps
    np.fill_diagonal(D, 0.0)
    np.fill_diagonal(D, -D.sum(1))
    return D


def evaluation(count: int, x: Float[Array, " points"]) -> Float[Array, "points N"]:
    """The matrix that maps values at the nodes to the interpolant's values at ``x`` in [−1, 1]."""
    gaps = x[:, None] - points(count)
    hits = gaps == 0
    gaps[hits] = 1.0
    matrix = _weights(count) / gaps
    matrix /= matrix.sum(1, keepdims=True)
    exact = hits.any(1)
    matrix[exact] = hits[exact]
    return matrix
