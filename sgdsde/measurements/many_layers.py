"""Layer blocks of many networks at once, each on samples of its own: how far they are from their Kronecker forms, without forming them.

A linear layer's block of G is B = (1/n)ΣMᵢ ⊗ xᵢxᵢᵀ, Mᵢ the curvature of sample i's loss by the layer's outputs, its Kronecker form K = E[M] ⊗ E[xxᵀ].
‖B‖² = (1/n²)Σᵢⱼ tr(MᵢMⱼ)(xᵢᵀxⱼ)², ⟨B, K⟩ = E[tr(Mᵢ E M)·xᵢᵀE[xxᵀ]xᵢ]; products BV = E[MᵢVxᵢxᵢᵀ] give B's eigenvectors by Lanczos; K's are products of
its factors'. For piecewise-linear units B is also the block of H. Wu et al. 2010.04261.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.measurements.many_spectra import many_eigenvectors
from sgdsde.objectives import Network

#: Lanczos steps for the top eigenvectors of a block
STEPS = 40


@dataclass(frozen=True)
class Curved:
    """One layer of all networks: Mᵢ ``[P, n, out, out]`` and its inputs ``[P, n, in]``."""

    M: Float[Tensor, "paths n out out"]
    x: Float[Tensor, "paths n in"]

    def product(self, v: Float[Tensor, "paths dim"]) -> Float[Tensor, "paths dim"]:
        """The block times a weight matrix of each network, flattened."""
        n, out = self.M.shape[1:3]
        u = self.x @ v.unflatten(1, (out, -1)).transpose(1, 2)  # [paths, n, out]
        w = (self.M @ u[..., None])[..., 0]
        return (w.transpose(1, 2) @ self.x).flatten(1) / n


def relu_layers(network: Network, theta: Float[Tensor, "paths dim"], rows: Tensor) -> list[Curved]:
    """The layers of ReLU perceptrons with cross-entropy, first to last, network p on its samples ``rows[p]``."""
    parts = list(network.unflatten(theta).values())
    weights, biases = parts[::2], parts[1::2]
    x, inputs, slopes = network.inputs.rows(theta, rows), [], []
    for W, b in zip(weights, biases, strict=True):
        inputs.append(x)
        a = x @ W.transpose(1, 2) + b[:, None]
        slopes.append((a > 0).to(a))
        x = a.relu()
    p = torch.softmax(a, 2)
    M = torch.diag_embed(p) - p[..., :, None] * p[..., None, :]
    found = [Curved(M, inputs[-1])]
    for W, slope, h in zip(reversed(weights[1:]), reversed(slopes[:-1]), reversed(inputs[:-1]), strict=True):
        M = (W.transpose(1, 2)[:, None] @ M @ W[:, None]) * slope[..., :, None] * slope[..., None, :]
        found.append(Curved(M, h))
    return found[::-1]


def layer_populations(layer: Curved, count: int, generator: torch.Generator) -> dict[str, Float[Tensor, " paths"]]:
    """``error`` of the Kronecker form, ``overlap`` of the top ``count`` eigenvectors of both, their ``rank-one share`` as matrices (those of the block),
    ``second moment``: ‖E[xxᵀ] − E[x]E[x]ᵀ‖/‖E[xxᵀ]‖; ``…, random``: of a random subspace in the place of the block's.
    """
    M, x = layer.M, layer.x
    paths, n, out, _ = M.shape
    left, right = M.mean(1), x.transpose(1, 2) @ x / n
    flat = M.flatten(2)
    block = ((flat @ flat.transpose(1, 2)) * (x @ x.transpose(1, 2)) ** 2).sum((1, 2)) / n**2
    cross = ((flat @ left.flatten(1)[..., None])[..., 0] * ((x @ right) * x).sum(2)).mean(1)
    square = (left**2).sum((1, 2)) * (right**2).sum((1, 2))
    top = many_eigenvectors(layer.product, _random(M, (paths, out * x.shape[2]), generator), STEPS, count)
    product = _product_vectors(left, right, count)
    draw = torch.linalg.qr(_random(M, tuple(top.shape), generator))[0]
    mean = x.mean(1)
    outer = mean[:, :, None] * mean[:, None, :]
    return {
        "error": ((block - 2 * cross + square).clamp(min=0) / block).sqrt(),
        "overlap": _overlap(top, product),
        "overlap, random": _overlap(top, draw),
        "rank-one share": _rank_one(top, out),
        "rank-one share, random": _rank_one(draw, out),
        "second moment": torch.linalg.matrix_norm(right - outer) / torch.linalg.matrix_norm(right),
    }


def _random(like: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=like.dtype)


def _product_vectors(left: Tensor, right: Tensor, count: int) -> Float[Tensor, "paths dim count"]:
    """Top eigenvectors of left ⊗ right: a ⊗ b of the largest products of eigenvalues."""
    (one, a), (two, b) = torch.linalg.eigh(left), torch.linalg.eigh(right)
    best = (one[:, :, None] * two[:, None, :]).flatten(1).topk(count, dim=1).indices  # [paths, count]
    pick_a, pick_b = best // two.shape[1], best % two.shape[1]
    chosen_a = a.gather(2, pick_a[:, None].expand(-1, a.shape[1], -1))
    chosen_b = b.gather(2, pick_b[:, None].expand(-1, b.shape[1], -1))
    return (chosen_a[:, :, None] * chosen_b[:, None]).flatten(1, 2)


def _overlap(U: Tensor, V: Tensor) -> Float[Tensor, " paths"]:
    """‖UᵀV‖²/count of orthonormal columns."""
    return ((U.transpose(1, 2) @ V) ** 2).sum((1, 2)) / U.shape[2]


def _rank_one(vectors: Tensor, out: int) -> Float[Tensor, " paths"]:
    """s₁²/Σs² of each vector as a matrix ``[out, in]``, mean over the vectors."""
    squares = torch.linalg.svdvals(vectors.transpose(1, 2).unflatten(2, (out, -1))) ** 2
    return (squares[..., 0] / squares.sum(2)).mean(1)
