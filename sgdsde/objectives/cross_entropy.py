"""Cross-entropy of labels and a few outputs z, with its derivatives in z.

Softmax: ℓ = log Σ_c exp(z_c) − z_y, and with p = softmax(z): r = p − e_y, A = diag(p) − ppᵀ,
∂³ℓ[a, b]_k = p_k(a_k b_k − ⟨ab⟩ − (a_k − ā) b̄ − ā (b_k − b̄)), means under p. Two classes: ℓ = log(1 + eᶻ) − yz, r = p − y, A = p(1−p),
∂³ℓ = p(1−p)(1−2p).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sgdsde.given import is_whole, seen
from sgdsde.objectives.resident import Resident
from sgdsde.types import InputError


class CrossEntropy(ABC):
    """The loss of the outputs z ``[P, outputs, B]`` against labels."""

    def __init__(self, labels: Tensor) -> None:
        self.labels = Resident(labels)

    @abstractmethod
    def value(self, z: Tensor, batch: Tensor | None) -> Tensor:
        """ℓ for each sample, ``[P, B]``."""

    @abstractmethod
    def residual(self, z: Tensor, batch: Tensor | None) -> Tensor:
        """∂ℓ/∂z."""

    @abstractmethod
    def means(self, z: Tensor) -> Tensor:
        """The class probabilities p."""

    @abstractmethod
    def curve(self, z: Tensor, a: Tensor) -> Tensor:
        """∂²ℓ/∂z²[a]."""

    @abstractmethod
    def bend(self, z: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """∂³ℓ/∂z³[a, b]."""


class Binary(CrossEntropy):
    """−log σ(±z): exact in every derivative and at any z (torch's softplus turns linear at 20 and is off by 2e-9 there)."""

    def __init__(self, labels: Tensor) -> None:
        super().__init__(labels.to(torch.float64))

    def value(self, z: Tensor, batch: Tensor | None) -> Tensor:
        return -functional.logsigmoid((2 * self.labels.rows(z, batch) - 1) * z[:, 0])

    def residual(self, z: Tensor, batch: Tensor | None) -> Tensor:
        y = self.labels.rows(z, batch)
        return z.sigmoid() - (y if batch is None else y[:, None])

    def means(self, z: Tensor) -> Tensor:
        return z.sigmoid()

    def curve(self, z: Tensor, a: Tensor) -> Tensor:
        p = z.sigmoid()
        return p * (1 - p) * a

    def bend(self, z: Tensor, a: Tensor, b: Tensor) -> Tensor:
        p = z.sigmoid()
        return p * (1 - p) * (1 - 2 * p) * a * b


class Softmax(CrossEntropy):
    """log Σ exp(z) − z_y over three classes or more."""

    def value(self, z: Tensor, batch: Tensor | None) -> Tensor:
        y = self.labels.rows(z, batch)
        return functional.cross_entropy(z, y.expand(z.shape[0], -1), reduction="none")

    def residual(self, z: Tensor, batch: Tensor | None) -> Tensor:
        y = self.labels.rows(z, batch).expand(z.shape[0], -1)[:, None]  # [paths, 1, batch]
        return z.softmax(1).scatter_add(1, y, z.new_full((), -1.0).expand(y.shape))

    def means(self, z: Tensor) -> Tensor:
        return z.softmax(1)

    def curve(self, z: Tensor, a: Tensor) -> Tensor:
        p = z.softmax(1)
        return p * (a - (p * a).sum(1, keepdim=True))

    def bend(self, z: Tensor, a: Tensor, b: Tensor) -> Tensor:
        p = z.softmax(1)
        mean_a, mean_b = (p * a).sum(1, keepdim=True), (p * b).sum(1, keepdim=True)
        mean_ab = (p * a * b).sum(1, keepdim=True)
        return p * (a * b - mean_ab - (a - mean_a) * mean_b - mean_a * (b - mean_b))


def checked_labels(y: Any, classes: int | None) -> tuple[Tensor, int]:
    """Integer labels as long ``[n]`` and the number of classes.

    Raises:
        InputError: no integers, or labels outside 0…classes−1.
    """
    values = seen(y, "labels")
    if values.ndim != 1:
        raise InputError(f"labels have shape {tuple(values.shape)}; wanted [n], one integer class per sample (not one-hot rows).")
    if values.numel() == 0:
        raise InputError("labels are empty: empty data; wanted at least one sample.")
    labels = values.to(torch.long, copy=True)
    if not bool((labels == values).all()):
        raise InputError("labels are not integers; wanted classes 0, 1, 2, …")
    low, high = int(labels.min()), int(labels.max())
    if classes is None:
        classes = max(high + 1, 2)
    if not is_whole(classes, 2):
        raise InputError(f"classes = {classes!r}; wanted an integer ≥ 2.")
    if low < 0 or high >= classes:
        raise InputError(
            f"labels outside the classes: they run from {low} to {high}, wanted 0…{int(classes) - 1} for {int(classes)} classes. "
            "Renumber them from 0, or pass classes=…"
        )
    return labels, int(classes)
