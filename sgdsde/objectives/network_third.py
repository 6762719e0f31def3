"""Third derivatives of chains of linear layers: the gradient of second derivatives along directions, by jets forward and one pass back.

Along θ + εs the layers carry ȧ = Vh + Wḣ + v and ä = 2Vḣ + Wḧ, ḣ = σ′ȧ, ḧ = σ″ȧ² + σ′ä (V, v the direction's part, V̈ = 0), and the loss of outputs z ends in
sᵀHs = E[żᵀ(∂²ℓ/∂z²)ż + (∂ℓ/∂z)·z̈]: four products of matrices a layer and direction, all directions of all replicas together, on one forward pass. One backward
pass through it gives ∇ΣₖwₖsₖᵀHsₖ = Σₖwₖ∇³f[sₖ, sₖ] for any number of directions, at about four gradients a direction. ∇³f[u, v] is the polarised form
¼(∇³f[û + v̂, û + v̂] − ∇³f[û − v̂, û − v̂])·|u||v|, and (S:∂∂)g takes the eigenvectors of S.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sgdsde.objectives.memory import replicas_in_a_piece
from sgdsde.objectives.network_layers import Chain
from sgdsde.objectives.network_losses import OutputLoss

#: arrays of the size of a layer's jets that autograd keeps
_KEPT = 12


class ThirdDerivatives:
    """∇³f[u, v] and (S:∂∂)g of a chain with ``loss`` on inputs ``x [1, inputs, n]`` and targets ``y [1, n, …]``."""

    def __init__(self, chain: Chain, loss: OutputLoss) -> None:
        self.chain, self.loss = chain, loss

    def third(self, theta: Tensor, u: Tensor, v: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """∇³f[u, v] ``[P, dim]``; one direction where u is v."""
        if u is v:
            return self.along(theta, u[:, None], torch.ones_like(u[:, :1]), x, y)
        sizes = [torch.linalg.vector_norm(part, dim=1, keepdim=True) for part in (u, v)]
        a, b = (part / torch.where(size > 0, size, torch.ones_like(size)) for part, size in zip((u, v), sizes, strict=True))
        weights = 0.25 * sizes[0] * sizes[1] * torch.tensor([1.0, -1.0], dtype=theta.dtype, device=theta.device)
        return self.along(theta, torch.stack([a + b, a - b], 1), weights, x, y)

    def third_trace(self, theta: Tensor, S: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """(S:∂∂)g ``[P, dim]`` for symmetric S; NaN where S is not finite."""
        broken = ~torch.isfinite(S).flatten(1).all(1)
        values, vectors = torch.linalg.eigh(torch.nan_to_num(S, nan=0.0, posinf=0.0, neginf=0.0))
        weights = torch.where(broken[:, None], torch.nan, values)
        return self.along(theta, vectors.transpose(1, 2), weights, x, y)

    def along(self, theta: Tensor, directions: Tensor, weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Σₖwₖ∇³f[sₖ, sₖ] ``[P, dim]`` for directions ``[P, k, dim]`` and weights ``[P, k]``."""
        result = torch.zeros_like(theta)
        for replicas, few in self._pieces(theta, directions.shape[1], x.shape[2]):
            with torch.enable_grad():
                point = theta[replicas].detach().requires_grad_(True)
                second = self._second(point, directions[replicas, few].detach(), x, y)  # [paths, k]
                total = (second * weights[replicas, few].detach()).sum()
                if total.requires_grad:
                    (found,) = torch.autograd.grad(total, point, allow_unused=True)
                    if found is not None:
                        result[replicas] += found
        return result

    def _second(self, theta: Tensor, s: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """sₖᵀHsₖ ``[P, k]``, differentiable in θ."""
        paths, k, _ = s.shape
        h, dot, ddot = x, None, None
        for layer in self.chain.layers:
            W = theta[:, layer.weights].unflatten(1, (layer.outputs, layer.inputs))
            a = W @ h if not layer.bias else torch.baddbmm(theta[:, layer.biases, None], W, h.expand(paths, -1, -1))
            V = s[:, :, layer.weights].unflatten(2, (layer.outputs, layer.inputs))  # [paths, k, outputs, inputs]
            first = (V.flatten(1, 2) @ h).unflatten(1, (k, layer.outputs))  # [paths, k, outputs, n]
            if layer.bias:
                first = first + s[:, :, layer.biases, None]
            second: Tensor | None = None
            if dot is not None:
                first = first + W[:, None] @ dot
                second = 2 * (V @ dot)
                if ddot is not None:
                    second = second + W[:, None] @ ddot
            if layer.activation is None:
                h, dot, ddot = a, first, second
                continue
            h = layer.activation.value(a)
            slope, bend = layer.activation.slope(a, h)[:, None], layer.activation.bend(a, h)
            dot = slope * first
            ddot = None if second is None else slope * second
            if bend is not None:
                curved = bend[:, None] * first**2
                ddot = curved if ddot is None else ddot + curved
        assert dot is not None
        residual, curve = self.loss.curve(h, y)
        rate = dot.transpose(1, 2)  # [paths, outputs, k, n]
        found = (rate * curve(rate)).sum(1)  # [paths, k, n]
        if ddot is not None:
            found = found + (residual[:, None] * ddot).sum(2)
        return found.mean(2)

    def _pieces(self, theta: Tensor, k: int, n: int) -> Iterator[tuple[slice, slice]]:
        each = _KEPT * n * self.chain.units
        rows = replicas_in_a_piece(each * k, theta.device)
        some = k if rows > 1 else replicas_in_a_piece(each, theta.device)
        for first in range(0, theta.shape[0], rows):
            for begin in range(0, k, some):
                yield slice(first, min(first + rows, theta.shape[0])), slice(begin, min(begin + some, k))
