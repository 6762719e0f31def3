"""The identity of piecewise-linear networks: every layer block of H equals that of G, so tr H = tr G — and tr G can be had sharply.

With ReLU, leaky ReLU or max-pooling the outputs are linear in each single parameter tensor near θ, so ∂²z/∂w² = 0 within a tensor and the blocks of
H − G = (1/n)Σ(∂ℓ/∂z)∂²z vanish there. It is false for smooth activations, for tied tensors (used twice, they enter quadratically) and inside
LayerNorm. It is therefore tried at θ, tensor by tensor with a random vector v: (H − G)v restricted to the tensor must vanish; what fails is named.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.curvature.hessian import hessian_operator
from sgdsde.curvature.layers import layer_operators
from sgdsde.curvature.sandwich import GaussNewtonOperator, gauss_newton_operator
from sgdsde.curvature.traces import hutch_plus_plus
from sgdsde.objectives.network import Network
from sgdsde.rng import stream
from sgdsde.types import Estimate, InputError


def require_piecewise_linear(network: Network, theta: Float[Tensor, " dim"]) -> GaussNewtonOperator:
    """The Gauss–Newton operator at θ, after the identity has been found to hold there.

    Raises:
        InputError: a layer block of H differs from that of G; the message names the tensor, and the modules that could be the cause.

    Example:
        >>> x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
        >>> network = sg.objectives.Network(torch.nn.Linear(1, 1, bias=False).double(), "mse", x, 0 * x)
        >>> sg.curvature.require_piecewise_linear(network, network.flatten()).dim
        1
    """
    G = gauss_newton_operator(network, theta)
    H = hessian_operator(network, theta)
    generator = stream(0, "piecewise linear")
    of_H, of_G = layer_operators(H, network), layer_operators(G, network)
    for name, block in of_G.items():
        v = torch.randn(block.dim, generator=generator, dtype=torch.float64).to(block.device, block.dtype)
        curved, linear = of_H[name] @ v, block @ v
        size = max(float(linear.norm()), float(v.norm()) * 1e-30)
        if float((curved - linear).norm()) > 1e4 * torch.finfo(v.dtype).eps * size:
            kinds = sorted({type(part).__name__ for part in network.module.modules() if not list(part.children())})
            raise InputError(
                f"The block of {name!r} in H differs from that in G by {float((curved - linear).norm()) / size:.1g} of its size: the outputs are not piecewise "
                f"linear in it (smooth activation, tied tensor or normalisation; the module has {', '.join(kinds)}). Use trace(hessian_operator(…)) instead."
            )
    return G


def piecewise_linear_trace(network: Network, theta: Float[Tensor, " dim"], *, products: int = 96, seed: int = 0) -> Estimate:
    """tr H = tr G by Hutch++ on G, whose spectrum decays and is not negative; for piecewise-linear networks only.

    Raises:
        InputError: as :func:`require_piecewise_linear`.

    Example:
        >>> x = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
        >>> network = sg.objectives.Network(torch.nn.Linear(1, 1, bias=False).double(), "mse", x, 0 * x)
        >>> H = sg.curvature.exact_diagonal(sg.curvature.hessian_operator(network, network.flatten())).sum().item()
        >>> round(sg.curvature.piecewise_linear_trace(network, network.flatten()).value / H, 9)
        1.0
    """
    return hutch_plus_plus(require_piecewise_linear(network, theta), products=products, seed=seed)
