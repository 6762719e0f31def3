"""Diagonal linear net: ℓᵢ(u, v) = ½(xᵢᵀ(u⊙u − v⊙v) − yᵢ)².

The smallest net with an implicit bias: from a small start (u, v) = α·1 gradient descent tends to sparse solutions, and SGD's noise,
Σ ∝ Jᵀ Cov(rᵢxᵢ) J with J = (2 diag u, −2 diag v), vanishes where all samples are fitted (Pesme, Pillaud-Vivien, Flammarion, arXiv 2106.09524).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sgdsde.objective import Objective
from sgdsde.objectives.least_squares import LeastSquares
from sgdsde.objectives.quadratic_map import QuadraticMap, tuples
from sgdsde.types import InputError


class DiagonalNet(QuadraticMap):
    """θ = (u, v), dim = 2·features, on regression data x ``[n, features]``, y ``[n]``.

    ``facts.minima`` holds the representative with u⊙v = 0 of the least-squares solution of least norm (a minimum is a whole valley in θ); the
    origin is a saddle unless Σ yᵢxᵢ = 0.

    Raises:
        InputError: as :class:`LeastSquares`; more than one output.

    Example:
        >>> net = sg.objectives.DiagonalNet([[1.0], [2.0]], [3.0, 6.0])
        >>> net.dim, round(net.loss(torch.as_tensor(net.facts.minima[0])[None]).item(), 9)
        (2, 0.0)
    """

    def __init__(self, x: Any, y: Any) -> None:
        outer = LeastSquares(x, y)
        if outer.outputs != 1:
            raise InputError(f"y has {outer.outputs} outputs; a diagonal net has one: wanted y of shape [n].")
        self.features = outer.features
        best = torch.tensor(outer.facts.minima[0], dtype=torch.float64)
        minimum = torch.cat([best.clamp_min(0).sqrt(), (-best).clamp_min(0).sqrt()])
        moving = bool((outer.moment != 0).any())
        self._set_up(outer, 2 * self.features, minima=tuples([minimum]), saddles=tuples([torch.zeros_like(minimum)]) if moving else ())

    @classmethod
    def examples(cls) -> list[Objective]:
        """More samples than features, and fewer."""
        g = torch.Generator().manual_seed(3)
        x = torch.randn(9, 3, generator=g, dtype=torch.float64)
        y = x @ torch.tensor([1.0, -0.5, 0.0], dtype=torch.float64) + 0.1 * torch.randn(9, generator=g, dtype=torch.float64)
        return [cls(x, y), cls(x[:2], y[:2])]

    def push(self, theta: Tensor, a: Tensor) -> Tensor:
        d = self.features
        return 2 * (theta[..., :d] * a[..., :d] - theta[..., d:] * a[..., d:])

    def pull(self, theta: Tensor, q: Tensor) -> Tensor:
        d = self.features
        return torch.cat([2 * theta[..., :d] * q, -2 * theta[..., d:] * q], -1)
