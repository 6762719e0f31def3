"""The rescaling test: the same function at other parameters, and which measures of sharpness change.

For a positively homogeneous σ (ReLU, leaky ReLU), σ(αa) = ασ(a), multiplying a layer's weights and bias by α > 0 and the next layer's weights by 1/α changes no
output. With θ′ = Dθ the Hessian becomes D⁻¹HD⁻¹: λmax and the isotropic distance |θ−θ₀|² change, while ΣHⱼⱼ(θⱼ−θ₀ⱼ)² does not if θ₀ is rescaled too
(Dinh et al. 1703.04933; Li et al. 1907.10732, their scale-invariant bound).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.curvature.eigen import eigsh
from sgdsde.curvature.hessian import hessian_operator
from sgdsde.curvature.layers import layer_blocks
from sgdsde.curvature.traces import exact_diagonal
from sgdsde.objectives.network import Network
from sgdsde.types import InputError, as_points, real, suggest


@dataclass(frozen=True)
class Rescaled:
    """What one α makes of the measures.

    ``largest`` = λmax(H); ``distance`` = |θ−θ₀|² (isotropic KL = distance/2σ²); ``weighted`` = ΣHⱼⱼ(θⱼ−θ₀ⱼ)²; ``loss`` = f(θ); ``theta``, ``start``: points.

    Example:
        >>> x, y = torch.randn(8, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), torch.zeros(8, 1, dtype=torch.float64)
        >>> module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1)).double()
        >>> network = sg.objectives.Network(module, "mse", x, y)
        >>> one, ten = sg.curvature.rescaling_test(network, network.flatten(), 0 * network.flatten(), first="0", second="2", alphas=(1.0, 10.0))
        >>> abs(one.loss - ten.loss) < 1e-9, ten.largest > one.largest  # the same function, another sharpness
        (True, True)
    """

    alpha: float
    largest: float
    distance: float
    weighted: float
    loss: float
    theta: Float[Tensor, " dim"]
    start: Float[Tensor, " dim"]


def layer_scaling(network: Network, first: str, second: str, alpha: float) -> Float[Tensor, " dim"]:
    """The diagonal of D: α on ``first.weight`` and ``first.bias``, 1/α on ``second.weight``, 1 elsewhere.

    Raises:
        InputError: α ≤ 0, or a layer without trainable weights.

    Example:
        >>> x = torch.ones(2, 1)
        >>> module = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU(), torch.nn.Linear(1, 1))
        >>> network = sg.objectives.Network(module, "mse", x, x)
        >>> sg.curvature.layer_scaling(network, "0", "2", 4.0).tolist()
        [4.0, 4.0, 0.25, 1.0]
    """
    if not real(alpha, "alpha") > 0:
        raise InputError(f"alpha = {alpha!r}; wanted a positive factor (a negative one would flip the sides of the activation).")
    blocks = layer_blocks(network)
    scale = torch.ones(network.dim, dtype=torch.float64)
    for layer in (first, second):
        if f"{layer}.weight" not in blocks:
            known = sorted({name.rsplit(".", 1)[0] for name in blocks if name.endswith(".weight")})
            raise InputError(f"{layer!r} is no layer with trainable weights of this network." + suggest(layer, known))
    scale[blocks[f"{first}.weight"]] *= alpha
    if f"{first}.bias" in blocks:
        scale[blocks[f"{first}.bias"]] *= alpha
    scale[blocks[f"{second}.weight"]] /= alpha
    return scale


def rescaling_test(
    network: Network,
    theta: Float[Tensor, " dim"],
    start: Float[Tensor, " dim"],
    *,
    first: str,
    second: str,
    alphas: Sequence[float] = (1.0, 3.0, 10.0),
) -> list[Rescaled]:
    """The measures at Dθ and Dθ₀ for each α; ``first`` and ``second`` are consecutive layers by name, ``start`` is θ₀.

    Raises:
        InputError: the outputs change under the rescaling (the activation between the two is not positively homogeneous, or they do not follow
            each other), or the input does not fit.

    Example:
        >>> x, y = torch.randn(8, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), torch.zeros(8, 1, dtype=torch.float64)
        >>> module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1)).double()
        >>> network = sg.objectives.Network(module, "mse", x, y)
        >>> found = sg.curvature.rescaling_test(network, network.flatten(), 0 * network.flatten(), first="0", second="2")
        >>> [rescaled.alpha for rescaled in found]
        [1.0, 3.0, 10.0]
    """
    point, origin = (as_points(part, network.dim, name=name) for part, name in ((theta, "theta"), (start, "start")))
    with torch.no_grad():
        answers = network.outputs(point[:1])
    rows = []
    for alpha in alphas:
        scale = layer_scaling(network, first, second, alpha).to(point)
        moved, begun = (scale * point[0]), (scale * origin[0])
        with torch.no_grad():
            change = float((network.outputs(moved[None]) - answers).abs().max() / answers.abs().max())
        if change > 1e3 * torch.finfo(point.dtype).eps * max(alpha, 1 / alpha):
            raise InputError(
                f"Scaling {first!r} by {alpha:g} and {second!r} by 1/{alpha:g} changes the outputs by {change:.1g} of their size. Wanted two consecutive "
                "layers with a positively homogeneous activation (ReLU, leaky ReLU) between them; a smooth one has no such symmetry."
            )
        H = hessian_operator(network, moved)
        squares = (moved - begun) ** 2
        with torch.no_grad():
            loss = float(network.loss(moved[None]))
        rows.append(Rescaled(alpha, float(eigsh(H, 1).values[0]), float(squares.sum()), float((exact_diagonal(H) * squares).sum()), loss, moved, begun))
    return rows
