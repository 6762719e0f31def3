"""Strict saddle in any dimension: f(θ) = Σ_{i≤k}(−μᵢθᵢ²/2 + qθᵢ⁴/4) + ½Σ_{i>k}λᵢθᵢ².

The origin is a saddle with k negative curvatures −μᵢ, confined by a quartic in those directions only; q = 0 leaves the pure quadratic
saddle. The Hessian is diagonal, so nothing here costs more than one pass over ``[paths, dim]`` unless a matrix is asked for.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.objective import Facts, Objective, like, spread
from sgdsde.types import InputError, numbers, real

#: largest number of negative directions for which all 3^k stationary points are listed
_LISTED = 4


class StrictSaddle(Objective):
    """A saddle at the origin of R^``dim``.

    Args:
        dim: the dimension.
        negative: μ > 0, the curvature −μ along e₁; a sequence gives several negative directions e₁, e₂, …
        positive: λ > 0, the curvature of the remaining directions; one number or one each.
        quartic: q ≥ 0. Minima stand at θᵢ = ±√(μᵢ/q) in the negative directions; barrier min μᵢ²/(4q).

    Stationary points are listed in ``facts`` for up to four negative directions, else the origin only.

    Raises:
        InputError: a curvature is not finite and positive, or there are more of them than fit.

    Example:
        >>> saddle = sg.objectives.StrictSaddle(2, negative=2.0)
        >>> sg.calculus.hessian(saddle, torch.zeros(1, 2, dtype=torch.float64)).tolist(), saddle.facts.barrier  # μ²/(4q)
        ([[[-2.0, 0.0], [0.0, 1.0]]], 1.0)
    """

    def __init__(self, dim: int, *, negative: float | Sequence[float] = 1.0, positive: float | Sequence[float] = 1.0, quartic: float = 1.0) -> None:
        quartic = real(quartic, "quartic")
        if not is_whole(dim, 1):
            raise InputError(f"dim = {dim!r}; wanted an integer ≥ 1.")
        self.dim = int(dim)
        mu = np.atleast_1d(numbers(negative, "negative"))
        if mu.ndim != 1 or not 1 <= mu.size <= self.dim:
            raise InputError(f"negative holds {mu.size} curvatures; wanted one to dim = {self.dim}.")
        self.negative_count = int(mu.size)
        rest = numbers(positive, "positive")
        if rest.ndim > 0 and rest.shape != (self.dim - mu.size,):
            raise InputError(f"positive has shape {rest.shape}; wanted a number or [{self.dim - mu.size}], one for each remaining direction.")
        rest = np.broadcast_to(rest, (self.dim - mu.size,))
        for name, values in (("negative", mu), ("positive", rest)):
            if not (np.isfinite(values).all() and (values > 0).all()):
                raise InputError(f"{name} = {values.tolist()}; wanted finite numbers > 0 (the sign of a negative direction is in the formula).")
        if not (math.isfinite(quartic) and quartic >= 0):
            raise InputError(f"quartic = {quartic}; wanted a finite number ≥ 0.")
        self.quartic = quartic
        self.curvatures = torch.tensor(np.concatenate([-mu, rest]))
        minima, saddles = self._stationary(mu)
        self.facts = Facts(
            grad=self._grad,
            hessian=self._hessian,
            hessian_diagonal=self._diagonal,
            hvp=self._hvp,
            third=self._third,
            minima=minima,
            saddles=saddles,
            constant_hessian=self.quartic == 0,
            barrier=float(mu.min()) ** 2 / (4 * self.quartic) if self.quartic else None,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """One and two negative directions, with and without the quartic."""
        return [cls(1), cls(3, negative=0.7, quartic=0.5), cls(4, negative=(1.0, 0.4), positive=(2.0, 0.3)), cls(2, quartic=0.0)]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        value = (like(self.curvatures, theta) * theta**2).sum(1) / 2
        if self.quartic:
            value = value + self.quartic / 4 * (theta[:, : self.negative_count] ** 4).sum(1)
        return spread(value, batch)

    def _grad(self, theta: Tensor) -> Tensor:
        g = like(self.curvatures, theta) * theta
        g[:, : self.negative_count] += self.quartic * theta[:, : self.negative_count] ** 3
        return g

    def _diagonal(self, theta: Tensor) -> Tensor:
        diagonal = like(self.curvatures, theta).repeat(theta.shape[0], 1)
        diagonal[:, : self.negative_count] += 3 * self.quartic * theta[:, : self.negative_count] ** 2
        return diagonal

    def _hessian(self, theta: Tensor) -> Tensor:
        return torch.diag_embed(self._diagonal(theta))

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        return self._diagonal(theta) * v

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        result = torch.zeros_like(theta)
        k = self.negative_count
        result[:, :k] = 6 * self.quartic * theta[:, :k] * u[:, :k] * v[:, :k]
        return result

    def _stationary(self, mu: np.ndarray) -> tuple[tuple[tuple[float, ...], ...], tuple[tuple[float, ...], ...]]:
        """Minima and saddles: each negative coordinate is 0 or ±√(μ/q); all non-zero is a minimum, the origin comes first among saddles."""
        zeros = (0.0,) * (self.dim - mu.size)
        origin = (0.0,) * self.dim
        if not self.quartic or mu.size > _LISTED:
            return (), (origin,)
        heads = itertools.product(*((0.0, -math.sqrt(m / self.quartic), math.sqrt(m / self.quartic)) for m in mu.tolist()))
        points = [(*head, *zeros) for head in heads]
        return tuple(p for p in points if all(p[: mu.size])), tuple(p for p in points if not all(p[: mu.size]))
