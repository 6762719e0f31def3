"""Third-order HA-SME, dense (this project's own): HA-SME with the third derivative's part of the η² correction.

b = L − (η²/12)∇³f[g,g] + (η²/4)(Σ:∂∂)g and Q = η·U[(UᵀΣ⁺U)ᵢⱼ·φ(mᵢmⱼ)]Uᵀ, Σ⁺ = Σ(θ + (η/2)g). Weak order 3 for noise without third cumulant; exact in law at
t = kη on quadratics with constant Σ and Gaussian noise. Needs eigenvectors (d ≲ 64) and ηλ < 1; Q may be indefinite.
Derivation: docs/theory/modified_equations.md.
"""

from __future__ import annotations

from torch import Tensor

from sgdsde.noise import Noise
from sgdsde.sdes.functions import ell, phi_pair
from sgdsde.sdes.hadamard import HadamardEquation
from sgdsde.sdes.log_domain import RealLogarithm
from sgdsde.sdes.third_order import shifted, third_order_drift


class HASME3(HadamardEquation):
    """b = L − (η²/12)∇³f[g,g] + (η²/4)(Σ:∂∂)g, Q = η·U[(UᵀΣ⁺U)ᵢⱼφ(mᵢmⱼ)]Uᵀ; ``noise_dim`` = dim. ``log`` and ``psd`` as in :class:`HASME`.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.25)
        >>> theta = torch.tensor([[-1.3]], dtype=torch.float64)
        >>> sg.sdes.HASME3(noise, 0.1).drift(0.0, theta).item() > sg.sdes.HASME(noise, 0.1).drift(0.0, theta).item()
        True
    """

    def __init__(self, noise: Noise, eta: float, *, log: str = "stop", psd: str = "stop") -> None:
        super().__init__(noise, eta, domain=RealLogarithm(log), psd=psd)

    def flow(self, x: Tensor) -> Tensor:
        return ell(x)

    def pair(self, x: Tensor) -> Tensor:
        return phi_pair(x)

    def completed(self, flow: Tensor, theta: Tensor, g: Tensor) -> Tensor:
        return flow + third_order_drift(self.noise, theta, g, self.eta)

    def noise_point(self, theta: Tensor) -> Tensor:
        return shifted(self.objective, theta, self.eta)
