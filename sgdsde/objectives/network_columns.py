"""Steps of SGD on replicas of a tiny chain of layers, replicas last: a_ob = Σᵢ W_oi x_ib + b_o is one element-wise operation over all replicas for each i.

A matrix product of so few terms takes longer to call than to make, however many of them are batched. Parameters are ``[outputs, inputs, P]`` here, samples
``[inputs, B, P]``, and an operation runs over whole columns of replicas. Mathematics and arguments are those of :mod:`sgdsde.objectives.network_descent`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde.objectives.network_layers import Chain
from sgdsde.objectives.network_losses import OutputLoss
from sgdsde.objectives.resident import Resident

#: parameters times samples of a batch beyond which matrix products are faster
_MOST = 1024
#: replicas below which an operation takes longer to call than to make
_FEWEST = 128


def suits_columns(chain: Chain, theta: Tensor, batch: int) -> bool:
    """Whether an ensemble of such nets is faster in columns."""
    return theta.device.type == "cpu" and theta.shape[0] >= _FEWEST and theta.shape[1] * batch <= _MOST


def walk(chain: Chain, loss: OutputLoss, data: tuple[Resident, Resident], theta: Tensor, batches: Tensor, *, eta: float, decay: float, out: Tensor) -> None:
    """All steps of a piece of the ensemble, into ``out``."""
    weights = [theta[:, layer.weights].T.contiguous().unflatten(0, (layer.outputs, layer.inputs)) for layer in chain.layers]  # [outputs, inputs, paths]
    biases = [theta[:, layer.biases].T.contiguous() if layer.bias else None for layer in chain.layers]  # [outputs, paths]
    size = batches.shape[2]
    for batch in batches:
        columns = batch.T.contiguous()  # [batch, paths]
        x, y = (part.rows(theta, columns) for part in data)
        h = x.flatten(2).permute(2, 0, 1).contiguous()  # [inputs, batch, paths]
        _step(chain, loss, weights, biases, h, y, rate=-eta / size, kept=1 - eta * decay)
    for layer, W, b in zip(chain.layers, weights, biases, strict=True):
        out[:, layer.weights] = W.flatten(0, 1).T
        if b is not None:
            out[:, layer.biases] = b.T


def _step(chain: Chain, loss: OutputLoss, weights: list[Tensor], biases: list[Tensor | None], h: Tensor, y: Tensor, *, rate: float, kept: float) -> None:
    """W ← kept·W + rate·Σ_b δ_b h_bᵀ and the same for the biases, in place; ``h`` ``[inputs, B, P]``, ``y`` ``[B, P, …]``."""
    below, inner, after = [], [], []
    for layer, W, b in zip(chain.layers, weights, biases, strict=True):
        below.append(h)
        a = W[:, 0, None] * h[0] if b is None else torch.addcmul(b[:, None], W[:, 0, None], h[0])  # [outputs, batch, paths]
        for i in range(1, layer.inputs):
            a.addcmul_(W[:, i, None], h[i])
        h = a if layer.activation is None else layer.activation.value(a)
        inner.append(a)
        after.append(h)
    flat = loss.residual(h.flatten(1)[None], y.flatten(0, 1)[None])[0]  # losses of samples do not interact: all replicas' are one long batch
    delta = flat.unflatten(1, h.shape[1:])
    for level in range(len(weights) - 1, -1, -1):
        layer, W, b = chain.layers[level], weights[level], biases[level]
        if layer.activation is not None:
            delta = delta * layer.activation.slope(inner[level], after[level])
        lower: Tensor | None = None
        if level:
            lower = W[0, :, None] * delta[0]  # [inputs, batch, paths]
            for o in range(1, layer.outputs):
                lower.addcmul_(W[o, :, None], delta[o])
        change = delta * rate
        if kept != 1:
            W *= kept
        for j in range(change.shape[1]):
            W.addcmul_(change[:, j, None], below[level][:, j])
        if b is not None:
            if kept != 1:
                b *= kept
            b += change.sum(1)
        if lower is not None:
            delta = lower
