"""Losses of a layered network's outputs z ``[P, outputs, B]`` with what backward passes need: ∂ℓ/∂z and the matrices ∂²ℓ/∂z².

Squared error ℓ = (1/c)|z − y|²: r = 2(z − y)/c, A = (2/c)I. Cross-entropy with labels or with target probabilities q (Σq = s): r = s·p − q,
A = s(diag p − ppᵀ), p = softmax z. Any other per-sample loss is differentiated by autograd at the outputs only, where it is small.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sgdsde.objectives.network_checks import LOSSES, Loss

Outputs = Float[Tensor, "paths outputs batch"]
#: a ``[P, outputs, k, B]`` ↦ (∂²ℓ/∂z²)a, the same shape
Curve = Callable[[Tensor], Tensor]


class OutputLoss(ABC):
    """Targets come as ``[P or 1, B, …]``: one row where all replicas see the same samples."""

    @abstractmethod
    def value(self, z: Outputs, y: Tensor) -> Float[Tensor, "paths batch"]:
        """ℓ of each sample."""

    @abstractmethod
    def residual(self, z: Outputs, y: Tensor) -> Outputs:
        """∂ℓ/∂z."""

    @abstractmethod
    def curve(self, z: Outputs, y: Tensor) -> tuple[Outputs, Curve]:
        """∂ℓ/∂z and the product with ∂²ℓ/∂z²."""


class SquaredErrorLoss(OutputLoss):
    """The mean over a sample's outputs of (z − y)²."""

    def value(self, z: Outputs, y: Tensor) -> Tensor:
        return (z - _columns(y)).square().mean(1)

    def residual(self, z: Outputs, y: Tensor) -> Tensor:
        return (z - _columns(y)) * (2 / z.shape[1])

    def curve(self, z: Outputs, y: Tensor) -> tuple[Tensor, Curve]:
        factor = 2 / z.shape[1]
        return self.residual(z, y), lambda a: a * factor


class CrossEntropyLoss(OutputLoss):
    """−Σ_c q_c log softmax(z)_c, q a label's unit vector or given probabilities."""

    def value(self, z: Outputs, y: Tensor) -> Tensor:
        if y.is_floating_point():
            return -(z.log_softmax(1) * _columns(y)).sum(1)
        return functional.cross_entropy(z, y.expand(z.shape[0], -1), reduction="none")

    def residual(self, z: Outputs, y: Tensor) -> Tensor:
        return self._residual(z.softmax(1), y)

    def curve(self, z: Outputs, y: Tensor) -> tuple[Tensor, Curve]:
        p = z.softmax(1)
        mass = _columns(y).sum(1, keepdim=True)[:, :, None] if y.is_floating_point() else 1.0  # [paths, 1, 1, batch]
        P = p[:, :, None]  # [paths, outputs, 1, batch]
        return self._residual(p, y), lambda a: mass * (P * (a - (P * a).sum(1, keepdim=True)))

    @staticmethod
    def _residual(p: Tensor, y: Tensor) -> Tensor:
        if y.is_floating_point():
            q = _columns(y)
            return p * q.sum(1, keepdim=True) - q
        labels = y.expand(p.shape[0], -1)[:, None]  # [paths, 1, batch]
        return p.scatter_add(1, labels, p.new_full((), -1.0).expand(labels.shape))


class DifferentiatedLoss(OutputLoss):
    """Any ``loss(output [N, …], target [N, …]) -> [N]``; the flattened replicas and samples are its batch."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def value(self, z: Outputs, y: Tensor) -> Tensor:
        paths, _, batch = z.shape
        targets = y.expand(paths, *y.shape[1:]).reshape(paths * batch, *y.shape[2:])
        return self.loss(z.transpose(1, 2).flatten(0, 1), targets).reshape(paths, batch)

    def residual(self, z: Outputs, y: Tensor) -> Tensor:
        with torch.enable_grad():
            point = z.detach().requires_grad_(True)
            return torch.autograd.grad(self.value(point, y).sum(), point)[0]

    def curve(self, z: Outputs, y: Tensor) -> tuple[Tensor, Curve]:
        with torch.enable_grad():
            point = z.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(self.value(point, y).sum(), point, create_graph=True)

        def product(a: Tensor) -> Tensor:
            if not slope.requires_grad:  # a loss that is linear in the outputs
                return torch.zeros_like(a)
            columns = []
            for i in range(a.shape[2]):
                (column,) = torch.autograd.grad(slope, point, a[:, :, i], retain_graph=True, allow_unused=True)
                columns.append(torch.zeros_like(point) if column is None else column)
            return torch.stack(columns, 2)

        return slope.detach(), product


def output_loss(loss: Loss) -> OutputLoss:
    """The formulas where they are known, autograd elsewhere."""
    if loss is LOSSES["mse"]:
        return SquaredErrorLoss()
    return CrossEntropyLoss() if loss is LOSSES["cross_entropy"] else DifferentiatedLoss(loss)


def _columns(y: Tensor) -> Tensor:
    """Targets ``[P or 1, B, c]`` as ``[P or 1, c, B]``."""
    return y.transpose(1, 2)
