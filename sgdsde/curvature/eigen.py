"""Extreme eigenpairs with residual bounds: dense below about 3,000 dimensions, else ARPACK's restarted Lanczos (scipy).

For a symmetric A and a unit vector v with Av = λv + r there is an eigenvalue within ‖r‖ of λ. ARPACK keeps its basis orthogonal and finds each
eigenvalue as often as it occurs; the orthogonality of what is returned is measured all the same, so a ghost would be seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse.linalg
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.curvature.operator import DENSE_DIM, Operator
from sgdsde.types import InputError, suggest

ENDS = {"largest": "LA", "smallest": "SA", "both": "BE", "magnitude": "LM"}


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenvalues (descending), unit eigenvectors ``[dim, k]``, ‖Av − λv‖ of each, and max |VᵀV − I|."""

    values: Float[Tensor, " k"]
    vectors: Float[Tensor, "dim k"]
    residuals: Float[Tensor, " k"]
    orthogonality: float
    method: str


def eigsh(
    operator: Operator, k: int = 6, *, which: str = "largest", tolerance: float = 1e-8, start: Tensor | None = None, dense_below: int = DENSE_DIM
) -> Eigenpairs:
    """k extreme eigenpairs.

    Args:
        which: ``largest``, ``smallest`` (most negative), ``both`` ends, or largest ``magnitude``.
        tolerance: relative accuracy of the eigenvalues (ARPACK's).
        start: a start vector ``[dim]``, or the eigenvectors ``[dim, k]`` of a nearby operator (their sum starts the iteration).

    Raises:
        InputError: k < 1 or k ≥ dim (use ``operator.dense()``), or an unknown end.
    """
    if which not in ENDS:
        raise InputError(f"which={which!r} is no end of a spectrum." + suggest(which, list(ENDS)))
    if isinstance(k, bool) or int(k) != k or not 1 <= k <= operator.dim:
        raise InputError(f"k = {k!r}; wanted an integer in 1…{operator.dim}, the dimension of the operator.")
    if operator.dim <= dense_below or k >= operator.dim - 1:
        values, vectors = torch.linalg.eigh(operator.dense())
        index = _ends(values, k, which)
        values, vectors, method = values[index], vectors[:, index], "dense"
    else:
        begin = np.random.default_rng(0).standard_normal(operator.dim) if start is None else start.reshape(operator.dim, -1).sum(1).cpu().numpy()
        found, columns = scipy.sparse.linalg.eigsh(operator.to_scipy(), k=k, which=ENDS[which], tol=tolerance, v0=begin)
        values = torch.as_tensor(found.copy(), dtype=operator.dtype, device=operator.device)
        vectors = torch.as_tensor(columns.copy(), dtype=operator.dtype, device=operator.device)
        method = "ARPACK"
    order = values.argsort(descending=True)
    values, vectors = values[order], vectors[:, order]
    residuals = torch.linalg.vector_norm(operator @ vectors - vectors * values, dim=0)
    gram = vectors.T @ vectors - torch.eye(k, dtype=vectors.dtype, device=vectors.device)
    return Eigenpairs(values, vectors, residuals, float(gram.abs().max()), method)


def _ends(values: Tensor, k: int, which: str) -> Tensor:
    """Indices into ascending eigenvalues."""
    dim = values.numel()
    if which == "magnitude":
        return values.abs().argsort(descending=True)[:k]
    if which == "both":
        low = k // 2
        return torch.cat([torch.arange(low), torch.arange(dim - (k - low), dim)]).to(values.device)
    return torch.arange(dim - k, dim, device=values.device) if which == "largest" else torch.arange(k, device=values.device)
