"""The weighted gradient of replicas that see different samples, samples before features: h_l = σ(h_{l−1}W_lᵀ + b_l), ∇W_l = δ_lᵀh_{l−1}, δ_{l−1} = σ′·δ_lW_l.

The same passes as in :mod:`sgdsde.objectives.network_batched`. There features stand before samples, which suits samples that all replicas share. A batch of
each replica's own comes out of the data sample by sample; where it is small and its samples are wide, products with its transpose are slower than with itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde.objectives.network_layers import Chain
from sgdsde.objectives.network_losses import OutputLoss

#: sums of at most this many terms are added up one by one
_NARROW = 2


def weighted_grad_by_rows(chain: Chain, loss: OutputLoss, theta: Tensor, x: Tensor, y: Tensor, *, weights: Tensor | None, out: Tensor) -> None:
    """∇Σᵢwᵢℓᵢ of samples ``x [P, B, inputs]``, ``y [P, B, …]`` into ``out [P, dim]``; weights None: the mean."""
    h, below, slopes = x, [], []
    for layer in chain.layers:
        below.append(h)
        W = theta[:, layer.weights].unflatten(1, (layer.outputs, layer.inputs)).transpose(1, 2)  # [paths, inputs, outputs]
        a = _product(h, W)
        if layer.bias:
            a += theta[:, None, layer.biases]
        h = a if layer.activation is None else layer.activation.value(a)
        slopes.append(None if layer.activation is None else layer.activation.slope(a, h))
    delta = loss.residual(h.transpose(1, 2).contiguous(), y).transpose(1, 2).contiguous()  # [paths, batch, outputs]
    delta = delta / x.shape[1] if weights is None else delta * weights[:, :, None]
    for layer, h, slope in zip(reversed(chain.layers), reversed(below), reversed(slopes), strict=True):
        if slope is not None:
            delta *= slope
        out[:, layer.weights] = (delta.transpose(1, 2) @ h).flatten(1)
        if layer.bias:
            torch.sum(delta, 1, out=out[:, layer.biases])
        if layer.first:
            delta = _product(delta, theta[:, layer.weights].unflatten(1, (layer.outputs, layer.inputs)))


def _product(h: Tensor, W: Tensor) -> Tensor:
    """h ``[P, B, i]`` times W ``[P, i, m]``."""
    if W.shape[1] > _NARROW or h.device.type != "cpu":
        return h @ W
    total = h[:, :, :1] * W[:, :1]  # batched products of so few terms take a slow path
    for i in range(1, W.shape[1]):
        total = torch.addcmul(total, h[:, :, i : i + 1], W[:, i : i + 1])
    return total
