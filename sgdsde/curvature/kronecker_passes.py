"""A layer's Kronecker forms from passes over its samples: for weights shared by several positions, and for data that need not fit in memory.

Means come from one pass. A block with p ≤ 1,500 rows is formed, and all errors are exact; a larger one is only multiplied: ‖B − K‖² = E|(B − K)v|² over
vectors of random signs, one pass for all of them (Hutchinson), with the jackknife's standard error. The nearest product is the first singular pair of
Van Loan and Pitsianis' rearrangement, by power steps: of the matrix where it is formed, else two passes a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.curvature.kronecker_samples import LayerSamples
from sgdsde.rng import stream

#: rows of a block that is formed; vectors of random signs for one that is not
_FORMED, _VECTORS = 1500, 128


@dataclass(frozen=True)
class Forms:
    """Factors and errors, as :class:`~sgdsde.curvature.Decoupling` names them."""

    left: Float[Tensor, "out out"]
    right: Float[Tensor, "in in"]
    mean: Float[Tensor, " in"]
    error: float
    stderr: float
    best_left: Float[Tensor, "out out"]
    best_right: Float[Tensor, "in in"]
    best_error: float
    reduced_left: Float[Tensor, "out out"]
    reduced_right: Float[Tensor, "in in"]
    reduced_error: float


def passes(samples: LayerSamples) -> Forms:
    """Go through the samples."""
    n, S = samples.n, samples.positions
    left, reduced_left = (samples.theta.new_zeros(samples.out, samples.out) for _ in range(2))
    right, reduced_right = (samples.theta.new_zeros(samples.size, samples.size) for _ in range(2))
    mean = samples.theta.new_zeros(samples.size)
    for piece in samples.pieces():
        left += torch.einsum("mcos,mcps->op", piece.J, piece.AJ) / (n * S)
        right += torch.einsum("mis,mjs->ij", piece.x, piece.x) / n
        middle = piece.x.mean(2)
        mean += middle.sum(0) / n
        reduced_left += torch.einsum("mco,mcp->op", piece.J.sum(3), piece.AJ.sum(3)) / n
        reduced_right += middle.T @ middle / n
    products = [(left, right), (reduced_left, reduced_right)]
    if samples.out * samples.size <= _FORMED:
        block = samples.block()
        R = rearranged(block, samples.out, samples.size)
        u, v = leading(lambda w: (R @ w.flatten()).reshape(left.shape), lambda w: (R.T @ w.flatten()).reshape(right.shape), left, 1e-14, 500)
        errors = [float((block - torch.kron(a, b)).norm() / block.norm()) for a, b in (*products, (u, v))]
        stderr = 0.0
    else:
        u, v = leading(samples.left_of, samples.right_of, left, 1e-9, 100)
        errors, stderr = _estimated(samples, [*products, (u, v)])
    return Forms(left, right, mean, errors[0], stderr, u, v, errors[2], reduced_left, reduced_right, errors[1])


def rearranged(block: Float[Tensor, "p p"], out: int, size: int) -> Float[Tensor, "outout inin"]:
    """R[(o, p), (i, j)] = block[(o, i), (p, j)]: a Kronecker product becomes vec A vec Bᵀ."""
    return block.reshape(out, size, out, size).permute(0, 2, 1, 3).reshape(out * out, size * size)


def leading(
    left_of: Callable[[Tensor], Tensor], right_of: Callable[[Tensor], Tensor], start: Tensor, tolerance: float, iterations: int
) -> tuple[Float[Tensor, "out out"], Float[Tensor, "in in"]]:
    """The nearest Kronecker product's factors: R's first singular pair (times its singular value, on the left) by power steps from ``start``.

    Both factors of a positive semi-definite block are so up to a common sign, which is taken from the left one's trace.
    """
    u = start / start.norm()
    first = previous = u.new_zeros(())
    v = right_of(u)
    for _ in range(iterations):
        v = right_of(u)
        v = v / v.norm()
        w = left_of(v)
        first = w.norm()
        u = w / first
        if abs(float(first - previous)) <= tolerance * float(first):
            break
        previous = first
    sign = torch.sign(u.trace())
    return sign * first * u, sign * v


def _estimated(samples: LayerSamples, products: list[tuple[Tensor, Tensor]]) -> tuple[list[float], float]:
    """‖B − A ⊗ C‖/‖B‖ for each product from one set of random signs; the standard error is that of the first."""
    shape = (_VECTORS, samples.out, samples.size)
    generator = stream(0, "Kronecker errors")  # one set of signs for every layer: reports can be compared
    V = (2.0 * torch.randint(2, shape, generator=generator) - 1).to(samples.theta)
    BV = samples.times(V)
    norm = (BV**2).flatten(1).sum(1)  # [k]
    rests = [((BV - A @ V @ C.T) ** 2).flatten(1).sum(1) for A, C in products]
    without = ((rests[0].sum() - rests[0]) / (norm.sum() - norm)).clamp(min=0).sqrt()
    stderr = math.sqrt((_VECTORS - 1) / _VECTORS * float(((without - without.mean()) ** 2).sum()))
    return [float((rest.sum() / norm.sum()).sqrt()) for rest in rests], stderr
