"""Second-order stochastic modified equation, SME-2: dX = −∇(f + (η/4)‖∇f‖²) dt + √η·R dW.

Weak order 2 for Gaussian noise (Li, Tai, E, arXiv 1811.01558). b = −g − (η/2)Hg, Q = ηΣ.
"""

from __future__ import annotations

from torch import Tensor

from sgdsde.calculus import grad, hvp
from sgdsde.sde import ModifiedEquation


class SME2(ModifiedEquation):
    """b = −g − (η/2)Hg, Q = ηΣ.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0]), 1.0)
        >>> sg.sdes.SME2(noise, 0.1).drift(0.0, torch.tensor([[1.0]], dtype=torch.float64)).item()  # −λθ(1 + ηλ/2)
        -2.2
    """

    hessian_in_diffusion = False

    def drift(self, t: float, x: Tensor) -> Tensor:
        g = grad(self.objective, x)
        return -g - (self.eta / 2) * hvp(self.objective, x, g)

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return self.noise.root(x, dw) * self.eta**0.5

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        return self.noise.covariance(x) * self.eta
