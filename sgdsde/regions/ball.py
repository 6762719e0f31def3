"""Ball: {θ : ‖θ − c‖ < R}."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sgdsde.given import own
from sgdsde.objective import like
from sgdsde.region import Bordered
from sgdsde.types import InputError, positive


class Ball(Bordered):
    """The open ball of radius R around ``center`` ``[dim]``.

    Raises:
        InputError: R ≤ 0, or the center is no finite vector.
    """

    def __init__(self, center: Any, radius: float) -> None:
        self.center = vector(center, "center")
        self.radius = positive(radius, "radius")
        self.dim = self.center.shape[0]

    def inside(self, theta: Tensor) -> Tensor:
        return (theta - like(self.center, theta)).square_().sum(1) < self.radius**2

    def distances(self, theta: Tensor) -> Tensor:
        return self.radius - (theta - like(self.center, theta)).norm(dim=1, keepdim=True)  # [paths, 1]

    def normals(self, theta: Tensor) -> Tensor:
        arrow = theta - like(self.center, theta)
        length = arrow.norm(dim=1, keepdim=True)
        # every direction is nearest from the center: take the first axis
        arrow = torch.where(length > 0, arrow / length, torch.eye(1, theta.shape[1], dtype=theta.dtype, device=theta.device))
        return arrow[:, None, :]  # [paths, 1, dim]


def vector(value: Any, name: str) -> Tensor:
    """A finite vector in float64; a number is a vector of length 1.

    Raises:
        InputError: it has another shape, is empty, or holds NaN or infinity.
    """
    v = own(value, name).to("cpu", torch.float64)
    v = v.reshape(1) if v.ndim == 0 else v
    if v.ndim != 1 or v.numel() == 0 or not bool(torch.isfinite(v).all()):
        raise InputError(f"{name} has shape {tuple(v.shape)}; wanted a finite vector [dim].")
    return v
