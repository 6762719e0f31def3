"""Deterministic rules for E h(Z), Z ~ N(0, I_d): Σ_q w_q h(z_q), with the third Hermite polynomials at the nodes for laws that are skewed.

A law with mean m, covariance C = LLᵀ and third cumulant κ has, up to fourth cumulants, E h = E_Z[h(m + LZ)·(1 + κ̃:He₃(Z)/6)], κ̃ = κ seen through L⁻¹
(Gram–Charlier). The tensor rule (Gauss–Hermite in every direction, up to three dimensions) sees κ; the axis rule (2d + 1 points at ±√3 along the axes, the
three-point Gauss–Hermite rule where d = 1) does not: He₃ vanishes at its nodes. It is exact for polynomials of degree 3 and for x_i⁴.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.types import InputError

#: beyond this dimension a tensor rule has too many nodes
TENSOR_DIM = 3


@dataclass(frozen=True, eq=False)
class Rule:
    """Nodes ``[n, d]``; weights ``[n]``, sum 1 (the axis rule's central one is negative for d > 3); He₃ ``[n, d, d, d]``, None where it is not seen."""

    nodes: Float[Tensor, "n d"]
    weights: Float[Tensor, " n"]
    hermite: Float[Tensor, "n d d d"] | None

    @property
    def reach(self) -> float:
        """The largest coordinate of a node, in standard deviations."""
        return float(self.nodes.abs().max())


@functools.cache
def tensor_rule(dim: int, order: int) -> Rule:
    """Gauss–Hermite with ``order`` points in every direction: exact for polynomials of degree 2·order − 1 in each coordinate.

    Raises:
        InputError: dim > 3.
    """
    if not 1 <= dim <= TENSOR_DIM:
        raise InputError(f"dim = {dim}: a tensor rule has order^dim nodes; it is offered for 1 to {TENSOR_DIM} dimensions.")
    x, w = np.polynomial.hermite_e.hermegauss(order)
    nodes = torch.tensor(list(itertools.product(x.tolist(), repeat=dim)), dtype=torch.float64)
    weights = torch.tensor([np.prod(row) for row in itertools.product((w / w.sum()).tolist(), repeat=dim)], dtype=torch.float64)
    return Rule(nodes, weights, _hermite(nodes) if order > 3 else None)


@functools.cache
def axis_rule(dim: int) -> Rule:
    """The centre with weight 1 − d/3 and ±√3·e_i with weight 1/6 each."""
    eye = torch.eye(dim, dtype=torch.float64) * 3**0.5
    nodes = torch.cat([torch.zeros(1, dim, dtype=torch.float64), eye, -eye])
    weights = torch.full((2 * dim + 1,), 1 / 6, dtype=torch.float64)
    weights[0] = 1 - dim / 3
    return Rule(nodes, weights, None)


def _hermite(z: Float[Tensor, "n d"]) -> Float[Tensor, "n d d d"]:
    """He₃: zᵢzⱼz_k − δᵢⱼz_k − δᵢ_kzⱼ − δⱼ_kzᵢ."""
    eye = torch.eye(z.shape[1], dtype=z.dtype)
    paired = torch.einsum("ij,nk->nijk", eye, z)
    return torch.einsum("ni,nj,nk->nijk", z, z, z) - paired - paired.permute(0, 1, 3, 2) - paired.permute(0, 3, 2, 1)
