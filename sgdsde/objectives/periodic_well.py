"""Periodic well: f(θ) = (c/2)|θ|² + a Σᵢ cos θᵢ + k cos(Σᵢ θᵢ).

With c = 0 it lives on a torus, where weak errors and spectral gaps have Fourier oracles (in one dimension: the pure circle). With c > 0 it is a ripple on a
parabola, smooth with bounded derivatives above the second: the test function for weak orders. The coupling k makes the Hessians at different
points non-commuting: H = diag(c − a cos θᵢ) − k cos(Σθ)·11ᵀ.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.objective import Facts, Objective, spread
from sgdsde.types import InputError, real

#: largest dimension in which all corners {0, π}^dim are listed
_CORNERS_DIM = 6


class PeriodicWell(Objective):
    """(``curvature``/2)|θ|² + ``amplitude``·Σcos θᵢ + ``coupling``·cos(Σθᵢ).

    ``facts.minima`` and ``facts.saddles`` hold stationary points that are exact: the origin, and where ``curvature`` = 0 the corners {0, π}^dim (up to
    six dimensions; the origin and (π, …, π) above). Those of a rippled parabola have no closed form and are not listed. ``barrier`` is that
    of the uncoupled torus, 2|a|, from one cell to the next.

    Raises:
        InputError: ``dim`` is no integer ≥ 1, a number is not finite, or ``curvature`` is negative.

    Example:
        >>> well = sg.objectives.PeriodicWell()
        >>> well.facts.barrier, round(sg.calculus.hessian(well, torch.zeros(1, 1, dtype=torch.float64)).item(), 9)  # −cos θ
        (2.0, 1.0)
    """

    def __init__(self, dim: int = 1, *, curvature: float = 0.0, amplitude: float = -1.0, coupling: float = 0.0) -> None:
        curvature = real(curvature, "curvature")
        amplitude = real(amplitude, "amplitude")
        coupling = real(coupling, "coupling")
        if not is_whole(dim, 1):
            raise InputError(f"dim = {dim!r}; wanted an integer ≥ 1.")
        for name, value in (("curvature", curvature), ("amplitude", amplitude), ("coupling", coupling)):
            if not math.isfinite(value):
                raise InputError(f"{name} = {value}; wanted a finite number.")
        if curvature < 0:
            raise InputError(f"curvature = {curvature}; wanted ≥ 0, or the loss has no lower bound. For a maximum use sg.objectives.Quadratic.")
        self.dim = int(dim)
        self.curvature, self.amplitude, self.coupling = curvature, amplitude, coupling
        minima, saddles = self._stationary()
        pure = self.curvature == 0 and self.coupling == 0 and self.amplitude != 0
        self.facts = Facts(
            grad=self._grad,
            hessian=self._hessian,
            hessian_diagonal=None if self.coupling else self._diagonal,
            hvp=self._hvp,
            third=self._third,
            minima=minima,
            saddles=saddles,
            constant_hessian=self.amplitude == 0 and self.coupling == 0,
            barrier=2 * abs(self.amplitude) if pure else None,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """The circle, the rippled parabola, coupled and uncoupled tori."""
        return [cls(), cls(curvature=2.0, amplitude=0.6), cls(3), cls(2, amplitude=0.7, coupling=0.4), cls(3, curvature=1.5, amplitude=0.5, coupling=-0.3)]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        value = self.amplitude * theta.cos().sum(1)
        if self.curvature:
            value = value + self.curvature / 2 * (theta**2).sum(1)
        if self.coupling:
            value = value + self.coupling * theta.sum(1).cos()
        return spread(value, batch)

    def _grad(self, theta: Tensor) -> Tensor:
        g = self.curvature * theta - self.amplitude * theta.sin()
        return g - self.coupling * theta.sum(1, keepdim=True).sin() if self.coupling else g

    def _diagonal(self, theta: Tensor) -> Tensor:
        """The Hessian's diagonal without the coupling's share."""
        return self.curvature - self.amplitude * theta.cos()

    def _hessian(self, theta: Tensor) -> Tensor:
        matrix = torch.diag_embed(self._diagonal(theta))
        return matrix - self.coupling * theta.sum(1).cos()[:, None, None] if self.coupling else matrix

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        product = self._diagonal(theta) * v
        return product - self.coupling * (theta.sum(1).cos() * v.sum(1))[:, None] if self.coupling else product

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        result = self.amplitude * theta.sin() * u * v
        return result + self.coupling * (theta.sum(1).sin() * u.sum(1) * v.sum(1))[:, None] if self.coupling else result

    def _stationary(self) -> tuple[tuple[tuple[float, ...], ...], tuple[tuple[float, ...], ...]]:
        """Minima (deepest first) and saddles among the points whose gradient vanishes by symmetry."""
        if self.curvature:
            points = [(0.0,) * self.dim]
        elif self.dim <= _CORNERS_DIM:
            points = list(itertools.product((0.0, math.pi), repeat=self.dim))
        else:
            points = [(0.0,) * self.dim, (math.pi,) * self.dim]
        theta = torch.tensor(points, dtype=torch.float64)
        order = self.loss(theta).argsort(stable=True)
        values = torch.linalg.eigvalsh(self._hessian(theta))  # [points, dim]
        low, high = values[:, 0], values[:, -1]
        minima = tuple(points[i] for i in order.tolist() if low[i] > 0)
        saddles = tuple(points[i] for i in order.tolist() if low[i] < 0 and (high[i] > 0 or self.dim == 1))
        return minima, saddles
