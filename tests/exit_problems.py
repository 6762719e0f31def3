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
