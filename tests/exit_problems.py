"""Exit problems that several test modules share."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import sgdsde as sg
from sgdsde.regions import Interval

FALSE_ALARM = 1e-6
HALF_LINE = Interval(-math.inf, 0.0)


def quadratic(x: float, s: float = 1.0) -> sg.noises.Gaussian:
    """At η = 1: curvature ηλ = x, noise ησ = s."""
    return sg.noises.Gaussian(sg.objectives.Quadratic([x]), s**2)


def quartic(sigma: float) -> sg.noises.Gaussian:
    """The double well x⁴/4 − x²/2 with noise σ."""
    return sg.noises.Gaussian(sg.objectives.DoubleWell(), sigma**2)


def always(theta: Tensor) -> Tensor:
    """A region that nothing leaves."""
    return torch.ones(theta.shape[0], dtype=torch.bool)


class Nonlinear(sg.SDE):
    """Another SDE with its linearity hidden, so that the general method is used."""

    def __init__(self, sde: sg.SDE) -> None:
        self.inner, self.dim, self.noise_dim, self.eta = sde, sde.dim, sde.noise_dim, sde.eta

    def drift(self, t: float, x: torch.Tensor) -> torch.Tensor:
        return self.inner.drift(t, x)

    def diffuse(self, t: float, x: torch.Tensor, dw: torch.Tensor) -> torch.Tensor:
        return self.inner.diffuse(t, x, dw)

    def diffusion(self, t: float, x: torch.Tensor) -> torch.Tensor:
        return self.inner.diffusion(t, x)


class Scaled(Nonlinear):
    """A mutant: the diffusion times a factor."""

    def __init__(self, sde: sg.SDE, factor: float) -> None:
        super().__init__(sde)
        self.factor = factor

    def diffusion(self, t: float, x: torch.Tensor) -> torch.Tensor:
        return self.inner.diffusion(t, x) * self.factor
