"""Least squares: ℓᵢ(θ) = ½|W xᵢ − yᵢ|², one output (θ = W is a vector) or several.

The Hessian I ⊗ (1/n)Σxᵢxᵢᵀ is constant; the covariance of the stochastic gradient is not, and vanishes where all samples are fitted. HA-SME is exact
for the mean of SGD here, not for its covariance (docs/theory/modified_equations.md).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sgdsde.given import own
from sgdsde.objective import Facts, Objective, like
from sgdsde.objectives.linear_model import LinearModel, checked_inputs, same_length
from sgdsde.objectives.resident import Resident
from sgdsde.types import InputError


class LeastSquares(LinearModel):
    """½|W xᵢ − yᵢ|² averaged over samples.

    Args:
        x: inputs ``[n, features]``.
        y: targets ``[n]`` (dim = features) or ``[n, outputs]`` (dim = outputs·features, row by row).

    ``facts.minima`` holds the solution of least norm.

    Raises:
        InputError: empty data, NaN, mismatched lengths, wrong shapes.

    Example:
        >>> line = sg.objectives.LeastSquares([[1.0], [2.0]], [3.0, 6.0])
        >>> line.dim, [round(float(x), 9) for x in line.facts.minima[0]]
        (1, [3.0])
    """

    def __init__(self, x: Any, y: Any) -> None:
        x = checked_inputs(x)
        y = own(y, "y")
        same_length(x, y)
        y = y[:, None] if y.ndim == 1 else y  # [n, outputs]
        if y.ndim != 2 or y.shape[1] == 0:
            raise InputError(f"y has shape {tuple(y.shape)}; wanted [n] or [n, outputs].")
        if not bool(torch.isfinite(y).all()):
            raise InputError("y holds NaN or infinity; clean the data first.")
        self._set_up(x, y.shape[1])
        self.y = Resident(y)
        inputs, targets = x.to(torch.float64), y.to(torch.float64)
        self.gram = inputs.T @ inputs / self.n  # [features, features]
        self.moment = targets.T @ inputs / self.n  # [outputs, features]
        solution = torch.linalg.lstsq(inputs.cpu(), targets.cpu(), driver="gelsd").solution.T  # [outputs, features]
        self.facts = Facts(
            grad=self._grad,
            hessian=self._hessian,
            hvp=self._hvp,
            covariance=self._covariance,
            sample_grads=self._sample_grads,
            third=self._third,
            minima=(tuple(solution.flatten().tolist()),),
            constant_hessian=True,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """More samples than parameters, fewer, and several outputs."""
        g = torch.Generator().manual_seed(1)
        x = torch.randn(12, 3, generator=g, dtype=torch.float64)
        y = torch.randn(12, 2, generator=g, dtype=torch.float64)
        return [cls(x, y[:, 0]), cls(x[:2], y[:2, 0]), cls(x, y)]

    def _targets(self, theta: Tensor, batch: Tensor | None) -> Tensor:
        y = self.y.rows(theta, batch)
        return y.T if batch is None else y.transpose(1, 2)  # [outputs, n] or [paths, outputs, batch]

    def _output_loss(self, z: Tensor, theta: Tensor, batch: Tensor | None) -> Tensor:
        r = z - self._targets(theta, batch)
        return r[:, 0] ** 2 / 2 if self.outputs == 1 else (r**2).sum(1) / 2

    def _residual(self, z: Tensor, theta: Tensor, batch: Tensor | None) -> Tensor:
        return z - self._targets(theta, batch)

    def _curve(self, z: Tensor, a: Tensor) -> Tensor:
        return a

    def _means(self, z: Tensor) -> Tensor:
        return z

    def _curvature_entry(self, mean: Tensor, i: int, j: int) -> Tensor:
        return torch.full_like(mean[:, i], float(i == j))

    def _bend(self, z: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return torch.zeros_like(z)

    # The sums over samples are known beforehand: these replace O(n) by O(features) work a path.

    def _grad(self, theta: Tensor) -> Tensor:
        W = theta.reshape(-1, self.features)
        moment = like(self.moment, theta)
        return (W @ like(self.gram, theta)).reshape(theta.shape) - moment.reshape(-1)

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        return (v.reshape(-1, self.features) @ like(self.gram, theta)).reshape(v.shape)

    def _hessian(self, theta: Tensor) -> Tensor:
        gram = like(self.gram, theta)
        matrix = gram if self.outputs == 1 else torch.block_diag(*[gram] * self.outputs)
        return matrix.expand(theta.shape[0], -1, -1)

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return torch.zeros_like(theta)
