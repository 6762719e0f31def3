"""Logistic regression: ℓᵢ(θ) = log Σ_c exp(zᵢ_c) − zᵢ_{yᵢ} + (ρ/2)|θ|², zᵢ = W xᵢ; with two classes z is one number and the other logit is 0.

Convex, with a constant-sign curvature that saturates: the smallest real problem with minibatch noise whose covariance depends on θ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde.objective import Facts, Objective
from sgdsde.objectives.cross_entropy import Binary, CrossEntropy, Softmax, checked_labels
from sgdsde.objectives.linear_model import LinearModel, checked_inputs, same_length
from sgdsde.types import DomainError, InputError, real


class LogisticRegression(LinearModel):
    """Mean cross-entropy of a linear classifier.

    Args:
        x: inputs ``[n, features]``.
        y: integer labels ``[n]`` in 0…classes−1.
        classes: their number; None reads it off the labels. With two classes dim = features; with more dim = features·classes, θ = W ``[classes,
            features]`` row by row, the layout of ``torch.nn.Linear.weight``.
        ridge: ρ ≥ 0, in every sample's loss, so that it adds no noise; it leaves intercepts alone.
        intercept: append a constant 1 to the inputs (features grows by one, in the last place).

    Raises:
        InputError: empty data, NaN, mismatched lengths, labels that are no integers or outside the classes, a negative ridge.

    Example:
        >>> logistic = sg.objectives.LogisticRegression([[-1.0], [1.0]], [0, 1])
        >>> round(logistic.loss(torch.zeros(1, 1, dtype=torch.float64)).item() / math.log(2), 9)
        1.0
    """

    def __init__(self, x: Any, y: Any, *, classes: int | None = None, ridge: float = 0.0, intercept: bool = False) -> None:
        ridge = real(ridge, "ridge")
        x = checked_inputs(x)
        labels, count = checked_labels(y, classes)
        same_length(x, labels)
        if not (np.isfinite(ridge) and ridge >= 0):
            raise InputError(f"ridge = {ridge}; wanted a finite number ≥ 0.")
        self.classes, self.ridge, self.intercept = count, ridge, bool(intercept)
        if intercept:
            x = torch.cat([x, x.new_ones(x.shape[0], 1)], 1)
        outputs = 1 if count == 2 else count
        weights = torch.full((outputs, x.shape[1]), self.ridge, dtype=torch.float64)
        if intercept:
            weights[:, -1] = 0
        self._set_up(x, outputs, weights.reshape(-1) if self.ridge else None)
        self._loss: CrossEntropy = Binary(labels) if count == 2 else Softmax(labels)
        self.facts = Facts(
            grad=self._grad, hessian=self._hessian, hvp=self._hvp, covariance=self._covariance, sample_grads=self._sample_grads, third=self._third
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """Two and three classes, with and without ridge and intercept."""
        g = torch.Generator().manual_seed(2)
        x = torch.randn(14, 3, generator=g, dtype=torch.float64)
        two, three = torch.arange(14) % 2, torch.arange(14) % 3
        return [cls(x, two), cls(x, two, ridge=0.3, intercept=True), cls(x, three, ridge=0.1), cls(x[:, :2], three, ridge=0.2, intercept=True)]

    def predict(self, theta: Tensor, x: Any = None) -> Tensor:
        """The most probable class, long ``[P, n]``, of the given inputs (without intercept column) or of the data."""
        if x is None:
            z = self.linear(theta)
        else:
            inputs = checked_inputs(x).to(theta)
            inputs = torch.cat([inputs, inputs.new_ones(inputs.shape[0], 1)], 1) if self.intercept else inputs
            if inputs.shape[1] != self.features:
                raise InputError(f"x has {inputs.shape[1] - self.intercept} features; the data have {self.features - self.intercept}.")
            z = theta.reshape(theta.shape[0], self.outputs, self.features) @ inputs.T
        return (z[:, 0] > 0).long() if self.classes == 2 else z.argmax(1)

    def minimizer(self, *, tolerance: float = 1e-12, steps: int = 100) -> Tensor:
        """The minimum ``[dim]`` in float64 by damped Newton, to a gradient of norm ``tolerance``.

        Raises:
            DomainError: there is none to be found: separable data without ridge, whose loss only tends to its infimum.
        """
        theta = torch.zeros(1, self.dim, dtype=torch.float64, device=self.x.original.device)
        for _ in range(steps):
            g = self._grad(theta)
            if float(g.norm()) <= tolerance:
                return theta[0]
            step = torch.linalg.lstsq(self._hessian(theta)[0].cpu(), g[0].cpu(), driver="gelsd").solution.to(theta)
            slope, value, length = float(step @ g[0]), float(self.loss(theta)), 1.0
            while length > 1e-8 and not float(self.loss(theta - length * step)) <= value - 1e-4 * length * slope + 1e-15 * abs(value):
                length /= 2
            theta = theta - length * step
        raise DomainError(
            f"Newton's method found no minimum in {steps} steps (|∇f| = {float(self._grad(theta).norm()):.2g}): the data look separable. Use ridge > 0."
        )

    def _output_loss(self, z: Tensor, theta: Tensor, batch: Tensor | None) -> Tensor:
        return self._loss.value(z, batch)

    def _residual(self, z: Tensor, theta: Tensor, batch: Tensor | None) -> Tensor:
        return self._loss.residual(z, batch)

    def _curve(self, z: Tensor, a: Tensor) -> Tensor:
        return self._loss.curve(z, a)

    def _means(self, z: Tensor) -> Tensor:
        return self._loss.means(z)

    def _curvature_entry(self, mean: Tensor, i: int, j: int) -> Tensor:
        p = mean[:, i]
        return p * (1 - p) if i == j else -p * mean[:, j]

    def _bend(self, z: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return self._loss.bend(z, a, b)
