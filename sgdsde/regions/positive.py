"""A region with a sign: {θ : φ(θ) > 0}, with distance φ/‖∇φ‖ and normal −∇φ/‖∇φ‖ by autodiff (first order in the distance)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sgdsde.region import Bordered
from sgdsde.types import InputError


class Positive(Bordered):
    """Where ``function`` (``[P, dim]`` → ``[P]``, differentiable) is positive.

    Raises:
        InputError: the function returns another shape or no floating numbers.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], dim: int | None = None) -> None:
        if not callable(function):
            raise InputError(f"Positive({function!r}): wanted a function [paths, dim] -> [paths].")
        self.function = function
        self.dim = dim

    def inside(self, theta: Tensor) -> Tensor:
        return self._value(theta).detach() > 0

    def distances(self, theta: Tensor) -> Tensor:
        value, slope = self._both(theta)
        length = slope.norm(dim=1)
        far = torch.where(value > 0, torch.inf, -torch.inf).to(value)
        return torch.where(length > 0, value / length, far)[:, None]

    def normals(self, theta: Tensor) -> Tensor:
        _, slope = self._both(theta)
        length = slope.norm(dim=1, keepdim=True)
        return torch.where(length > 0, -slope / length, torch.zeros_like(slope))[:, None, :]

    def _value(self, theta: Tensor) -> Tensor:
        value = self.function(theta)
        if value.shape != theta.shape[:1] or not value.is_floating_point():
            raise InputError(f"The region's function returned shape {tuple(value.shape)}, {value.dtype}; wanted floating numbers [{theta.shape[0]}].")
        return value

    def _both(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            point = theta.detach().requires_grad_(True)
            value = self._value(point)
            (slope,) = torch.autograd.grad(value.sum(), point)
        return value.detach(), slope
