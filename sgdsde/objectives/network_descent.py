"""Steps of plain SGD on many replicas of a chain of linear layers: W_l ← (1 − ηλ)W_l − (η/B)·δ_l h_{l−1}ᵀ, one product that adds to W_l as it is made.

No gradient is ever written: a step through the gradient writes one number for each parameter and reads it again, which costs more than small batches' products
do. δ_{l−1} is taken from W_l before W_l moves. Each layer's parameters of all replicas lie together while the steps last. Batches of up to ``FEW`` samples
go samples before features, h ← σ(hWᵀ + b), as rows come out of the data; larger ones features before samples, as in
:mod:`sgdsde.objectives.network_batched`. Tiny nets go another way, :mod:`sgdsde.objectives.network_columns`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sgdsde.objectives.memory import replicas_in_a_piece
from sgdsde.objectives.network_columns import suits_columns
from sgdsde.objectives.network_columns import walk as walk_in_columns
from sgdsde.objectives.network_layers import Chain
from sgdsde.objectives.network_losses import OutputLoss
from sgdsde.objectives.resident import Resident

#: batches of at most so many samples go samples before features
FEW = 8


def descend(
    chain: Chain,
    loss: OutputLoss,
    data: tuple[Resident, Resident],
    theta: Float[Tensor, "paths dim"],
    batches: Int[Tensor, "steps paths batch"],
    *,
    eta: float,
    decay: float = 0.0,
) -> Float[Tensor, "paths dim"]:
    """θ after a step θ ← (1 − ηλ)θ − η∇(1/B)Σ_{i∈batch}ℓᵢ on each of the ``batches``, λ the ``decay``; ``theta`` stays as it is.

    k steps at once and one by one are the same to the last bit.
    """
    paths, size = theta.shape[0], batches.shape[2]
    walk: Callable[..., None] = walk_in_columns if suits_columns(chain, theta, size) else _walk
    piece = _even(paths, replicas_in_a_piece(max(2 * chain.units * size, theta.shape[1]), theta.device))
    result = torch.empty_like(theta, memory_format=torch.contiguous_format)
    for first in range(0, paths, piece):
        part = slice(first, min(first + piece, paths))
        walk(chain, loss, data, theta[part], batches[:, part], eta=eta, decay=decay, out=result[part])
    return result


def _even(paths: int, most: int) -> int:
    """Replicas a piece, at most ``most``, so that pieces are of about one size."""
    return -(-paths // max(1, -(-paths // most)))


def _walk(chain: Chain, loss: OutputLoss, data: tuple[Resident, Resident], theta: Tensor, batches: Tensor, *, eta: float, decay: float, out: Tensor) -> None:
    """All steps of a piece of the ensemble, into ``out``."""
    weights = [theta[:, layer.weights].unflatten(1, (layer.outputs, layer.inputs)).contiguous() for layer in chain.layers]
    biases = [theta[:, layer.biases, None].contiguous() if layer.bias else None for layer in chain.layers]  # [paths, outputs, 1]
    rows = batches.shape[2] <= FEW
    for batch in batches:
        x, y = (part.rows(theta, batch) for part in data)
        h = (x.flatten(2) if chain.flattens else x).transpose(1, 2)  # [paths, inputs, batch], in memory samples before features
        _step(chain, loss, weights, biases, h, y, rows=rows, rate=-eta / batches.shape[2], kept=1 - eta * decay)
    for layer, W, b in zip(chain.layers, weights, biases, strict=True):
        out[:, layer.weights] = W.flatten(1)
        if b is not None:
            out[:, layer.biases] = b[:, :, 0]


def _step(
    chain: Chain, loss: OutputLoss, weights: list[Tensor], biases: list[Tensor | None], h: Tensor, y: Tensor, *, rows: bool, rate: float, kept: float
) -> None:
    """W ← kept·W + rate·δhᵀ and the same for b, in place; ``h`` ``[P, inputs, B]``."""
    below, inner, after = [], [], []
    for layer, W, b in zip(chain.layers, weights, biases, strict=True):
        below.append(h)
        a = _product(W, h, rows)
        if b is not None:
            a += b
        h = a if layer.activation is None else layer.activation.value(a)
        inner.append(a)
        after.append(h)
    delta = _residual(loss, h, y, rows)
    for i in range(len(weights) - 1, -1, -1):
        layer, W, b = chain.layers[i], weights[i], biases[i]
        if layer.activation is not None:
            delta = delta * layer.activation.slope(inner[i], after[i])
        lower = _product(W.transpose(1, 2), delta, rows) if i else None
        W.baddbmm_(delta, below[i].transpose(1, 2), beta=kept, alpha=rate)
        if b is not None:
            if kept != 1:
                b *= kept
            b.add_(delta.sum(2, keepdim=True), alpha=rate)
        if lower is not None:
            delta = lower


def _product(W: Tensor, h: Tensor, rows: bool) -> Tensor:
    """Wh for W ``[P, m, i]`` and h ``[P, i, B]``, in memory samples before features where ``rows``."""
    return torch.bmm(h.transpose(1, 2), W.transpose(1, 2)).transpose(1, 2) if rows else torch.bmm(W, h)


def _residual(loss: OutputLoss, z: Tensor, y: Tensor, rows: bool) -> Tensor:
    """∂ℓ/∂z ``[P, outputs, B]`` in memory as the products want it. Samples' losses do not interact, so small batches of all replicas go as one long batch:
    a softmax is several times faster over columns of some length.
    """
    if not rows:
        return loss.residual(z, y)
    flat = loss.residual(z.transpose(0, 1).flatten(1)[None], y.flatten(0, 1)[None])[0]  # [outputs, paths * batch]
    return flat.unflatten(1, (z.shape[0], z.shape[2])).permute(1, 2, 0).contiguous().transpose(1, 2)
