"""E φ(θ_k) and E φ(X_T) on the torus [0, 2π)² without Monte Carlo: the place where H and Σ that do not commute show.

u(x) = Σ_k û_k e^{ik·x} on an odd number n of points a direction (no Nyquist mode). One step of SGD is exact mode by mode:
E u(x − ηg − ηRζ) = Σ_k û_k e^{ik·(x−ηg(x))} e^{−½η²kᵀΣ(x)k} for Gaussian noise; for another law, Π_j ψ(η(Rk)_j) in place of the last factor, ψ its
characteristic function. The SDE is u_t = b·∇u + ½Q:∇∇u with Fourier differentiation; the exponential is a Taylor series in substeps whose
norm is bounded, summed until its terms vanish in double precision. n grows until two grids agree (:mod:`.refine`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float

from sgdsde.noise import Noise
from sgdsde.oracles.coefficients import Field, Functions, everywhere, sample, sde_field, sgd_field
from sgdsde.oracles.laws import GaussianLaw, Law
from sgdsde.oracles.refine import Expectations, Solution, refine
from sgdsde.sde import SDE
from sgdsde.types import OracleRefusal

Array = np.ndarray

_GRIDS = (17, 25, 35, 45, 55, 65)
#: SGD's transfer matrix is n⁴ numbers (143 MB at n = 65) and stops here; an SDE needs no matrix and, without noise, is steeper
_SDE_GRIDS = (*_GRIDS, 81)
#: rows of the transfer matrix that are built at a time
_ROWS = 512
#: bound on the generator's norm times a substep: Taylor terms grow at most to e⁴, which costs two digits of sixteen
_STEP_NORM = 4.0
_TERMS = 60


def sgd_on_torus(noise: Noise, *, eta: float, starts: Float[Array, "starts 2"], steps: int, functions: Functions, law: Law, tolerance: float) -> Expectations:
    """E φ(θ_k) after ``steps`` of SGD.

    Raises:
        OracleRefusal: the accuracy is not reached, or gradient, covariance or a test function is not 2π-periodic or not finite.
    """
    field = sgd_field(noise, eta)
    _require_periodic(field, functions, "SGD's gradient or covariance")

    def solve(n: int) -> Solution:
        grid = Grid(n)
        transfer = _transfer(grid, *everywhere(field, grid.points, "SGD"), eta, law)
        values = sample(functions, grid.points).reshape(-1, n, n)
        u = values
        for _ in range(steps):
            u = (grid.real_modes(u) @ transfer.T).reshape(u.shape)
        return grid.read(u, starts, values)

    return refine(solve, _GRIDS, tolerance=tolerance, what="SGD on the torus")


def sde_on_torus(sde: SDE, *, starts: Float[Array, "starts 2"], horizon: float, functions: Functions, tolerance: float) -> Expectations:
    """E φ(X_T) of the SDE, T = ``horizon``.

    Raises:
        OracleRefusal: the accuracy is not reached; the model is not periodic, does not exist (NaN) or has an indefinite Q somewhere on the torus.
    """
    what = type(sde).__name__
    field = sde_field(sde, horizon)
    _require_periodic(field, functions, what)

    def solve(n: int) -> Solution:
        grid = Grid(n)
        b, Q = everywhere(field, grid.points, what)
        values = sample(functions, grid.points).reshape(-1, n, n)
        return grid.read(_propagate(grid, b, Q, values, horizon), starts, values)

    return refine(solve, _SDE_GRIDS, tolerance=tolerance, what=f"{what} on the torus")


@dataclass(frozen=True)
class Grid:
    """n × n equidistant points, n odd, and the Fourier transforms on them."""

    n: int

    @property
    def points(self) -> Float[Array, "nn 2"]:
        """The points, first coordinate slowest."""
        x = 2 * np.pi * np.arange(self.n) / self.n
        return np.stack(np.meshgrid(x, x, indexing="ij"), -1).reshape(-1, 2)

    @property
    def modes(self) -> tuple[Float[Array, " n"], Float[Array, " half"]]:
        """Wave numbers of a real transform: all of the first direction, the non-negative ones of the second."""
        return np.fft.fftfreq(self.n, 1 / self.n), np.arange(self.n // 2 + 1, dtype=float)

    def spectrum(self, u: Float[Array, "F n n"]) -> Complex[Array, "F n half"]:
        """û with weights such that u(x) = Re Σ û_k e^{ik·x} over the stored half of the modes."""
        hat = np.fft.rfft2(u) / self.n**2
        hat[:, :, 1:] *= 2
        return hat

    def real_modes(self, u: Float[Array, "F n n"]) -> Float[Array, "F modes2"]:
        """Real parts and negative imaginary parts of û, to be multiplied with those of e^{ik·x}."""
        hat = self.spectrum(u).reshape(len(u), -1)
        return np.concatenate([hat.real, -hat.imag], 1)

    def read(self, u: Float[Array, "F n n"], starts: Float[Array, "starts 2"], values: Float[Array, "F n n"]) -> Solution:
        """u at the start points by trigonometric interpolation."""
        k1, k2 = self.modes
        waves = np.exp(1j * starts[:, :1] * k1)[:, :, None] * np.exp(1j * starts[:, 1:] * k2)[:, None, :]  # [starts, n, half]
        at_starts = np.einsum("fab,sab->fs", self.spectrum(u), waves).real
        return Solution(at_starts, np.maximum(np.abs(values).max((1, 2)), np.finfo(float).tiny))


def _transfer(grid: Grid, b: Float[Array, "nn 2"], Q: Float[Array, "nn 2 2"], eta: float, law: Law) -> Float[Array, "nn modes2"]:
    """Rows: grid points; columns: real and imaginary parts of e^{ik·(x+ηb)}·E e^{−ik·√(ηQ)ζ} by mode."""
    k1, k2 = grid.modes
    landing, covariance = grid.points + eta * b, eta * Q
    half = k1.size * k2.size
    matrix = np.empty((len(landing), 2 * half))
    for at in range(0, len(landing), _ROWS):
        rows = slice(at, at + _ROWS)
        y = landing[rows]
        waves = np.exp(1j * y[:, :1] * k1)[:, :, None] * np.exp(1j * y[:, 1:] * k2)[:, None, :]  # [rows, n, half]
        waves *= _damping(covariance[rows], k1, k2, law)
        flat = waves.reshape(len(y), -1)
        matrix[rows, :half], matrix[rows, half:] = flat.real, flat.imag
    return matrix


def _damping(covariance: Float[Array, "rows 2 2"], k1: Array, k2: Array, law: Law) -> Array:
    """E e^{−ik·Rζ} with RRᵀ the given covariance (R symmetric, ζ independent components), ``[rows, n, half]``."""
    if isinstance(law, GaussianLaw):
        S = covariance[:, :, :, None, None]
        return np.exp(-0.5 * (S[:, 0, 0] * k1[:, None] ** 2 + 2 * S[:, 0, 1] * k1[:, None] * k2 + S[:, 1, 1] * k2**2))
    values, vectors = np.linalg.eigh(covariance)
    R = ((vectors * np.sqrt(np.clip(values, 0, None))[:, None, :]) @ vectors.transpose(0, 2, 1))[:, :, :, None, None]
    return law.characteristic(-(R[:, 0, 0] * k1[:, None] + R[:, 0, 1] * k2)) * law.characteristic(-(R[:, 1, 0] * k1[:, None] + R[:, 1, 1] * k2))


@lru_cache(maxsize=16)
def _derivative(n: int) -> Float[Array, "n n"]:
    """Fourier differentiation on n (odd) points: D_ij = ½(−1)^{i−j}/sin((x_i−x_j)/2)."""
    gap = np.arange(n)[:, None] - np.arange(n)
    np.fill_diagonal(gap, 1)
    D = 0.5 * (-1.0) ** np.abs(gap) / np.sin(np.pi * gap / n)
    np.fill_diagonal(D, 0.0)
    return D


def _propagate(grid: Grid, b: Float[Array, "nn 2"], Q: Float[Array, "nn 2 2"], values: Float[Array, "F n n"], time: float) -> Float[Array, "F n n"]:
    """exp(time·L)·values, L u = b·∇u + ½Q:∇∇u."""
    n, D = grid.n, _derivative(grid.n)
    shape = (n, len(values), n)  # the test functions between the two directions: either derivative is one matrix product
    b1, b2, half11, half22, Q12 = (field.reshape(n, 1, n) for field in (b[:, 0], b[:, 1], Q[:, 0, 0] / 2, Q[:, 1, 1] / 2, Q[:, 0, 1]))

    def along_first(u: Array) -> Array:
        return (D @ u.reshape(n, -1)).reshape(shape)

    def along_second(u: Array) -> Array:
        return (u.reshape(-1, n) @ D.T).reshape(shape)

    def generator(u: Array) -> Array:
        u1, u2 = along_first(u), along_second(u)
        return b1 * u1 + b2 * u2 + half11 * along_first(u1) + Q12 * along_second(u1) + half22 * along_second(u2)

    top = n // 2
    bound = top * np.abs(b).sum(1).max() + 0.5 * top**2 * np.abs(Q).sum((1, 2)).max()
    substeps = max(1, int(np.ceil(time * bound / _STEP_NORM)))
    dt, u = time / substeps, np.ascontiguousarray(values.transpose(1, 0, 2))
    for _ in range(substeps):
        term, size = u, np.abs(u).max()
        for order in range(1, _TERMS):
            term = generator(term) * (dt / order)
            u = u + term
            if np.abs(term).max() <= 1e-17 * size:
                break
    return u.transpose(1, 0, 2)


def _require_periodic(field: Field, functions: Functions, what: str) -> None:
    x = np.random.default_rng(0).uniform(0, 2 * np.pi, (16, 2))
    b, Q = field(x)
    phi = sample(functions, x)
    for axis in np.eye(2):
        there = x + 2 * np.pi * axis
        b2, Q2 = field(there)
        if not (np.allclose(b, b2, rtol=1e-8, atol=1e-10, equal_nan=True) and np.allclose(Q, Q2, rtol=1e-8, atol=1e-10, equal_nan=True)):
            raise OracleRefusal(
                f"{what} is not 2π-periodic in both coordinates; in two dimensions the weak-error oracle needs that (trigonometric losses and covariances). "
                "For quadratics use sg.oracles.sgd_moments and sg.oracles.sde_moments; otherwise simulate with sg.compare."
            )
        off = [name for name, a, c in zip(functions, phi, sample(functions, there), strict=True) if not np.allclose(a, c, rtol=1e-8, atol=1e-10)]
        if off:
            raise OracleRefusal(f"Test functions {off} are not 2π-periodic; on the torus give periodic ones, for example sin(x₁), cos(x₁ − x₂).")
