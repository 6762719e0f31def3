"""Many replicas of one chain of linear layers, differentiated by hand: batched matrix products over replicas, features before samples.

Forward h_l = σ(a_l), a_l = W_l h_{l−1} + b_l. Backward δ_L = w·∂ℓ/∂z, δ_{l−1} = σ′(a_{l−1})·W_lᵀδ_l, ∇W_l = δ_l h_{l−1}ᵀ, ∇b_l = δ_l 1. The product with the
Hessian is the directional derivative of both passes (Pearlmutter 1994): with ȧ_l = V_l h_{l−1} + W_l ḣ_{l−1} + v_l, ḣ = σ′ȧ,
δ̇_L = (∂²ℓ/∂z²)ȧ_L, δ̇_{l−1} = σ″ȧ·W_lᵀδ_l + σ′·(V_lᵀδ_l + W_lᵀδ̇_l), and HV = δ̇ h ᵀ + δ ḣᵀ; k directions of every replica go through together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sgdsde.objectives.memory import replicas_in_a_piece, require
from sgdsde.objectives.network_descent import descend
from sgdsde.objectives.network_layers import Chain, Layer
from sgdsde.objectives.network_losses import Curve, OutputLoss
from sgdsde.objectives.network_rows import weighted_grad_by_rows
from sgdsde.objectives.network_third import ThirdDerivatives
from sgdsde.objectives.resident import Resident

#: linearisations that are kept hold at most this many numbers; beyond, they are made anew for each product
KEPT_NUMBERS = {"cpu": 2**26, "cuda": 2**30}
#: below this many numbers in a product over one sample, batched matrix products are faster than element-wise ones
_SMALL = 64
#: batches of at most so many samples, in nets with a layer at least so wide, go samples before features
_FEW, _WIDE = 8, 64
#: sums of at most this many terms are added up one by one
_NARROW = 2


@dataclass(frozen=True)
class _Samples:
    """x ``[P or 1, inputs, B]`` and y ``[P or 1, B, …]``."""

    x: Tensor
    y: Tensor

    def of(self, replicas: slice) -> _Samples:
        return self if self.x.shape[0] == 1 else _Samples(self.x[replicas], self.y[replicas])


class Batched:
    """Losses, gradients, per-sample gradients and Hessian products of ``chain`` on data, at points θ ``[P, dim]``."""

    def __init__(self, chain: Chain, loss: OutputLoss, inputs: Resident, targets: Resident) -> None:
        self.chain, self.loss, self.inputs, self.targets = chain, loss, inputs, targets
        self.dim = chain.layers[-1].biases.stop

    def outputs(self, theta: Tensor, x: Tensor) -> Tensor:
        """z ``[P, B, outputs]`` on inputs ``[B, …]``; differentiable."""
        return self._forward(theta, self._features(x[None])).transpose(1, 2)

    def sample_loss(self, theta: Tensor, batch: Tensor | None) -> Tensor:
        """ℓᵢ ``[P, B]``; differentiable."""
        samples = self._samples(theta, batch)
        return self.loss.value(self._forward(theta, samples.x), samples.y)

    def weighted_grad(self, theta: Tensor, weights: Tensor | None, batch: Tensor | None, targets: Tensor | None = None) -> Tensor:
        """∇Σᵢwᵢℓᵢ ``[P, dim]``; weights None: the mean; ``targets`` ``[P, B, …]`` in the place of the samples' own."""
        samples = self._samples(theta, batch)
        if targets is not None:
            samples = _Samples(samples.x.expand(theta.shape[0], -1, -1), targets)
        result = torch.empty_like(theta, memory_format=torch.contiguous_format)
        for part in self._pieces(theta, samples):
            point, some = theta[part], samples.of(part)
            if self._by_rows(some.x):
                chosen = None if weights is None else weights[part]
                weighted_grad_by_rows(self.chain, self.loss, point, some.x.transpose(1, 2), some.y, weights=chosen, out=result[part])
                continue
            below, slopes, z = self._record(point, some.x)
            delta = self.loss.residual(z, some.y)
            delta = delta / z.shape[2] if weights is None else delta * weights[part, None, :]
            for layer, h, slope in zip(reversed(self.chain.layers), reversed(below), reversed(slopes), strict=True):
                if slope is not None:
                    delta *= slope
                result[part, layer.weights] = _outer(delta, h).flatten(1)
                if layer.bias:
                    torch.sum(delta, 2, out=result[part, layer.biases])
                if layer.first:
                    delta = _product(_weight(point, layer).transpose(1, 2), delta)
        return result

    def descend(self, theta: Tensor, batches: Tensor, eta: float, decay: float = 0.0) -> Tensor:
        """θ after a step of SGD on each of the batches ``[K, P, B]``: see :mod:`sgdsde.objectives.network_descent`."""
        return descend(self.chain, self.loss, (self.inputs, self.targets), theta.detach(), batches, eta=eta, decay=decay)

    def sample_grads(self, theta: Tensor, batch: Tensor | None) -> Tensor:
        """gᵢ ``[P, B, dim]``."""
        samples = self._samples(theta, batch)
        paths, count = theta.shape[0], samples.x.shape[2]
        require(paths * count * self.dim, theta, what=f"Per-sample gradients of {paths} replicas × {count} samples × {self.dim} parameters",
                instead="Use fewer replicas at once, or a weighted backward pass (noise.root), which needs none of them.")  # fmt: skip
        result = theta.new_empty(paths, count, self.dim)
        for part in self._pieces(theta, samples):
            point, some = theta[part], samples.of(part)
            below, slopes, z = self._record(point, some.x)
            delta = self.loss.residual(z, some.y)
            for layer, h, slope in zip(reversed(self.chain.layers), reversed(below), reversed(slopes), strict=True):
                delta = delta if slope is None else delta * slope
                rows = delta.transpose(1, 2)  # [paths, batch, outputs]
                weights = result[part, :, layer.weights].unflatten(2, (layer.outputs, layer.inputs))
                torch.mul(rows[..., None], h.transpose(1, 2)[:, :, None, :], out=weights)
                if layer.bias:
                    result[part, :, layer.biases] = rows
                if layer.first:
                    delta = _product(_weight(point, layer).transpose(1, 2), delta)
        return result

    def hvp_at(self, theta: Tensor, batch: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        """v ↦ H(θ)v of ``[P, dim]`` or ``[P, k, dim]``, H of the mean over all samples or over each replica's own ``batch [P, B]``. The two passes at θ
        are made once and kept, if they are not too large.
        """
        return self._products(theta, batch, self._linearise)

    def gauss_newton_at(self, theta: Tensor, batch: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        """v ↦ G(θ)v, G = (1/B)ΣJᵢᵀ(∂²ℓᵢ/∂z²)Jᵢ: the products of ``hvp_at`` without what δ = ∂ℓ/∂a multiplies, the curvature of the outputs."""
        return self._products(theta, batch, lambda point, samples: replace(self._linearise(point, samples), deltas=None))

    def _products(self, theta: Tensor, batch: Tensor | None, linearised: Callable[[Tensor, _Samples], _Linearised]) -> Callable[[Tensor], Tensor]:
        samples = self._samples(theta, batch)
        if samples.x.shape[0] == 1:
            samples = replace(samples, x=samples.x.contiguous())  # many products with it pay for the copy
        parts = list(self._pieces(theta, samples))
        numbers = theta.shape[0] * samples.x.shape[2] * 4 * self.chain.units
        kept = numbers <= KEPT_NUMBERS.get(theta.device.type, KEPT_NUMBERS["cuda"])
        made = [linearised(theta[part], samples.of(part)) for part in parts] if kept else None

        def product(v: Tensor) -> Tensor:
            rows = v if v.ndim == 3 else v[:, None]
            found = []
            for i, part in enumerate(parts):
                linear = made[i] if made is not None else linearised(theta[part], samples.of(part))
                size = replicas_in_a_piece(4 * (part.stop - part.start) * self.chain.widest * samples.x.shape[2], theta.device)
                found.append(torch.cat([linear.product(few) for few in rows[part].split(size, 1)], 1))
            result = found[0] if len(found) == 1 else torch.cat(found)
            return result if v.ndim == 3 else result[:, 0]

        return product

    def third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """∇³f[u, v] ``[P, dim]``."""
        samples = self._samples(theta, None)
        return ThirdDerivatives(self.chain, self.loss).third(theta, u, v, samples.x, samples.y)

    def third_trace(self, theta: Tensor, S: Tensor) -> Tensor:
        """(S:∂∂)g ``[P, dim]`` for symmetric S ``[P, dim, dim]``."""
        samples = self._samples(theta, None)
        return ThirdDerivatives(self.chain, self.loss).third_trace(theta, S, samples.x, samples.y)

    def _linearise(self, theta: Tensor, samples: _Samples) -> _Linearised:
        h, below, slopes, bends = samples.x, [], [], []
        for layer in self.chain.layers:
            below.append(h)
            a = _affine_in_place(theta, layer, h)
            h = a if layer.activation is None else layer.activation.value(a)
            slopes.append(None if layer.activation is None else layer.activation.slope(a, h))
            bends.append(None if layer.activation is None else layer.activation.bend(a, h))
        residual, curve = self.loss.curve(h, samples.y)
        count = h.shape[2]
        delta, deltas, turns = residual / count, [], []
        for layer, slope, bend in zip(reversed(self.chain.layers), reversed(slopes), reversed(bends), strict=True):
            turns.append(None if bend is None else bend.mul_(delta)[:, :, None])
            delta = delta if slope is None else delta * slope
            deltas.append(delta)
            if layer.first:
                delta = _product(_weight(theta, layer).transpose(1, 2), delta)
        return _Linearised(self.chain, theta, below, slopes, deltas[::-1], turns[::-1], lambda a: curve(a) / count)

    def _forward(self, theta: Tensor, x: Tensor) -> Tensor:
        for layer in self.chain.layers:
            x = _affine(theta, layer, x)
            x = x if layer.activation is None else layer.activation.value(x)
        return x

    def _record(self, theta: Tensor, x: Tensor) -> tuple[list[Tensor], list[Tensor | None], Tensor]:
        """h_{l−1} and σ′(a_l) of every layer, and z."""
        below: list[Tensor] = []
        slopes: list[Tensor | None] = []
        for layer in self.chain.layers:
            below.append(x)
            a = _affine_in_place(theta, layer, x)
            x = a if layer.activation is None else layer.activation.value(a)
            slopes.append(None if layer.activation is None else layer.activation.slope(a, x))
        return below, slopes, x

    def _features(self, x: Tensor) -> Tensor:
        """``[P or 1, B, …]`` → ``[P or 1, inputs, B]``."""
        return (x.flatten(2) if self.chain.flattens else x).transpose(1, 2)

    def _samples(self, theta: Tensor, batch: Tensor | None) -> _Samples:
        if batch is not None and (batch.shape[0] == 1 or batch.stride(0) == 0):  # one batch for all: its samples are fetched once
            batch = batch[:1]
        x, y = self.inputs.rows(theta, batch), self.targets.rows(theta, batch)
        return _Samples(self._features(x[None] if batch is None else x), y[None] if batch is None else y)

    def _by_rows(self, x: Tensor) -> bool:
        """Whether each replica has a small batch of its own of wide samples, laid out one after the other."""
        return x.shape[0] > 1 and 1 < x.shape[2] <= _FEW and self.chain.widest >= _WIDE and x.transpose(1, 2).is_contiguous()

    def _pieces(self, theta: Tensor, samples: _Samples) -> list[slice]:
        size = replicas_in_a_piece(2 * self.chain.units * samples.x.shape[2] + self.dim, theta.device)
        return [slice(first, min(first + size, theta.shape[0])) for first in range(0, theta.shape[0], size)]


@dataclass(frozen=True)
class _Linearised:
    """The recorded passes at some replicas: ``deltas`` are δ_l (None: Gauss–Newton, where they are left out), ``turns`` are σ″(a_l)·(∂f/∂h_l), ``curve``
    is (1/n)∂²ℓ/∂z².
    """

    chain: Chain
    theta: Tensor
    below: list[Tensor]
    slopes: list[Tensor | None]
    deltas: list[Tensor] | None
    turns: list[Tensor | None]
    curve: Curve

    def product(self, v: Tensor) -> Tensor:
        """Hv, or Gv, ``[P, k, dim]``."""
        paths, k, _ = v.shape
        moved: list[Tensor | None] = []  # ḣ_{l−1}, [paths, inputs, k, batch]
        tangents: list[Tensor] = []  # ȧ_l
        dot: Tensor | None = None
        for layer, h, slope in zip(self.chain.layers, self.below, self.slopes, strict=True):
            moved.append(dot)
            V = v[:, :, layer.weights].unflatten(2, (layer.outputs, layer.inputs)).transpose(1, 2)  # [paths, outputs, k, inputs]
            rate = _product(V.reshape(paths, layer.outputs * k, layer.inputs), h).unflatten(1, (layer.outputs, k))  # [paths, outputs, k, batch]
            if dot is not None:
                rate += _product(_weight(self.theta, layer), dot.flatten(2)).unflatten(2, (k, -1))
            if layer.bias:
                rate += v[:, :, layer.biases].transpose(1, 2)[..., None]
            tangents.append(rate)
            dot = rate if slope is None else slope[:, :, None] * rate
        assert dot is not None
        rising = self.curve(dot)  # δ̇, [paths, outputs, k, batch]
        result = torch.empty_like(v)
        for index in range(len(self.chain.layers) - 1, -1, -1):
            layer, h, delta, still, turn, slope = (
                self.chain.layers[index], self.below[index], None if self.deltas is None else self.deltas[index],
                moved[index], self.turns[index], self.slopes[index],
            )  # fmt: skip
            if slope is not None:
                rising *= slope[:, :, None]
                if turn is not None and delta is not None:
                    rising.addcmul_(turn, tangents[index])
            change = _outer(rising.flatten(1, 2), h).unflatten(1, (layer.outputs, k))  # [paths, outputs, k, inputs]
            if still is not None and delta is not None:
                change = change + _outer(delta, still.flatten(1, 2)).unflatten(2, (layer.inputs, k)).transpose(2, 3)
            result[:, :, layer.weights] = change.transpose(1, 2).flatten(2)
            if layer.bias:
                result[:, :, layer.biases] = rising.sum(3).transpose(1, 2)
            if layer.first:
                rising = _product(_weight(self.theta, layer).transpose(1, 2), rising.flatten(2)).unflatten(2, (k, -1))
                if delta is not None:
                    V = v[:, :, layer.weights].unflatten(2, (layer.outputs, layer.inputs)).permute(0, 3, 1, 2)  # [paths, inputs, k, outputs]
                    rising += _product(V.reshape(paths, layer.inputs * k, layer.outputs), delta).unflatten(1, (layer.inputs, k))
        return result


def _weight(theta: Tensor, layer: Layer) -> Tensor:
    return theta[:, layer.weights].unflatten(1, (layer.outputs, layer.inputs))  # [paths, outputs, inputs]


def _affine(theta: Tensor, layer: Layer, h: Tensor) -> Tensor:
    a = _product(_weight(theta, layer), h)
    return a + theta[:, layer.biases, None] if layer.bias else a


def _affine_in_place(theta: Tensor, layer: Layer, h: Tensor) -> Tensor:
    """The same where nothing differentiates through it."""
    a = _product(_weight(theta, layer), h)
    if layer.bias:
        a += theta[:, layer.biases, None]
    return a


def _product(W: Tensor, h: Tensor) -> Tensor:
    """W ``[P, m, i]`` times h ``[P or 1, i, B]``."""
    if h.shape[0] == 1 and W.shape[0] > 1:
        return W @ h[0]
    if h.shape[2] == 1 and h.device.type == "cpu" and W.shape[1] * W.shape[2] >= _SMALL:
        return (W * h.transpose(1, 2)).sum(2, keepdim=True)
    if W.shape[2] <= _NARROW and h.shape[2] > 1 and h.device.type == "cpu":  # batched products of so few terms take a slow path
        total = W[:, :, :1] * h[:, :1]
        for i in range(1, W.shape[2]):
            total = torch.addcmul(total, W[:, :, i : i + 1], h[:, i : i + 1])
        return total
    return W @ h


def _outer(delta: Tensor, h: Tensor) -> Tensor:
    """δ ``[P, m, B]`` times the transpose of h ``[P or 1, i, B]``."""
    if h.shape[0] == 1 and delta.shape[0] > 1:
        return delta @ h[0].T
    return delta * h.transpose(1, 2) if h.shape[2] == 1 else delta @ h.transpose(1, 2)
