"""Data that an objective keeps at hand in the dtype and on the device where its points are.

Moving a data set at every step would cost more than the step. A :class:`Resident` holds the original and the last converted copy; only the
original travels to other processes.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor


class Resident:
    """A constant tensor; ``at(theta)`` is it in the dtype (if it is floating) and on the device of ``theta``."""

    def __init__(self, original: Shaped[Tensor, "..."]) -> None:
        self.original = original.detach()
        self._copy = self.original

    def at(self, theta: Tensor) -> Shaped[Tensor, "..."]:
        """The constant beside ``theta``."""
        dtype = theta.dtype if self.original.is_floating_point() else self.original.dtype
        copy = self._copy
        if copy.dtype != dtype or copy.device != theta.device:
            copy = self._copy = self.original.to(device=theta.device, dtype=dtype)
        return copy

    def rows(self, theta: Tensor, batch: Tensor | None) -> Shaped[Tensor, "..."]:
        """The rows that ``batch [P, B]`` selects, ``[P, B, ...]``; all of them, ``[n, ...]`` and without a copy, where it is None."""
        values = self.at(theta)
        if batch is None:
            return values
        return values.index_select(0, batch.reshape(-1)).reshape(*batch.shape, *values.shape[1:])  # [paths, batch, ...]

    def __getstate__(self) -> dict[str, Any]:
        return {"original": self.original}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.original = self._copy = state["original"]

    @property
    def shape(self) -> torch.Size:
        """The shape of the original."""
        return self.original.shape
