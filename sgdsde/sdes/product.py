"""What the models in product form share: drift ℓ(ηH)g + …, Q = η·SΣS with S = φ(M²)^½, M = I − ηH.

D dw = √η·S·R dw with R the noise's root: positive whatever the rank of Σ, and only products with functions of H are needed, so this is the form that scales.
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.noise import Noise
from sgdsde.sde import ModifiedEquation
from sgdsde.sdes.log_domain import RealLogarithm
from sgdsde.sdes.matrix_functions import MatrixFunctions
from sgdsde.types import InputError


class ProductEquation(ModifiedEquation):
    """A model with D = √η·S·R; ``noise_dim`` is the noise's.

    Args:
        log: policy where ηλ ≥ 1: ``stop``, ``raise``, ``clip`` (see :mod:`sgdsde.sdes.log_domain`).
        functions: how functions of H are applied, ``Dense()``, ``Krylov(steps)`` or ``Spectral(k)``.

    Raises:
        InputError: ``functions`` is none of these.
        DomainError: on construction if the Hessian is constant with ηλ ≥ 1 and the policy is not ``clip``.
    """

    def __init__(self, noise: Noise, eta: float, *, log: str, functions: MatrixFunctions) -> None:
        super().__init__(noise, eta)
        if not isinstance(functions, MatrixFunctions):
            raise InputError(f"functions is {functions!r:.200}; wanted sg.sdes.Dense(), sg.sdes.Krylov(steps) or sg.sdes.Spectral(k).")
        self.functions = functions
        self._functions = functions.bind(self.objective, self.eta, RealLogarithm(log))

    @abstractmethod
    def completed(self, flow: Tensor, theta: Tensor, g: Tensor) -> Tensor:
        """The drift, from the flow's part of it."""

    @abstractmethod
    def noise_point(self, theta: Tensor, g: Tensor | None = None) -> Tensor:
        """Where R and Σ are taken; g is handed over where it is known."""

    @property
    def width(self) -> int:
        return max(super().width, self._functions.width(self.dim))

    def begin(self) -> None:
        self._functions.begin()

    def check(self, x: Tensor) -> None:
        self._functions.check(x)

    def drift(self, t: float, x: Tensor) -> Tensor:
        g = grad(self.objective, x)
        return self.completed(self._functions.flow(x, g), x, g)

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return self._functions.amplify(x, self.noise.root(self.noise_point(x), dw)) * self.eta**0.5

    def terms(self, t: float, x: Tensor, dw: Tensor) -> tuple[Tensor, Tensor]:
        g = grad(self.objective, x)
        flow, spread = self._functions.both(x, g, self.noise.root(self.noise_point(x, g), dw))
        return self.completed(flow, x, g), spread * self.eta**0.5

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        return self._functions.congruence(x, self.noise.covariance(self.noise_point(x))) * self.eta
