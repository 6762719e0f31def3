"""Third-order HA-SME in product form (this project's own): positive for every Σ, and it scales.

b = L − (η²/12)∇³f[g,g] + (η²/4)(Σ:∂∂)g, D dw = √η·S·R(θ + (η/2)g)dw with S = φ(M²)^½. Weak order 3 for noise without third cumulant. Real logarithm: ηλ < 1.
The term (Σ:∂∂)g costs min(dim, root_dim) third derivatives a point (:func:`sgdsde.sdes.third_order.noise_curvature`).
"""

from __future__ import annotations

from torch import Tensor

from sgdsde.noise import Noise
from sgdsde.sdes.matrix_functions import Dense, MatrixFunctions
from sgdsde.sdes.product import ProductEquation
from sgdsde.sdes.third_order import shifted, third_order_drift


class HASME3Product(ProductEquation):
    """b = L − (η²/12)∇³f[g,g] + (η²/4)(Σ:∂∂)g, Q = η·SΣ(θ+(η/2)g)S. ``log`` and ``functions`` as in :class:`HASMEProduct`.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0]), 1.0)
        >>> theta = torch.tensor([[1.0]], dtype=torch.float64)
        >>> models = [model(noise, 0.25) for model in (sg.sdes.HASME3Product, sg.sdes.HASME)]
        >>> [round(model.drift(0.0, theta).item(), 6) for model in models]  # nothing to add on a quadratic
        [-2.772589, -2.772589]
    """

    def __init__(self, noise: Noise, eta: float, *, log: str = "stop", functions: MatrixFunctions | None = None) -> None:
        super().__init__(noise, eta, log=log, functions=Dense() if functions is None else functions)

    def completed(self, flow: Tensor, theta: Tensor, g: Tensor) -> Tensor:
        return flow + third_order_drift(self.noise, theta, g, self.eta)

    def noise_point(self, theta: Tensor, g: Tensor | None = None) -> Tensor:
        return shifted(self.objective, theta, self.eta, g)
