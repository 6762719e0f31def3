"""Interval of the line: {θ : low < θ < high}, either end may be infinite. Its sides are −1 (low) and +1 (high)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sgdsde.region import Bordered, Region
from sgdsde.regions.ball import Ball
from sgdsde.regions.box import Box
from sgdsde.regions.half_space import HalfSpace
from sgdsde.types import InputError, real


class Interval(Bordered):
    """(low, high) in one dimension.

    Raises:
        InputError: the interval is empty, or the whole line.
    """

    labels = (-1, 1)
    opposite = ((0, 1),)
    dim = 1

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = real(low, "low"), real(high, "high")
        if not self.low < self.high:
            raise InputError(f"Interval({low}, {high}) is empty; wanted low < high.")
        if math.isinf(self.low) and math.isinf(self.high):
            raise InputError("Interval(-inf, inf) is the whole line: no path can leave it.")

    def inside(self, theta: Tensor) -> Tensor:
        x = theta[:, 0]
        if math.isinf(self.low):
            return x < self.high
        return x > self.low if math.isinf(self.high) else (x > self.low) & (x < self.high)

    def distances(self, theta: Tensor) -> Tensor:
        return torch.cat([theta - self.low, self.high - theta], 1)  # [paths, 2]

    def normals(self, theta: Tensor) -> Tensor:
        return torch.tensor([[-1.0], [1.0]], dtype=theta.dtype, device=theta.device).expand(theta.shape[0], 2, 1)


def as_interval(region: Region) -> Interval:
    """A one-dimensional region as an interval, for the oracles.

    Raises:
        InputError: it is not one-dimensional, or no interval.
    """
    if isinstance(region, Interval):
        return region
    if isinstance(region, Region) and region.dim == 1:
        if isinstance(region, Ball):
            center = float(region.center[0])
            return Interval(center - region.radius, center + region.radius)
        if isinstance(region, Box):
            return Interval(float(region.low[0]), float(region.high[0]))
        if isinstance(region, HalfSpace):
            return Interval(-math.inf, region.offset) if float(region.normal[0]) > 0 else Interval(-region.offset, math.inf)
    dim = f" (dim = {region.dim})" if isinstance(region, Region) else ""
    raise InputError(f"{type(region).__name__}{dim} is no interval of the line; the exit oracles take sg.regions.Interval(low, high).")
