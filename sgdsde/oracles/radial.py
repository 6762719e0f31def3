"""Crossing rates of a stiffening double well in any dimension, without Monte Carlo: SGD's transfer operator and SDE generators on functions of (x, |y|).

The slowest mode is odd in x and even in y, so it lives on two variables whatever the dimension: u(x, r), r = |y|, with
Lu = b_x∂ₓu + b_r∂ᵣu + ½Q_xx∂ₓ²u + Q_xr∂ₓ∂ᵣu + ½Q_rr∂ᵣ²u + ½(d−2)Q_⊥∂ᵣu/r, and one step of SGD takes r² to (r(1−ηk) + sz)² + s²χ²_{d−2}, s² = η²σ². Galerkin's
method: odd polynomials in x times polynomials in r², orthonormal under the Gibbs weight e^{−f/T}r^{d−2}, T = ησ²/2, so that no boundary is needed. The
basis grows until two rates agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float
from numpy.polynomial import chebyshev, hermite_e, legendre
from scipy.special import roots_genlaguerre

from sgdsde.calculus import grad
from sgdsde.noise import GaussianNoise, Noise
from sgdsde.objectives.stiffening_well import StiffeningWell
from sgdsde.oracles.spectral_gap import Relaxation
from sgdsde.sde import ModifiedEquation
from sgdsde.types import InputError, OracleRefusal, positive

Array = np.ndarray
#: odd powers of x, powers of r²
_BASES = ((18, 6), (23, 7), (28, 8), (34, 10), (41, 11), (48, 12))
#: weights below e^{−_DEEP} of the largest are left out
_DEEP = 72.0
#: columns of the basis that are this small after the others are taken out
_DEPENDENT = 1e-11
#: nodes for the noise along x, whose width is small against the polynomials' waves
_HERMITE = 24


def sgd_crossing(noise: Noise, eta: float, *, tolerance: float = 1e-5) -> Relaxation:
    """SGD's rate of relaxation between the two wells (the sum of the rates there and back), −log λ/η.

    Args:
        noise: Gaussian with Σ = σ²I on a :class:`StiffeningWell`.
        tolerance: relative accuracy of the rate that is promised.

    Raises:
        InputError: another objective, or another noise.
        OracleRefusal: two bases differ by more than the tolerance.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.StiffeningWell(2), 1.0)
        >>> rate = sg.oracles.sgd_crossing(noise, 0.2)
        >>> 0 < float(rate) < 1, rate.frequency
        (True, 0.0)
    """
    well, temperature = _problem(noise, positive(eta, "eta"))

    def leading(space: Space) -> float:
        theta = torch.from_numpy(space.theta(well.dim))
        g = grad(well, theta).numpy()
        return -np.log(space.highest(space.after_step(g, eta, np.sqrt(2 * temperature * eta)))) / eta

    return _refined(leading, well, temperature, tolerance, "SGD's crossing rate")


def sde_crossing(sde: ModifiedEquation, *, tolerance: float = 1e-5) -> Relaxation:
    """The SDE's rate of relaxation between the two wells, −λ. Arguments and errors: :func:`sgd_crossing`.

    Raises:
        OracleRefusal: also where the model does not exist on the region that carries the Gibbs weight.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.StiffeningWell(2), 1.0)
        >>> rate = sg.oracles.sde_crossing(sg.sdes.SME1(noise, 0.2)).rate
        >>> 0.5 < rate / sg.oracles.sgd_crossing(noise, 0.2).rate < 2
        True
    """
    well, temperature = _problem(sde.noise, sde.eta)
    what = type(sde).__name__

    def leading(space: Space) -> float:
        theta = torch.from_numpy(space.theta(well.dim))
        b, Q = sde.drift(0.0, theta).numpy(), sde.diffusion(0.0, theta).numpy()
        missing = ~(np.isfinite(b).all(1) & np.isfinite(Q).all((1, 2)))
        if missing.any():
            raise OracleRefusal(f"{what} does not exist at {np.round(theta[missing][0, :2].numpy(), 3).tolist()} (x, |y|), which the wells need; smaller eta.")
        return -space.highest(space.generator(b, Q, well.dim))

    return _refined(leading, well, temperature, tolerance, f"The crossing rate of {what}")


@dataclass(frozen=True)
class Space:
    """Odd polynomials in x times polynomials in r², and nodes with the Gibbs weight, on |x| < ``wide``, r < ``far``."""

    well: StiffeningWell
    temperature: float
    odd: int
    even: int

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """Where f is e^{−_DEEP/2} deep for any y; and r where the r^{d−2}-weighted Gaussian of the softest place is."""
        rise = _DEEP / 2 * self.temperature
        return float(np.sqrt(1 + 2 * np.sqrt(rise))), float(np.sqrt(2 * (rise + 3 * (self.well.dim - 1) * self.temperature) / self.well.base))

    @cached_property
    def _nodes(self) -> tuple[Array, Array, Array]:
        """x, r and the root of the weight."""
        wide, far = self._ends
        z, w = legendre.leggauss(3 * self.odd + 40)
        y, v = legendre.leggauss(2 * self.even + 14)
        x, r = (part.ravel() for part in np.meshgrid(wide * z, far * (y + 1) / 2, indexing="ij"))
        f = x**4 / 4 - x**2 / 2 + (self.well.base + self.well.gain * x**2) / 2 * r**2
        logs = -f / self.temperature + (self.well.dim - 2) * np.log(r) + np.log(np.outer(w, v).ravel())
        kept = logs > logs.max() - _DEEP
        return x[kept], r[kept], np.exp((logs[kept] - logs.max()) / 2)

    @property
    def x(self) -> Float[Array, " N"]:
        """First coordinate of the nodes."""
        return self._nodes[0]

    @property
    def r(self) -> Float[Array, " N"]:
        """Distance of the nodes from the axis."""
        return self._nodes[1]

    def theta(self, dim: int) -> Float[Array, "N dim"]:
        """The nodes as points: y along its first axis."""
        points = np.zeros((len(self.x), dim))
        points[:, 0], points[:, 1] = self.x, self.r
        return points

    def in_x(self, x: Float[Array, "*shape"], derivative: int = 0) -> Float[Array, "*shape odd"]:
        """Odd Chebyshev polynomials."""
        return _chebyshev(x, 1 / (self._ends[0] + 0.4), 0.0, 2 * self.odd, derivative)[..., 1::2]

    def in_square(self, square: Float[Array, "*shape"], derivative: int = 0) -> Float[Array, "*shape even"]:
        """Chebyshev polynomials of r²."""
        return _chebyshev(square, 2 / self._ends[1] ** 2, -1.0, self.even, derivative)

    def after_step(self, g: Float[Array, "N dim"], eta: float, s: float) -> Float[Array, "N basis"]:
        """Pu at the nodes for each u of the basis: E over x − ηg_x + sz, and over (r − ηg_r + sz)² + s²χ²_{d−2}."""
        z, w = hermite_e.hermegauss(_HERMITE)
        along = np.tensordot(w / w.sum(), self.in_x(self.x - eta * g[:, 0] + s * z[:, None]), 1)
        z, w = hermite_e.hermegauss(self.even + 1)  # exact, like the next: polynomials
        shift, share, rest = np.zeros(1), np.ones(1), g.shape[1] - 2
        if rest > 0:
            half, share = roots_genlaguerre(self.even, rest / 2 - 1)
            shift, share = 2 * s * s * half, share / share.sum()
        radial = np.zeros((len(g), self.even))
        for node, weight in zip(z, w / w.sum(), strict=True):
            radial += weight * np.tensordot(share, self.in_square((self.r - eta * g[:, 1] + s * node) ** 2 + shift[:, None]), 1)
        return _pairs(along, radial)

    def generator(self, b: Array, Q: Array, dim: int) -> Float[Array, "N basis"]:
        """Lu at the nodes for each u of the basis."""
        x0, x1, x2 = (self.in_x(self.x, k) for k in range(3))
        p0, p1, p2 = (self.in_square(self.r**2, k) for k in range(3))
        r = self.r[:, None]
        slope, bend = 2 * r * p1, 2 * p1 + 4 * r**2 * p2  # ∂ᵣ and ∂ᵣ²
        b, half = b[:, :, None], Q[:, :, :, None] / 2
        result = _pairs(b[:, 0] * x1 + half[:, 0, 0] * x2, p0) + _pairs(x0, b[:, 1] * slope + half[:, 1, 1] * bend) + _pairs(2 * half[:, 0, 1] * x1, slope)
        return result if dim == 2 else result + (dim - 2) * _pairs(x0, half[:, 2, 2] * 2 * p1)

    def highest(self, image: Float[Array, "N basis"]) -> float:
        """The largest real part among the eigenvalues of the operator that takes the basis to ``image``, projected on the basis."""
        root = self._nodes[2][:, None]
        basis = root * _pairs(self.in_x(self.x), self.in_square(self.r**2))
        q, R, order = scipy.linalg.qr(basis, mode="economic", pivoting=True)
        kept = int((np.abs(np.diag(R)) > _DEPENDENT * np.abs(R[0, 0])).sum())
        projected = q[:, :kept].T @ (root * image[:, order[:kept]])
        matrix = scipy.linalg.solve_triangular(R[:kept, :kept], projected.T, trans="T").T
        return float(scipy.linalg.eigvals(matrix).real.max())


def _refined(leading: Callable[[Space], float], well: StiffeningWell, temperature: float, tolerance: float, what: str) -> Relaxation:
    before, best = np.nan, np.inf
    for odd, even in _BASES:
        rate = leading(Space(well, temperature, odd, even))
        change = abs(rate - before)
        if rate > 0 and change <= tolerance * rate:
            return Relaxation(float(rate), 0.0, float(change))
        best, before = min(best, float(np.nan_to_num(change / abs(rate), nan=np.inf))), rate
    raise OracleRefusal(
        f"{what}: the largest two bases differ by a fraction {best:.1e}; wanted {tolerance:.1e}. Raise the temperature or eta, lower the dimension, or pass a "
        "larger tolerance: rates below some 1e-9 a step are lost in rounding."
    )


def _problem(noise: Noise, eta: float) -> tuple[StiffeningWell, float]:
    well = noise.objective
    if not isinstance(well, StiffeningWell):
        raise InputError(f"The objective is {type(well).__name__}; this oracle is made for sg.objectives.StiffeningWell.")
    sigma = noise.covariance(torch.zeros(1, well.dim, dtype=torch.float64))[0].numpy()
    isotropic = np.abs(sigma - sigma[0, 0] * np.eye(well.dim)).max() <= 1e-12 * sigma[0, 0]
    if not (isinstance(noise, GaussianNoise) and noise.constant_covariance and isotropic and sigma[0, 0] > 0):
        raise InputError("This oracle needs Gaussian noise with a constant covariance σ²I, σ > 0: only then do functions of (x, |y|) stay among themselves.")
    return well, eta * float(sigma[0, 0]) / 2


def _chebyshev(x: Array, scale: float, shift: float, degree: int, derivative: int) -> Float[Array, "*shape degree"]:
    """T_0 … T_{degree−1} of scale·x + shift, or their derivatives in x."""
    values = chebyshev.chebvander(scale * x + shift, degree - 1)
    if derivative:
        values = values[..., : degree - derivative] @ chebyshev.chebder(np.eye(degree), derivative, scl=scale)
    return values


def _pairs(a: Float[Array, "N m"], b: Float[Array, "N n"]) -> Float[Array, "N mn"]:
    """All products of a column of a with one of b."""
    return (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)
