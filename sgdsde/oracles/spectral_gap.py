"""Relaxation rates on the circle and the 2-torus: the leading non-trivial eigenvalue of SGD's transfer operator and of an SDE's generator.

Expectations relax as E φ(θ_k) − ∫φ dπ ~ λ^k with Pu = λu, and as e^{λt} with Lu = λu; in SDE time the rates are −log|λ|/η and −Re λ. With wells and
barriers this is the rate of crossing (the sum of the rates there and back), free of the question at which times a path is watched. Method: dense
Fourier matrices (:mod:`.fourier`) on ever finer grids, until two agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse.linalg
from jaxtyping import Float

from sgdsde.noise import GaussianNoise, Noise
from sgdsde.oracles.coefficients import sde_field, sgd_field
from sgdsde.oracles.fourier import FourierGrid
from sgdsde.oracles.laws import Law
from sgdsde.sde import SDE
from sgdsde.types import InputError, OracleRefusal, positive

Array = np.ndarray
_GRIDS = {1: (25, 37, 55, 81, 121, 181, 271), 2: (13, 17, 21, 27, 35, 45)}
#: matrices up to this size are taken apart completely; of larger ones the leading eigenvalues are sought
_DENSE = 280
_SOUGHT, _SPACE = 6, 40
#: rates below this many units of rounding are not told from zero
_LEAST = 1e4


@dataclass(frozen=True)
class Relaxation:
    """The slowest non-trivial mode: ``rate`` per unit of SDE time, ``frequency`` its turns (radians per unit of time, 0 for a real eigenvalue).

    ``accuracy`` is absolute, of the rate: the change between the finest two grids. ``float(relaxation)`` is the rate.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.PeriodicWell(), 1.0)
        >>> relaxation = sg.oracles.sgd_relaxation(noise, 0.1)
        >>> round(float(relaxation), 3), float(relaxation.frequency)
        (0.931, 0.0)
    """

    rate: float
    frequency: float
    accuracy: float

    def __float__(self) -> float:
        return float(self.rate)


def sgd_relaxation(noise: Noise, eta: float, *, law: Law | None = None, tolerance: float = 1e-8) -> Relaxation:
    """The slowest relaxation rate of SGD, −log|λ|/η with λ the leading non-trivial eigenvalue of one step.

    Args:
        noise: on a 2π-periodic objective of one or two dimensions.
        law: law of the standardised noise in place of Gaussian; one dimension only.
        tolerance: relative accuracy of the rate that is promised.

    Raises:
        InputError: η ≤ 0, or a noise without a stated law.
        OracleRefusal: dimension above 2, a problem that is not periodic, or two grids that differ by more than the tolerance.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.PeriodicWell(), 1.0)
        >>> [round(float(sg.oracles.sgd_relaxation(noise, eta)), 2) for eta in (0.05, 0.2)]  # λ = 1 at the bottom, less higher up
        [0.96, 0.87]
    """
    eta = positive(eta, "eta")
    if law is None and not isinstance(noise, GaussianNoise):
        raise InputError(f"{type(noise).__name__} draws from a law of its own; give law=, or its Gaussian surrogate: sg.noises.Surrogate(noise).")
    field = sgd_field(noise, eta)

    def leading(grid: FourierGrid) -> complex:
        return np.log(_largest(grid.transfer(field, eta, law))) / eta

    return _refined(leading, noise.objective.dim, tolerance, "SGD's relaxation rate")


def sde_relaxation(sde: SDE, *, tolerance: float = 1e-8) -> Relaxation:
    """The slowest relaxation rate of an SDE, −Re λ with λ the leading non-trivial eigenvalue of its generator. Arguments and errors: :func:`sgd_relaxation`.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.PeriodicWell(), 1.0)
        >>> sgd = float(sg.oracles.sgd_relaxation(noise, 0.05))
        >>> [round(float(sg.oracles.sde_relaxation(model(noise, 0.05))) / sgd, 3) for model in (sg.sdes.SME1, sg.sdes.HASME)]
        [1.024, 0.999]
    """
    field, what = sde_field(sde, sde.eta or 1.0), type(sde).__name__

    def leading(grid: FourierGrid) -> complex:
        return _rightmost(grid.generator(field, what=what))

    return _refined(leading, sde.dim, tolerance, f"The relaxation rate of {what}")


def _refined(leading: Callable[[FourierGrid], complex], dim: int, tolerance: float, what: str) -> Relaxation:
    if dim not in _GRIDS:
        raise OracleRefusal(f"Dimension {dim}: relaxation rates by Fourier matrices exist here for one and two dimensions.")
    before, best = complex(np.nan), np.inf
    for n in _GRIDS[dim]:
        value = leading(FourierGrid(n, dim))
        change = abs(value.real - before.real)
        if change <= tolerance * abs(value.real):
            return Relaxation(-value.real, abs(value.imag), max(change, 64 * np.finfo(float).eps))
        best = min(best, float(np.nan_to_num(change, nan=np.inf)) / max(abs(value.real), np.finfo(float).tiny))
        before = value
    raise OracleRefusal(
        f"{what}: the finest two grids differ by a fraction {best:.1e} of it; wanted {tolerance:.1e}. The problem has structure finer than the grid, or the "
        "rate is too small: raise the temperature, smooth the problem or pass a larger tolerance."
    )


def _largest(P: Float[Array, "N N"]) -> complex:
    """The eigenvalue of largest modulus after the trivial 1."""
    if len(P) <= _DENSE:
        values = scipy.linalg.eigvals(P)
    else:
        values = scipy.sparse.linalg.eigs(P, k=_SOUGHT, ncv=_SPACE, which="LM", v0=_start(len(P)), return_eigenvectors=False)
    return _without(values, 1.0, abs)


def _rightmost(L: Float[Array, "N N"]) -> complex:
    """The eigenvalue of largest real part after the trivial 0. Of large matrices the eigenvalues next to 0 are looked at."""
    if len(L) <= _DENSE:
        values = scipy.linalg.eigvals(L)
    else:
        shift = 1e-3 * np.abs(L).max() / len(L)
        factors = scipy.linalg.lu_factor(L - shift * np.eye(len(L)))
        inverse = scipy.sparse.linalg.LinearOperator(L.shape, matvec=lambda v: scipy.linalg.lu_solve(factors, v), dtype=float)
        near = scipy.sparse.linalg.eigs(inverse, k=_SOUGHT, ncv=_SPACE, which="LM", v0=_start(len(L)), return_eigenvectors=False)
        values = shift + 1 / near
    return _without(values, 0.0, lambda value: value.real)


def _without(values: Array, trivial: float, height: Callable[[complex], float]) -> complex:
    """The highest eigenvalue once the one nearest to ``trivial`` is taken out; of a conjugate pair the one in the upper half plane."""
    rest = np.delete(values, int(np.abs(values - trivial).argmin()))
    top = max((complex(value) for value in rest), key=lambda value: (round(height(value), 12), value.imag))
    if abs(height(top) - trivial) < _LEAST * np.finfo(float).eps:
        raise OracleRefusal(f"The leading eigenvalue {top:.3g} is not told from the trivial one: the rate is below {_LEAST * np.finfo(float).eps:.0e}.")
    return top


def _start(size: int) -> Float[Array, " N"]:
    return np.random.default_rng(0).standard_normal(size)
