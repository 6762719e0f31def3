"""Stochastic Heun (Itô): x̂ = x + b dt + D dw, x⁺ = x + ½(b(x) + b(x̂))dt + D(x)dw.

Weak order 2 in dt for additive noise; error O(dt² + η·dt) otherwise, because D stays at the left point.
"""

from __future__ import annotations

from torch import Tensor

from sgdsde.kernels.integrator import Integrator


class Heun(Integrator):
    """Stochastic Heun with step ``dt``, which divides the tick (η)."""

    def step(self, theta: Tensor, t: float, dw: Tensor) -> Tensor:
        drift, noise = self.terms(t, theta, dw)
        base = theta + noise
        predicted = base.add(drift, alpha=self.dt)
        return base.add_(drift.add_(self.drift(t + self.dt, predicted)), alpha=self.dt / 2)
