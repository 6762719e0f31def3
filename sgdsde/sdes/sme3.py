"""Third-order stochastic modified equation, SME-3 (this project's own): polynomial in the Hessian, so it exists at every step size.

b = −g − (η/2)Hg − η²[H²g/3 + ∇³f[g,g]/12] + (η²/4)(Σ:∂∂)g and Q = η(I + ηH/2)Σ⁺(I + ηH/2), Σ⁺ = Σ(θ + (η/2)g). Weak order 3 for noise without third
cumulant (2 otherwise). Positive by construction: D dw = √η·(I + ηH/2)·R(θ + (η/2)g)dw. Derivation: docs/theory/modified_equations.md.
"""

from __future__ import annotations

from torch import Tensor

from sgdsde.calculus import grad, hessian, hvp
from sgdsde.objective import identity_rows
from sgdsde.sde import ModifiedEquation
from sgdsde.sdes.third_order import shifted, third_order_drift


class SME3(ModifiedEquation):
    """b = −g −(η/2)Hg −η²[H²g/3 + ∇³f[g,g]/12] + (η²/4)(Σ:∂∂)g, Q = η(I+ηH/2)Σ(θ+(η/2)g)(I+ηH/2); ``noise_dim`` is the noise's.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0]), 1.0)
        >>> round(sg.sdes.SME3(noise, 0.1).diffusion(0.0, torch.zeros(1, 1, dtype=torch.float64)).item(), 9)  # η(1 + ηλ/2)²
        0.121
    """

    def drift(self, t: float, x: Tensor) -> Tensor:
        return self._drift(x, grad(self.objective, x))

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return self._diffuse(x, grad(self.objective, x), dw)

    def terms(self, t: float, x: Tensor, dw: Tensor) -> tuple[Tensor, Tensor]:
        g = grad(self.objective, x)
        return self._drift(x, g), self._diffuse(x, g, dw)

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        factor = identity_rows(x) + (self.eta / 2) * hessian(self.objective, x)
        return self.eta * (factor @ self.noise.covariance(shifted(self.objective, x, self.eta)) @ factor)

    def _drift(self, x: Tensor, g: Tensor) -> Tensor:
        Hg = hvp(self.objective, x, g)
        HHg = hvp(self.objective, x, Hg)
        return third_order_drift(self.noise, x, g, self.eta) - g - (self.eta / 2) * Hg - (self.eta**2 / 3) * HHg

    def _diffuse(self, x: Tensor, g: Tensor, dw: Tensor) -> Tensor:
        v = self.noise.root(shifted(self.objective, x, self.eta, g), dw)
        return (v + (self.eta / 2) * hvp(self.objective, x, v)) * self.eta**0.5
