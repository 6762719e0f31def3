"""Two-layer linear net: ℓᵢ(W₁, W₂) = ½|W₂W₁xᵢ − yᵢ|².

With Ŵ the least-squares solution and Σ̂ the covariance of the fitted values, every critical point is W₂W₁ = Π Ŵ with Π a projector on eigenvectors of Σ̂;
the leading ``hidden`` ones give the global minimum, every other choice a strict saddle (Baldi, Hornik, Neural Networks 2, 53, 1989).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.objective import Objective
from sgdsde.objectives.least_squares import LeastSquares
from sgdsde.objectives.quadratic_map import QuadraticMap, tuples
from sgdsde.types import InputError


class TwoLayerLinear(QuadraticMap):
    """θ = (W₁ ``[hidden, features]``, W₂ ``[outputs, hidden]``), each row by row: the order of ``torch.nn.Sequential``.

    Args:
        x: inputs ``[n, features]``.
        y: targets ``[n]`` or ``[n, outputs]``.
        hidden: the width.

    ``facts.minima`` holds the balanced global minimum, ``facts.saddles`` the origin and the leading 1, 2, … directions short of it.

    Raises:
        InputError: as :class:`LeastSquares`; ``hidden`` is no integer ≥ 1.

    Example:
        >>> net = sg.objectives.TwoLayerLinear([[1.0], [2.0]], [3.0, 6.0], hidden=2)
        >>> net.dim, round(net.loss(torch.as_tensor(net.facts.minima[0])[None]).item(), 9)
        (4, 0.0)
    """

    def __init__(self, x: Any, y: Any, hidden: int) -> None:
        outer = LeastSquares(x, y)
        if not is_whole(hidden, 1):
            raise InputError(f"hidden = {hidden!r}; wanted an integer ≥ 1.")
        self.hidden, self.features, self.outputs = int(hidden), outer.features, outer.outputs
        best = torch.tensor(outer.facts.minima[0], dtype=torch.float64).reshape(self.outputs, self.features)
        values, vectors = torch.linalg.eigh(best @ outer.gram.cpu() @ best.T)  # covariance of the fitted values
        values, vectors = values.flip(0), vectors.flip(1)
        present = int((values > 1e-12 * values[0]).sum()) if float(values[0]) > 0 else 0
        points = []
        for k in range(min(self.hidden, present) + 1):
            first, second = torch.zeros(self.hidden, self.features, dtype=torch.float64), torch.zeros(self.outputs, self.hidden, dtype=torch.float64)
            rows = vectors[:, :k].T @ best  # [k, features]
            roots = rows.norm(dim=1).sqrt()
            first[:k], second[:, :k] = rows / roots[:, None], vectors[:, :k] * roots
            points.append(torch.cat([first.flatten(), second.flatten()]))
        dim = self.hidden * (self.features + self.outputs)
        self._set_up(outer, dim, minima=tuples(points[-1:]), saddles=tuples(points[:-1]))

    @classmethod
    def examples(cls) -> list[Objective]:
        """A bottleneck, and more hidden units than outputs."""
        g = torch.Generator().manual_seed(4)
        x = torch.randn(10, 3, generator=g, dtype=torch.float64)
        y = x[:, :2] * 1.3 + 0.2 * torch.randn(10, 2, generator=g, dtype=torch.float64)
        return [cls(x, y, 1), cls(x, y[:, 0], 2)]

    def _layers(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        split, lead = self.hidden * self.features, theta.shape[:-1]
        return theta[..., :split].reshape(*lead, self.hidden, self.features), theta[..., split:].reshape(*lead, self.outputs, self.hidden)

    def push(self, theta: Tensor, a: Tensor) -> Tensor:
        (first, second), (d_first, d_second) = self._layers(theta), self._layers(a)
        return (second @ d_first + d_second @ first).flatten(-2)

    def pull(self, theta: Tensor, q: Tensor) -> Tensor:
        first, second = self._layers(theta)
        Q = q.reshape(*q.shape[:-1], self.outputs, self.features)
        return torch.cat([(second.transpose(-1, -2) @ Q).flatten(-2), (Q @ first.transpose(-1, -2)).flatten(-2)], -1)
