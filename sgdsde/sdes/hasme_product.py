"""HA-SME in product form: HA-SME's drift, and Q = η·SΣS with S = φ(M²)^½, M = I − ηH (this project's own).

Weak order 2; the exact variance in every eigendirection on quadratics with constant Σ; equal to HA-SME where Σ commutes with H. Positive by
construction whatever the rank of Σ, and D dw = √η·S·R dw needs only products with S: this is the form that scales. Derivation: the diagonal of
HA-SME's Hadamard product is (UᵀΣU)ᵢᵢφ(mᵢ²) = sᵢ²(UᵀΣU)ᵢᵢ, which SΣS keeps; off the diagonal it puts the geometric mean of φ(mᵢ²), φ(mⱼ²) for φ(mᵢmⱼ),
a relative change of O(η²(λᵢ−λⱼ)²).
"""

from __future__ import annotations

from torch import Tensor

from sgdsde.noise import Noise
from sgdsde.sdes.matrix_functions import Dense, MatrixFunctions
from sgdsde.sdes.product import ProductEquation


class HASMEProduct(ProductEquation):
    """b = L, Q = η·SΣS with S = φ(M²)^½. ``log``: ``stop``, ``raise``, ``clip``; ``functions``: ``Dense()``, ``Krylov(steps)`` or ``Spectral(k)``.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0, 1.0]), [[1.0, 0.9], [0.9, 1.0]])
        >>> model, sgd = (sg.oracles.stationary_covariance(*of).diagonal() for of in ((sg.sdes.HASMEProduct(noise, 0.25),), (noise, 0.25)))
        >>> bool(torch.allclose(model, sgd))  # the variance in every eigendirection
        True
    """

    def __init__(self, noise: Noise, eta: float, *, log: str = "stop", functions: MatrixFunctions | None = None) -> None:
        super().__init__(noise, eta, log=log, functions=Dense() if functions is None else functions)

    def completed(self, flow: Tensor, theta: Tensor, g: Tensor) -> Tensor:
        return flow

    def noise_point(self, theta: Tensor, g: Tensor | None = None) -> Tensor:
        return theta
