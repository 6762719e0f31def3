"""Stochastic principal flow, SPF: the principal flow's drift with SME-1's diffusion (arXiv 2302.01952, 2405.18373).

b = U·[log(1−ηΛ)/(ηΛ)]·Uᵀg, Q = ηΣ. Weak order 2 for Gaussian noise. Real logarithm: ηλ < 1.
"""

from __future__ import annotations

from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.noise import Noise
from sgdsde.sde import ModifiedEquation
from sgdsde.sdes.log_domain import RealLogarithm
from sgdsde.sdes.matrix_functions import Dense, MatrixFunctions


class SPF(ModifiedEquation):
    """b = L, Q = ηΣ. ``log``: ``stop``, ``raise``, ``clip``; ``functions``: ``Dense()``, ``Krylov(steps)`` or ``Spectral(k)``, as in :class:`HASMEProduct`.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0]), 1.0)
        >>> sde, theta = sg.sdes.SPF(noise, 0.25), torch.tensor([[1.0]], dtype=torch.float64)
        >>> round(sde.drift(0.0, theta).item() / math.log(0.5), 9), sde.diffusion(0.0, theta).item()  # θ·log(1−ηλ)/η, ησ²
        (4.0, 0.25)
    """

    hessian_in_diffusion = False

    def __init__(self, noise: Noise, eta: float, *, log: str = "stop", functions: MatrixFunctions | None = None) -> None:
        super().__init__(noise, eta)
        self.functions = functions or Dense()
        self._functions = self.functions.bind(self.objective, self.eta, RealLogarithm(log))

    @property
    def width(self) -> int:
        return max(super().width, self._functions.width(self.dim))

    def begin(self) -> None:
        self._functions.begin()

    def check(self, x: Tensor) -> None:
        self._functions.check(x)

    def drift(self, t: float, x: Tensor) -> Tensor:
        return self._functions.flow(x, grad(self.objective, x))

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return self.noise.root(x, dw) * self.eta**0.5

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        return self.noise.covariance(x) * self.eta
