"""Laws of standardised scalar noise ζ (mean 0, variance 1): SGD moves by θ⁺ = θ − η(g + Rζ), R = Σ^½ ≥ 0.

The SDE models know only Σ. Which law SGD draws from is a separate choice: skewness (third cumulant κ₃ ≠ 0) limits every SDE to weak order 2, and
large deviations feel the whole law (escape exponents). A law gives a quadrature for E h(ζ) and its characteristic function E e^{itζ}.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Complex, Float

from sgdsde.types import InputError

Array = np.ndarray


class Law(ABC):
    """A law with mean 0 and variance 1; ``skewness`` is its third cumulant.

    Example:
        >>> isinstance(sg.oracles.TwoPointLaw(0.2), sg.oracles.Law)
        True
    """

    skewness: float

    @abstractmethod
    def quadrature(self, order: int) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
        """Nodes ζ_q and weights with E h(ζ) ≈ Σ_q w_q h(ζ_q), exact for polynomials of degree 2·order − 1 (discrete laws: for every h)."""

    @abstractmethod
    def characteristic(self, t: Float[Array, "*shape"]) -> Float[Array, "*shape"] | Complex[Array, "*shape"]:
        """E e^{itζ}."""

    @abstractmethod
    def extent(self, level: float) -> float:
        """The size |ζ| that is exceeded with a probability of the order e^{−level}."""


@dataclass(frozen=True)
class GaussianLaw(Law):
    """ζ ~ N(0, 1); Gauss–Hermite quadrature.

    Example:
        >>> sg.oracles.GaussianLaw().skewness
        0.0
    """

    skewness: float = field(default=0.0, init=False)

    def quadrature(self, order: int) -> tuple[Array, Array]:
        nodes, weights = np.polynomial.hermite_e.hermegauss(order)
        return nodes, weights / weights.sum()

    def characteristic(self, t: Array) -> Array:
        return np.exp(-0.5 * t * t)

    def extent(self, level: float) -> float:
        return float(np.sqrt(2 * level))


@dataclass(frozen=True)
class TwoPointLaw(Law):
    """ζ = √(q/p) with probability p, −√(p/q) with probability q = 1 − p; p = ½ is Rademacher. κ₃ = (q − p)/√(pq).

    Raises:
        InputError: p is not inside (0, 1).

    Example:
        >>> round(sg.oracles.TwoPointLaw(0.2).skewness, 9)  # (q − p)/√(pq)
        1.5
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.p < 1:
            raise InputError(f"p = {self.p}; wanted a probability inside (0, 1).")

    @property
    def skewness(self) -> float:  # type: ignore[override]
        return (1 - 2 * self.p) / (self.p * (1 - self.p)) ** 0.5

    def quadrature(self, order: int) -> tuple[Array, Array]:
        odds = np.sqrt((1 - self.p) / self.p)
        return np.array([odds, -1 / odds]), np.array([self.p, 1 - self.p])

    def characteristic(self, t: Array) -> Array:
        (up, down), (p, q) = self.quadrature(1)
        return p * np.exp(1j * t * up) + q * np.exp(1j * t * down)

    def extent(self, level: float) -> float:
        return float(np.abs(self.quadrature(1)[0]).max())


@dataclass(frozen=True)
class ExponentialLaw(Law):
    """ζ = E − 1 with E ~ Exp(1): skewness 2, an exponential upper tail; Gauss–Laguerre quadrature.

    Example:
        >>> sg.oracles.ExponentialLaw().skewness
        2.0
    """

    skewness: float = field(default=2.0, init=False)

    def quadrature(self, order: int) -> tuple[Array, Array]:
        nodes, weights = np.polynomial.laguerre.laggauss(order)
        return nodes - 1, weights / weights.sum()

    def characteristic(self, t: Array) -> Array:
        return np.exp(-1j * t) / (1 - 1j * t)

    def extent(self, level: float) -> float:
        return float(level)
