"""Half-space: {θ : nᵀθ < c}."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from sgdsde.objective import like
from sgdsde.region import Bordered
from sgdsde.regions.ball import vector
from sgdsde.types import InputError, real


class HalfSpace(Bordered):
    """Points with nᵀθ < ``offset``; n need not have length 1.

    Raises:
        InputError: n is zero or no finite vector, or the offset is not finite.
    """

    def __init__(self, normal: Any, offset: float) -> None:
        n = vector(normal, "normal")
        length = float(n.norm())
        if length == 0:
            raise InputError("normal is the zero vector; wanted a direction.")
        self.normal = n / length
        bound = real(offset, "offset")
        if not math.isfinite(bound):
            raise InputError(f"offset = {offset}; wanted a finite number.")
        self.offset = bound / length
        self.dim = n.shape[0]

    def inside(self, theta: Tensor) -> Tensor:
        return theta @ like(self.normal, theta) < self.offset

    def distances(self, theta: Tensor) -> Tensor:
        return (self.offset - theta @ like(self.normal, theta))[:, None]

    def normals(self, theta: Tensor) -> Tensor:
        return like(self.normal, theta).expand(theta.shape[0], 1, -1)
