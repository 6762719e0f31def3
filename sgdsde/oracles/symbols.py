"""The logarithm of SGD's one-step semigroup in one dimension, order by order in η, as functions of θ: the SDE that SGD would have, if it had one.

An operator Σ_m a_m(θ)∂^m is kept as its coefficients a_m, trigonometric polynomials; products are (a∘b)_m = Σ C(i, α)·a_i·b_j^{(α)}, i − α + j = m. One
step maps u to E u(θ − ηg − η√Σζ): the operator 1 + ηT₁ + η²T₂ + …, T_k = c_k∂^k with Σ η^k c_k z^k = exp(−ηgz + Σ_q κ_q(ηz)^q/q!), κ_q the cumulants of −√Σζ.
L = log(1 + ηT₁ + …)/η = Σ η^{k−1}L_k. A coefficient of ∂ is drift, one of ∂² half of Q; a ∂³ is what no SDE has. (docs/theory/modified_equations.md)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

from sgdsde.noise import Noise
from sgdsde.oracles.coefficients import sgd_field
from sgdsde.oracles.fourier import FourierGrid
from sgdsde.types import InputError, OracleRefusal

Array = np.ndarray
#: Fourier coefficients by mode −K…K
Wave = Complex[Array, " modes"]
#: degree m → coefficient of ∂^m
Symbol = dict[int, Wave]

_SAMPLED = 129
#: Fourier coefficients below this fraction of the largest are rounding
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Ladder:
    """The operators L₁, L₂, … of :mod:`sgdsde.oracles.symbols`."""

    rungs: tuple[Symbol, ...]

    def coefficient(self, k: int, degree: int, x: Float[Array, " P"]) -> Float[Array, " P"]:
        """The coefficient of ∂^degree in L_k at the points; 0 where it is absent."""
        wave = self.rungs[k - 1].get(degree, np.zeros(1, complex))
        modes = np.arange(len(wave)) - len(wave) // 2
        return (np.exp(1j * x[:, None] * modes) @ wave).real

    def field(self, terms: int, eta: float, points: Float[Array, "P 1"]) -> tuple[Float[Array, "P 1"], Float[Array, "P 1 1"]]:
        """(b, Q) of the SDE that keeps ∂ and ∂² of the first ``terms`` operators; a field of :mod:`.coefficients` once the first two are given."""
        x = points[:, 0]
        b = sum(eta ** (k - 1) * self.coefficient(k, 1, x) for k in range(1, terms + 1))
        Q = sum(2 * eta ** (k - 1) * self.coefficient(k, 2, x) for k in range(1, terms + 1))
        return np.asarray(b)[:, None], np.asarray(Q)[:, None, None]


def ladder(noise: Noise, order: int, *, cumulants: Mapping[int, float] | None = None) -> Ladder:
    """L₁ … L_order for SGD on a 2π-periodic one-dimensional objective.

    Args:
        noise: supplies g and Σ, both trigonometric polynomials of fewer than 64 waves.
        order: how many operators.
        cumulants: of the standardised noise ζ beyond the second, by their number (skewness: 3); none for Gaussian noise. With them √Σ must be a
            trigonometric polynomial, too.

    Raises:
        InputError: not one-dimensional, order < 1, or a cumulant below the third.
        OracleRefusal: g or Σ is no trigonometric polynomial that the grid resolves.
    """
    if noise.objective.dim != 1 or order < 1:
        raise InputError(f"dimension {noise.objective.dim}, order {order}; wanted one dimension and an order ≥ 1.")
    extra = dict(cumulants or {})
    if any(q < 3 for q in extra):
        raise InputError(f"cumulants of number {sorted(extra)}; give those from the third on, the first two are g and Σ.")
    b, Q = sgd_field(noise, 1.0)(FourierGrid(_SAMPLED, 1).points)
    sigma = Q[:, 0, 0]
    exponents: dict[int, Wave] = {1: _wave(b[:, 0], "the gradient"), 2: _wave(sigma / 2, "the covariance")}
    for q, value in extra.items():
        exponents[q] = _wave((-np.sqrt(sigma)) ** q * value / math.factorial(q), f"the noise's cumulant {q}")
    return Ladder(_logarithm(_one_step(exponents, order)))


def _one_step(exponents: Mapping[int, Wave], order: int) -> dict[int, Symbol]:
    """T_k from exp(Σ_q η^q e_q ∂^q) with all ∂ to the right: one number n_q of factors for each q."""
    series: dict[int, Wave] = {0: np.ones(1, complex)}
    for q, wave in exponents.items():
        grown: dict[int, Wave] = {}
        for k, start in series.items():
            term, n = start, 0
            while k + q * n <= order:
                grown[k + q * n] = _sum(grown.get(k + q * n), term)
                n += 1
                term = np.convolve(term, wave) / n
        series = grown
    return {k: {k: wave} for k, wave in series.items() if k}


def _logarithm(T: dict[int, Symbol]) -> tuple[Symbol, ...]:
    """log(1 + ΣT_k) = Σ_j (−1)^{j+1}/j·(ΣT_k)^j by orders."""
    order = max(T)
    result, power = dict(T), dict(T)
    for j in range(2, order + 1):
        power = {k: _total([_product(T[i], power[k - i]) for i in range(1, k - j + 2)]) for k in range(j, order + 1)}
        for k, symbol in power.items():
            scaled = {degree: (-1) ** (j + 1) / j * wave for degree, wave in symbol.items()}
            result[k] = _total([result[k], scaled])
    return tuple(result[k] for k in range(1, order + 1))


def _product(a: Symbol, b: Symbol) -> Symbol:
    """a∘b: ∂^i acts on the coefficients of b by Leibniz' rule."""
    result: Symbol = {}
    for i, left in a.items():
        for j, right in b.items():
            derivative = right
            for alpha in range(i + 1):
                result[i - alpha + j] = _sum(result.get(i - alpha + j), math.comb(i, alpha) * np.convolve(left, derivative))
                derivative = derivative * 1j * (np.arange(len(derivative)) - len(derivative) // 2)
    return result


def _total(symbols: list[Symbol]) -> Symbol:
    result: Symbol = {}
    for symbol in symbols:
        for degree, wave in symbol.items():
            result[degree] = _sum(result.get(degree), wave)
    return result


def _sum(a: Wave | None, b: Wave) -> Wave:
    """Of two waves, centred on mode 0."""
    if a is None:
        return b
    long, short = (a, b) if len(a) >= len(b) else (b, a)
    pad = (len(long) - len(short)) // 2
    return long + np.pad(short, pad)


def _wave(values: Float[Array, " n"], what: str) -> Wave:
    """Fourier coefficients of samples, cut behind the last that is not rounding."""
    hat = np.fft.fftshift(np.fft.fft(values)) / len(values)
    middle = len(hat) // 2
    present = np.abs(hat) > _ROUNDING * np.abs(hat).max()
    reach = int(np.abs(np.flatnonzero(present) - middle).max()) if present.any() else 0
    if reach >= middle:
        raise OracleRefusal(f"{what} is no trigonometric polynomial of fewer than {middle} waves; the symbol calculus works on these.")
    return np.where(present, hat, 0)[middle - reach : middle + reach + 1]
