"""Stochastic Heun (Itô): x̂ = x + b dt + D dw, x⁺ = x + ½(b(x) + b(x̂))dt + D(x)dw.

Weak order 2 in dt for additive noise; error O(dt² + η·dt) otherwise, because D stays at the left point.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde.kernels.integrator import Integrator
from sgdsde.kernels.linear import AffineStep, diffusion_factor


class Heun(Integrator):
    """Stochastic Heun with step ``dt``, which divides the tick (η).

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> sde = sg.sdes.HASME(noise, 0.5)
        >>> exact = sg.oracles.stationary_covariance(sde).item()
        >>> bias = [sg.oracles.stationary_covariance(sg.kernels.Heun(sde, 0.5 / n)).item() / exact - 1 for n in (4, 8)]
        >>> round(math.log2(bias[0] / bias[1]))  # weak order 2
        2
    """

    def model_step(self, theta: Tensor, t: float, dw: Tensor) -> Tensor:
        drift, noise = self.sde.terms(t, theta, dw)
        return self.corrected(theta, t, drift, noise)

    def corrected(self, theta: Tensor, t: float, drift: Tensor, noise: Tensor) -> Tensor:
        """The step with b(x) and D(x)dw in hand."""
        base = theta + noise
        predicted = base.add(drift, alpha=self.dt)
        return base.add_(drift + self.sde.drift(t + self.dt, predicted), alpha=self.dt / 2)

    def affine_step(self) -> AffineStep | None:
        """F = I + A dt + A²dt²/2, s = (I + A dt/2)c dt, G = (I + A dt/2)D."""
        affine = self.sde.affine()
        if affine is None:
            return None
        A, c, _ = affine
        eye = torch.eye(self.dim, dtype=A.dtype)
        half = eye + A * (self.dt / 2)
        return AffineStep(eye + A @ half * self.dt, half @ c * self.dt, half @ diffusion_factor(self.sde))
