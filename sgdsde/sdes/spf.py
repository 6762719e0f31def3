"""Stochastic principal flow, SPF: the principal flow's drift with SME-1's diffusion (arXiv 2302.01952, 2405.18373).

b = U·[log(1−ηΛ)/(ηΛ)]·Uᵀg, Q = ηΣ. Weak order 2 for Gaussian noise. Real logarithm: ηλ < 1.
"""

from __future__ import annotations

from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.noise import Noise
from sgdsde.sde import ModifiedEquation
from sgdsde.sdes.chebyshev import SeriesFunction
from sgdsde.sdes.functions import HessianSpectrum, ell


class SPF(ModifiedEquation):
    """b = L, Q = ηΣ. ``log``: see :class:`HessianSpectrum`.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0]), 1.0)
        >>> sde, theta = sg.sdes.SPF(noise, 0.25), torch.tensor([[1.0]], dtype=torch.float64)
        >>> round(sde.drift(0.0, theta).item() / math.log(0.5), 9), sde.diffusion(0.0, theta).item()  # θ·log(1−ηλ)/η, ησ²
        (4.0, 0.25)
    """

    hessian_in_diffusion = False

    def __init__(self, noise: Noise, eta: float, *, log: str = "stop") -> None:
        super().__init__(noise, eta)
        self.spectrum = HessianSpectrum(self.objective, self.eta, log)
        self._flow = SeriesFunction(ell)

    @property
    def width(self) -> int:
        return max(super().width, self.spectrum.width)

    def drift(self, t: float, x: Tensor) -> Tensor:
        return self.spectrum.times(x, [self._flow], [grad(self.objective, x)])[0]

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return self.noise.root(x, dw) * self.eta**0.5

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        return self.noise.covariance(x) * self.eta
