"""The generator L u = b u′ + ½Q u″ of a one-dimensional SDE on spectral elements.

Weak form with the weight 1/Q, so that Q is never differentiated: M = ∫ v u/Q, A = ∫ v (b/Q) u′ − ½∫ v′u′, L ≈ M⁻¹A; Gauss–Lobatto–Legendre nodes,
whose quadrature makes M diagonal. Free ends are reflecting; an absorbing end is a node left out. A function that jumps at a border between elements is
represented with its one-sided share of that node's mass: after any positive time the error is spectrally small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from sgdsde.types import OracleRefusal

Array = np.ndarray
#: points [P] → drift b [P] and diffusion Q [P]; NaN where the model does not exist
LineCoefficients = Callable[[Float[Array, " P"]], tuple[Float[Array, " P"], Float[Array, " P"]]]


@dataclass(frozen=True)
class Generator:
    """Nodes, the matrix L on them, and the mass of each node from the element below and above it."""

    x: Float[Array, " N"]
    L: Float[Array, "N N"]
    mass_below: Float[Array, " N"]
    mass_above: Float[Array, " N"]

    def node(self, point: float) -> int:
        """The index of a point that is a border between elements."""
        return int(np.abs(self.x - point).argmin())

    def share(self, low: int, high: int) -> Float[Array, " N"]:
        """The indicator of [x_low, x_high] on the nodes: 1 inside, 0 outside, at its two ends the share of the mass that lies inside."""
        part = np.zeros_like(self.x)
        if low < high:
            part[low + 1 : high] = 1.0
            total = self.mass_below + self.mass_above
            part[low], part[high] = self.mass_above[low] / total[low], self.mass_below[high] / total[high]
        return part


def generator(coefficients: LineCoefficients, borders: Float[Array, " elements_plus_1"], degree: int, *, what: str) -> Generator:
    """L on elements of the given polynomial degree between the borders.

    Raises:
        OracleRefusal: the model does not exist on the domain, or its noise vanishes there.
    """
    z, w, D = lobatto(degree)
    count, p = len(borders) - 1, degree
    half = np.diff(borders) / 2
    x = np.empty(count * p + 1)
    for e in range(count):
        x[e * p : (e + 1) * p + 1] = borders[e] + half[e] * (z + 1)
    b, Q = line_values(coefficients, x, what)
    A = np.zeros((len(x), len(x)))
    below, above = np.zeros_like(x), np.zeros_like(x)
    for e in range(count):
        local = slice(e * p, (e + 1) * p + 1)
        weights = w * half[e]
        slope = D / half[e]
        A[local, local] += (weights * b[local] / Q[local])[:, None] * slope - 0.5 * slope.T @ (weights[:, None] * slope)
        mass = weights / Q[local]
        above[local.start : local.stop - 1] += mass[:-1]
        below[local.stop - 1] += mass[-1]
    inner = np.arange(len(x)) % p != 0
    below[inner] = 0.0
    return Generator(x, A / (below + above)[:, None], below, above)


def resolve(coefficients: LineCoefficients, borders: Float[Array, " elements_plus_1"], degree: int, least: float, *, what: str) -> Array:
    """The borders, with elements halved (down to the width ``least``) until b and Q are polynomials of the given degree on each to seven digits.

    Models with a policy (log='clip') have kinks; the halving closes in on them.
    """
    z, _, _ = lobatto(degree)
    test = np.linspace(-0.9, 0.9, 7)
    fit = np.polynomial.legendre.legvander(test, degree) @ np.linalg.inv(np.polynomial.legendre.legvander(z, degree))
    while True:
        half = np.diff(borders)[:, None] / 2
        middle = borders[:-1, None] + half
        at_nodes = line_values(coefficients, (middle + half * z).ravel(), what)
        at_tests = line_values(coefficients, (middle + half * test).ravel(), what)
        rough = np.zeros(len(half), dtype=bool)
        for nodes, tests in zip(at_nodes, at_tests, strict=True):
            nodes, tests = nodes.reshape(len(half), -1), tests.reshape(len(half), -1)
            rough |= np.abs(nodes @ fit.T - tests).max(1) > 1e-7 * np.abs(nodes).max()
        rough &= 2 * half[:, 0] > least
        if not rough.any():
            return borders
        borders = np.sort(np.concatenate([borders, middle[rough, 0]]))


def line_values(coefficients: LineCoefficients, x: Float[Array, " P"], what: str) -> tuple[Float[Array, " P"], Float[Array, " P"]]:
    """b and Q > 0 at the points.

    Raises:
        OracleRefusal: one of them is not finite somewhere, or Q is not positive.
    """
    b, Q = coefficients(x)
    broken = ~(np.isfinite(b) & np.isfinite(Q))
    if broken.any():
        raise OracleRefusal(
            f"{what} does not exist at {x[broken][0]:.4g}, which the exit problem needs (region and its surroundings). "
            "Take a smaller region or eta, or a policy that defines the model there, such as log='clip'."
        )
    if not (Q > 0).all():
        raise OracleRefusal(f"{what}: the noise vanishes at {x[~(Q > 0)][0]:.4g}; this oracle needs Q > 0 throughout.")
    return b, Q


@lru_cache(maxsize=4)
def lobatto(degree: int) -> tuple[Float[Array, " n"], Float[Array, " n"], Float[Array, "n n"]]:
    """Gauss–Lobatto–Legendre nodes on [−1, 1], weights, and the differentiation matrix."""
    legendre = np.polynomial.legendre.Legendre.basis(degree)
    z = np.concatenate([[-1.0], np.sort(legendre.deriv().roots().real), [1.0]])
    value = legendre(z)
    w = 2 / (degree * (degree + 1) * value**2)
    gaps = z[:, None] - z
    np.fill_diagonal(gaps, 1.0)
    D = value[:, None] / value / gaps
    np.fill_diagonal(D, 0.0)
    np.fill_diagonal(D, -D.sum(1))
    return z, w, D
