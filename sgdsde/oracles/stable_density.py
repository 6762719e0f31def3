"""Density and tail of the symmetric α-stable law with E e^{iuζ} = e^{−|u|^α}, to some 11 digits, tabulated once.

Up to |x| = 20: h(x) = (1/π)∫₀^∞ cos(xu)e^{−u^α}du and P(ζ > x) = ½ − (1/π)∫₀^∞ sin(xu)/u·e^{−u^α}du by Gauss–Legendre in v, u = v³ (the kink of |u|^α at 0
becomes smooth enough). Beyond: P(ζ > x) = (1/π)Σ_{k≥1}(−1)^{k+1}Γ(αk)/k!·sin(πkα/2)·x^{−αk}, cut at its smallest term (Zolotarev, One-dimensional Stable
Distributions, 1986, 2.4–2.5).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from scipy.special import gammaln

from sgdsde.types import OracleRefusal

Array = np.ndarray

#: up to here by Fourier, from here on by the series of the tail
_JOIN = 20.0
_STEP, _TERMS = 0.01, 60
#: below this α the characteristic function falls too slowly for the quadrature
LEAST_ALPHA = 0.8


class StableDensity:
    """h and the tail P(ζ > x) of the standard symmetric α-stable law.

    Raises:
        OracleRefusal: α lies outside [0.8, 2).
    """

    def __init__(self, alpha: float) -> None:
        if not LEAST_ALPHA <= alpha < 2:
            raise OracleRefusal(f"alpha = {alpha:g}; the density of the stable law is computed for {LEAST_ALPHA} ≤ alpha < 2. Simulate instead.")
        self.alpha = alpha
        x = np.arange(0.0, _JOIN + 20 * _STEP, _STEP)
        reach = 40.0 ** (1 / (3 * alpha))  # e^{−40}
        z, w = np.polynomial.legendre.leggauss(150 + int(1.5 * _JOIN * reach**3))  # a few nodes for each turn of the cosine
        v = (z + 1) * reach / 2
        u, weight = v**3, w * reach / 2 * 3 * v**2 * np.exp(-(v ** (3 * alpha))) / math.pi
        phase = np.outer(x, u)
        self._density = CubicSpline(x, np.cos(phase) @ weight)
        self._tail = CubicSpline(x, 0.5 - np.sin(phase) @ (weight / u))
        k = np.arange(1, _TERMS + 1)
        self._log = gammaln(alpha * k) - gammaln(k + 1) - math.log(math.pi)
        self._sign = (-1.0) ** (k + 1) * np.sin(math.pi * k * alpha / 2)

    def density(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """h(x)."""
        r = np.abs(x)
        value = self._density(np.minimum(r, _JOIN))
        far = r > _JOIN
        if far.any():
            value[far] = self._series(r[far], 1)
        return value

    def tail(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """P(ζ > x)."""
        r = np.abs(x)
        value = self._tail(np.minimum(r, _JOIN))
        far = r > _JOIN
        if far.any():
            value[far] = self._series(r[far], 0)
        return np.where(x < 0, 1 - value, value)

    def _series(self, r: Array, derivative: int) -> Array:
        """Σ a_k r^{−αk} (or minus its derivative), each sum cut where its terms would grow again at the join."""
        k = np.arange(1, _TERMS + 1)
        logs = self._log + (np.log(self.alpha * k) if derivative else 0.0)
        size = logs - self.alpha * k * math.log(_JOIN)
        count = int(np.argmin(size)) + 1
        y, total = r**-self.alpha, np.zeros_like(r)
        for a, sign in zip(logs[count - 1 :: -1], self._sign[count - 1 :: -1], strict=True):  # Horner's scheme
            total = (total + sign * math.exp(a)) * y
        return total / r if derivative else total


@lru_cache(maxsize=8)
def stable_density(alpha: float) -> StableDensity:
    """The tables for one α."""
    return StableDensity(alpha)
