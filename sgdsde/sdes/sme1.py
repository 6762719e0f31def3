"""First-order stochastic modified equation, SME-1: dX = −∇f dt + √η·R dW.

Weak order 1 (Li, Tai, E, arXiv 1511.06251; 1811.01558, Theorem 9 with the first-order equation). Q = ηΣ.
"""

from __future__ import annotations

from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.sde import ModifiedEquation


class SME1(ModifiedEquation):
    """b = −g, Q = ηΣ.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0]), 1.0)
        >>> sde, theta = sg.sdes.SME1(noise, 0.1), torch.tensor([[1.0]], dtype=torch.float64)
        >>> sde.drift(0.0, theta).item(), sde.diffusion(0.0, theta).item()  # −λθ, ησ²
        (-2.0, 0.1)
    """

    hessian_in_diffusion = False

    def drift(self, t: float, x: Tensor) -> Tensor:
        return -grad(self.objective, x)

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return self.noise.root(x, dw) * self.eta**0.5

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        return self.noise.covariance(x) * self.eta
