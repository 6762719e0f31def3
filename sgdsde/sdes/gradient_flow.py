"""Gradient flow: dX = −∇f(X) dt. Weak order 1 (with SME-1's order: orders alone justify no diffusion term)."""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.noise import Noise
from sgdsde.sde import ModifiedEquation


class GradientFlow(ModifiedEquation):
    """b = −g, Q = 0 (an ODE: ``noise_dim`` is 0).

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0]), 1.0)
        >>> sg.sdes.GradientFlow(noise, 0.1).drift(0.0, torch.tensor([[1.0]], dtype=torch.float64)).item()  # −λθ
        -2.0
    """

    def __init__(self, noise: Noise, eta: float) -> None:
        super().__init__(noise, eta)
        self.noise_dim = 0

    def drift(self, t: float, x: Tensor) -> Tensor:
        return -grad(self.objective, x)

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[0], self.dim, self.dim)
