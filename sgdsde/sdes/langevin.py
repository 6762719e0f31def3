"""Overdamped Langevin dynamics: dX = −∇f dt + √(2T) dW. Its stationary law is e^{−f/T}; the setting of Kramers' and Eyring–Kramers' laws.

With a temperature it is that equation. Without one it is SGD's isotropic counterpart: 2T(θ) = η·tr Σ(θ)/dim, noise of the same trace and no shape (the
control of Zhu et al., arXiv 1803.00195); for isotropic Σ = σ²I that is SME-1 at 2T = ησ².
"""

from __future__ import annotations

from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.noise import Noise
from sgdsde.objective import identity_rows
from sgdsde.sde import ModifiedEquation
from sgdsde.types import positive


class Langevin(ModifiedEquation):
    """b = −g, Q = 2T·I; ``noise_dim`` = dim.

    Args:
        noise, eta: the SGD that it is compared with; η is the tick on which it is watched.
        temperature: T > 0; None: T(θ) = η·tr Σ(θ)/(2·dim).

    Raises:
        InputError: temperature ≤ 0 or not finite.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0]), 1.0)
        >>> round(sg.oracles.stationary_covariance(sg.sdes.Langevin(noise, 0.1, temperature=0.5)).item(), 9)  # T/λ
        0.25
    """

    def __init__(self, noise: Noise, eta: float, *, temperature: float | None = None) -> None:
        super().__init__(noise, eta)
        self.noise_dim = self.dim
        self.temperature = None if temperature is None else positive(temperature, "temperature")

    @property
    def constant(self) -> bool:
        return self.objective.facts.constant_hessian and self.additive

    @property
    def additive(self) -> bool:  # type: ignore[override]
        return self.temperature is not None or self.noise.constant_covariance

    def drift(self, t: float, x: Tensor) -> Tensor:
        return -grad(self.objective, x)

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return dw * self._twice_temperature(x).sqrt()[:, None]

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        return self._twice_temperature(x)[:, None, None] * identity_rows(x)

    def _twice_temperature(self, x: Tensor) -> Tensor:
        if self.temperature is not None:
            return x.new_full((x.shape[0],), 2 * self.temperature)
        return self.eta * self.noise.covariance(x).diagonal(dim1=1, dim2=2).mean(1)
