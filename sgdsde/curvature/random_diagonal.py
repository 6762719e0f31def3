"""diag G from random signs at the outputs: positive, and one backward pass a draw whatever the number of parameters.

G = (1/n)ΣJᵢᵀAᵢJᵢ with Aᵢ = ∂²ℓᵢ/∂z² = LᵢLᵢᵀ where the loss is convex in the outputs. With signs ε independent over samples and outputs,
u = (1/√n)ΣJᵢᵀLᵢεᵢ has E uuᵀ = G, so the mean of u² is unbiased for diag G; its relative variance is at most 2 a draw. Random signs in parameter space
(Bekas, Kokiopoulou, Saad 2007: :func:`~sgdsde.curvature.diagonal`) give estimates that may be negative, with the error of the largest rows everywhere.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev, vmap

from sgdsde.curvature.sample_operator import pull
from sgdsde.curvature.traces import signs
from sgdsde.given import is_whole
from sgdsde.objectives.network import Network
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate, InputError, as_points, expected

#: numbers in the graph of the samples that are held at once; draws that go back through it together
_PIECE, _TOGETHER = 2**22, 32


def gauss_newton_diagonal(network: Network, theta: Float[Tensor, " dim"], *, vectors: int = 64, seed: int = 0) -> Estimate:
    """diag G ``[dim]`` of a network as the mean over ``vectors`` draws, each entry with its standard error.

    Raises:
        InputError: fewer than 2 vectors, outputs that are no ``[n, outputs]``, or a loss that is not convex in the outputs.

    Example:
        >>> x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
        >>> network = sg.objectives.Network(torch.nn.Linear(1, 1, bias=False).double(), "mse", x, 0 * x)
        >>> found = sg.curvature.gauss_newton_diagonal(network, network.flatten(), vectors=256)
        >>> bool(abs(found.value[0] - 10) < 4 * found.stderr[0])  # 2·(1² + 3²)/2
        True
    """
    expected(network, Network, "network", "made by sg.objectives.Network(module, loss, inputs, targets)")
    if not is_whole(vectors, 2):
        raise InputError(f"vectors = {vectors}; wanted at least 2, for an error bar.")
    point = as_points(theta, network.dim)[:1]
    rows = torch.zeros(vectors, network.dim, dtype=point.dtype, device=point.device)
    x, y = network.inputs.at(point), network.targets.at(point)
    for number, (some, wanted) in enumerate(zip(x.split(_size(network, x)), y.split(_size(network, x)), strict=True)):
        with torch.enable_grad():
            place = point.detach().clone().requires_grad_(True)
            outputs = network.outputs(place, some)[0]  # [some, outputs]
            if outputs.ndim != 2:
                raise InputError(f"The outputs have shape {tuple(outputs.shape)}; wanted [n, outputs].")
            root = _root(network, outputs.detach(), wanted)  # [some, outputs, outputs]
            epsilon = signs(outputs.numel(), vectors, seed, f"signs at the outputs {number}").T.reshape(vectors, *outputs.shape).to(root)
            pushed = torch.einsum("noc,knc->kno", root, epsilon) / network.n**0.5  # [vectors, some, outputs]
            for few, out in zip(pushed.split(_TOGETHER), rows.split(_TOGETHER), strict=True):
                out += pull(outputs, place, few)[:, 0]
    return mean_estimate((rows**2).cpu())


def _root(network: Network, outputs: Tensor, targets: Tensor) -> Tensor:
    """L with LLᵀ = ∂²ℓ/∂z² for each sample."""

    def loss(o: Tensor, y: Tensor) -> Tensor:
        return network.loss_function(o[None], y[None])[0]

    values, vectors = torch.linalg.eigh(vmap(jacrev(jacrev(loss)))(outputs, targets))
    lowest, rounding = float(values.min()), 1e3 * torch.finfo(values.dtype).eps * float(values.abs().max())
    if lowest < -rounding:
        raise InputError(f"The loss is not convex in the outputs (curvature {lowest:.2g}): G has no such root. Use exact_diagonal.")
    return vectors * values.clamp(min=0).sqrt()[:, None, :]


def _size(network: Network, x: Tensor) -> int:
    """Samples whose graph is held at once."""
    return max(1, _PIECE // max(x[0].numel(), int(network.dim**0.5)))
