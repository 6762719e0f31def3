"""Box: {θ : lowᵢ < θᵢ < highᵢ}, ends may be infinite. Its sides are −i (low end of coordinate i, counted from 1) and +i (high end)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sgdsde.given import own
from sgdsde.objective import like
from sgdsde.region import Bordered
from sgdsde.types import InputError


class Box(Bordered):
    """The product of the intervals (lowᵢ, highᵢ).

    Raises:
        InputError: the vectors differ in length, hold NaN, leave an empty interval, or bound nothing.
    """

    def __init__(self, low: Any, high: Any) -> None:
        self.low = own(low, "low").to("cpu", torch.float64).reshape(-1)
        self.high = own(high, "high").to("cpu", torch.float64).reshape(-1)
        if self.low.shape != self.high.shape or self.low.numel() == 0 or not bool((self.low < self.high).all()):
            shapes = f"{tuple(self.low.shape)} and {tuple(self.high.shape)}"
            raise InputError(f"Box(low, high) with shapes {shapes}; wanted equal shapes [dim] and low < high everywhere.")
        if not bool(torch.isfinite(torch.cat([self.low, self.high])).any()):
            raise InputError("Box with infinite ends only is the whole space: no path can leave it. Give at least one finite end.")
        self.dim = self.low.shape[0]
        self.labels = tuple(sign * i for sign in (-1, 1) for i in range(1, self.dim + 1))
        self.opposite = tuple((i, i + self.dim) for i in range(self.dim))

    def inside(self, theta: Tensor) -> Tensor:
        return ((theta > like(self.low, theta)) & (theta < like(self.high, theta))).all(1)

    def distances(self, theta: Tensor) -> Tensor:
        return torch.cat([theta - like(self.low, theta), like(self.high, theta) - theta], 1)  # [paths, 2*dim]

    def normals(self, theta: Tensor) -> Tensor:
        eye = torch.eye(theta.shape[1], dtype=theta.dtype, device=theta.device)
        return torch.cat([-eye, eye]).expand(theta.shape[0], -1, -1)  # [paths, 2*dim, dim]
