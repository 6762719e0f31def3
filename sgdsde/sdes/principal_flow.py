"""Principal flow: dX = L(X) dt, L = U·[log(1−ηΛ)/(ηΛ)]·Uᵀg (Rosca et al., arXiv 2302.01952).

At t = kη it equals gradient descent on quadratics; complex for ηλ > 1, unstable for ηλ > 2. Real logarithm: ηλ < 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.noise import Noise
from sgdsde.sde import ModifiedEquation
from sgdsde.sdes.chebyshev import SeriesFunction
from sgdsde.sdes.functions import HessianSpectrum, ell


class PrincipalFlow(ModifiedEquation):
    """b = U[log(1−ηΛ)/(ηΛ)]Uᵀg (−g where ηΛ → 0), Q = 0 (``noise_dim`` is 0). ``log``: see :class:`HessianSpectrum`.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0]), 1.0)
        >>> flow = sg.sdes.PrincipalFlow(noise, 0.25)
        >>> round(sg.oracles.sde_moments(flow, [1.0], 0.25).mean.item(), 9)  # gradient descent's 1 − ηλ
        0.5
    """

    def __init__(self, noise: Noise, eta: float, *, log: str = "stop") -> None:
        super().__init__(noise, eta)
        self.noise_dim = 0
        self.spectrum = HessianSpectrum(self.objective, self.eta, log)
        self._flow = SeriesFunction(ell)

    @property
    def width(self) -> int:
        return max(super().width, self.spectrum.width)

    def drift(self, t: float, x: Tensor) -> Tensor:
        return self.spectrum.times(x, [self._flow], [grad(self.objective, x)])[0]

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[0], self.dim, self.dim)
