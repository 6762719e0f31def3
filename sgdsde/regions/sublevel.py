"""Sublevel set of the loss: {θ : f(θ) < level}, with distance (level − f)/‖∇f‖ and normal ∇f/‖∇f‖ (first order in the distance).

The set is not cut into its connected pieces: a jump from one basin into another below the same level is no exit.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.objective import Objective, as_objective
from sgdsde.region import Bordered
from sgdsde.types import InputError, real


class Sublevel(Bordered):
    """Points whose loss lies below ``level``.

    Raises:
        InputError: the level is not finite.
    """

    def __init__(self, objective: Objective, level: float) -> None:
        self.objective, self.level = as_objective(objective), real(level, "level")
        if not math.isfinite(self.level):
            raise InputError(f"level = {level}; wanted a finite loss.")
        self.dim = objective.dim

    def inside(self, theta: Tensor) -> Tensor:
        return self.objective.loss(theta).detach() < self.level

    def distances(self, theta: Tensor) -> Tensor:
        gap = self.level - self.objective.loss(theta).detach()
        slope = grad(self.objective, theta).norm(dim=1)
        far = torch.where(gap > 0, torch.inf, -torch.inf).to(gap)
        return torch.where(slope > 0, gap / slope, far)[:, None]  # [paths, 1]

    def normals(self, theta: Tensor) -> Tensor:
        g = grad(self.objective, theta)
        slope = g.norm(dim=1, keepdim=True)
        return torch.where(slope > 0, g / slope, torch.zeros_like(g))[:, None, :]
