"""P^{-1/2} A P^{-1/2}: curvature in the metric in which a preconditioned optimiser steps.

θ⁺ = θ − ηP⁻¹g is plain descent in the coordinates P^{1/2}θ, where the Hessian is P^{-1/2}HP^{-1/2}: its λmax against 2/η decides stability (Cohen et al.
2207.14484 for Adam's diagonal P).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.curvature.operator import Operator, as_operator
from sgdsde.given import own
from sgdsde.types import InputError


class Preconditioned(Operator):
    """P^{-1/2} A P^{-1/2} with P a diagonal ``[dim]`` or a symmetric matrix ``[dim, dim]``, positive.

    Example:
        >>> A = sg.curvature.Matrix(torch.diag(torch.tensor([4.0, 1.0])))
        >>> (sg.curvature.Preconditioned(A, torch.tensor([4.0, 1.0])) @ torch.ones(2)).tolist()
        [1.0, 1.0]
    """

    def __init__(self, operator: Operator, preconditioner: Float[Tensor, "dim ..."]) -> None:
        as_operator(operator)
        P = own(preconditioner, "preconditioner").to(operator.device, operator.dtype)
        if tuple(P.shape) not in ((operator.dim,), (operator.dim, operator.dim)):
            raise InputError(f"The preconditioner has shape {tuple(P.shape)}; wanted [{operator.dim}] (a diagonal) or [{operator.dim}, {operator.dim}].")
        if P.ndim == 1:
            smallest, largest = float(P.min()), float(P.max())
        else:
            if float((P - P.T).abs().max()) > 1e3 * torch.finfo(P.dtype).eps * float(P.abs().max()):
                raise InputError("The preconditioner is not symmetric; wanted a symmetric positive matrix.")
            values, vectors = torch.linalg.eigh(P)
            smallest, largest = float(values[0]), float(values[-1])
        if not smallest > torch.finfo(P.dtype).eps * largest:
            raise InputError(f"The preconditioner's smallest eigenvalue is {smallest:.3g} of {largest:.3g}; wanted positive ones. Add the optimiser's ε to it.")
        self.root = P.rsqrt() if P.ndim == 1 else (vectors * values.rsqrt()) @ vectors.T
        self.operator, self.mode = operator, operator.mode
        self.dim, self.dtype, self.device, self.chunk = operator.dim, operator.dtype, operator.device, operator.chunk
        self.label = f"preconditioned {operator.label}"

    def apply(self, block: Tensor) -> Tensor:
        return self._half(self.operator @ self._half(block))

    def _half(self, block: Tensor) -> Tensor:
        return self.root[:, None] * block if self.root.ndim == 1 else self.root @ block


def preconditioned(operator: Operator, preconditioner: Float[Tensor, "dim ..."]) -> Preconditioned:
    """P^{-1/2} A P^{-1/2}.

    Raises:
        InputError: P of another shape, not symmetric, or not positive.

    Example:
        >>> A = sg.curvature.Matrix(torch.diag(torch.tensor([4.0, 1.0])))
        >>> (sg.curvature.preconditioned(A, torch.tensor([4.0, 1.0])) @ torch.ones(2)).tolist()
        [1.0, 1.0]
    """
    return Preconditioned(operator, preconditioner)
