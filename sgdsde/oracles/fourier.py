"""The circle and the 2-torus [0, 2π)^d: SGD's transfer operator and an SDE's generator as dense matrices on grid values.

u(x) = Σ_k û_k e^{ik·x} on an odd number n of points a direction (no Nyquist mode). One step of SGD, x⁺ = x + ηb − √(ηQ)ζ, maps u to
Pu(x) = Σ_k û_k e^{ik·(x+ηb)}·E e^{−ik·√(ηQ)ζ}, and noise of finitely many values to a weighted sum of u at its images; an SDE has L = b·∂ + ½Q:∂∂. Both are
exact on trigonometric polynomials, up to aliasing, which falls faster than any power of n for smooth problems.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float

from sgdsde.oracles.coefficients import Field, everywhere
from sgdsde.oracles.laws import GaussianLaw, Law
from sgdsde.types import OracleRefusal

Array = np.ndarray


@dataclass(frozen=True)
class FourierGrid:
    """n points a direction, n odd, in ``dim`` = 1 or 2 directions; N = n^dim."""

    n: int
    dim: int

    @cached_property
    def points(self) -> Float[Array, "N dim"]:
        """The points, first coordinate slowest."""
        axis = 2 * np.pi * np.arange(self.n) / self.n
        return np.stack(np.meshgrid(*[axis] * self.dim, indexing="ij"), -1).reshape(-1, self.dim)

    @cached_property
    def modes(self) -> Float[Array, "N dim"]:
        """The wave vectors k, in the order of the discrete transform."""
        axis = np.fft.fftfreq(self.n, 1 / self.n)
        return np.stack(np.meshgrid(*[axis] * self.dim, indexing="ij"), -1).reshape(-1, self.dim)

    def reading(self, y: Float[Array, "P dim"], damping: Array | float = 1.0) -> Float[Array, "P N"]:
        """Rows that take grid values to Σ_k û_k e^{ik·y}·damping_k."""
        waves = np.exp(1j * (y @ self.modes.T)) * damping  # [P, N]
        shape = (len(y), *[self.n] * self.dim)
        return np.fft.fftn(waves.reshape(shape), axes=range(1, self.dim + 1)).real.reshape(len(y), -1) / len(self.points)

    def transfer(self, field: Field, eta: float, law: Law | None = None, *, what: str = "SGD") -> Float[Array, "N N"]:
        """P of one step with mean x + ηb and covariance ηQ, Gaussian unless another law is given (one dimension only).

        Raises:
            OracleRefusal: a coefficient is not periodic or not finite, Q is indefinite, or another law in two dimensions.
        """
        b, Q = coefficients_on(self, field, what)
        if law is None or isinstance(law, GaussianLaw):
            damping = np.exp(-0.5 * eta * np.einsum("ka,pab,kb->pk", self.modes, Q, self.modes))
        elif self.dim == 1:
            damping = law.characteristic(-np.sqrt(eta * Q[:, :, 0]) * self.modes[:, 0])
        else:
            raise OracleRefusal(f"{type(law).__name__} in two dimensions: the direction of a root of the covariance would matter; Gaussian noise only.")
        return self.reading(self.points + eta * b, damping)

    def generator(self, field: Field, *, what: str = "the SDE") -> Float[Array, "N N"]:
        """L = b·∂ + ½Q:∂∂.

        Raises:
            OracleRefusal: a coefficient is not periodic or not finite, or Q is indefinite.
        """
        b, Q = coefficients_on(self, field, what)
        first, second = derivatives(self.n, self.dim)
        total = np.zeros((len(b), len(b)))
        for i in range(self.dim):
            total += b[:, i, None] * first[i] + 0.5 * Q[:, i, i, None] * second[i, i]
            for j in range(i):
                total += Q[:, i, j, None] * second[j, i]
        return total


@lru_cache(maxsize=4)
def derivatives(n: int, dim: int) -> tuple[dict[int, Float[Array, "N N"]], dict[tuple[int, int], Float[Array, "N N"]]]:
    """∂ᵢ and, for i ≤ j, ∂ᵢ∂ⱼ on grid values; along one direction ∂ is ½(−1)^{a−b}/sin((x_a−x_b)/2)."""
    gap = np.arange(n)[:, None] - np.arange(n)
    np.fill_diagonal(gap, 1)
    D = 0.5 * (-1.0) ** np.abs(gap) / np.sin(np.pi * gap / n)
    np.fill_diagonal(D, 0.0)
    if dim == 1:
        return {0: D}, {(0, 0): D @ D}
    eye = np.eye(n)
    return {0: np.kron(D, eye), 1: np.kron(eye, D)}, {(0, 0): np.kron(D @ D, eye), (0, 1): np.kron(D, D), (1, 1): np.kron(eye, D @ D)}


def coefficients_on(grid: FourierGrid, field: Field, what: str) -> tuple[Float[Array, "N dim"], Float[Array, "N dim dim"]]:
    """b and Q at the grid's points.

    Raises:
        OracleRefusal: not 2π-periodic, not finite somewhere, or Q indefinite somewhere.
    """
    b, Q = everywhere(field, grid.points, what)
    probe = grid.points[:: max(1, len(grid.points) // 16)]
    at_probe = field(probe)
    for axis in np.eye(grid.dim):
        there = field(probe + 2 * np.pi * axis)
        if not all(np.allclose(a, c, rtol=1e-8, atol=1e-10) for a, c in zip(at_probe, there, strict=True)):
            raise OracleRefusal(f"{what} is not 2π-periodic in every coordinate, so it does not live on the torus.")
    return b, Q
