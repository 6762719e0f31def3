"""How far two subspaces agree: overlap ‖UᵀV‖²_F/k and principal angles, beside what chance gives.

For orthonormal U, V ``[dim, k]`` the overlap is the mean squared cosine of the principal angles: 1 for equal subspaces, k/dim on average for a
uniformly random one (Wu et al. 2010.04261).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.types import InputError


@dataclass(frozen=True)
class Overlap:
    """``value`` in [0, 1]; cosines of the principal angles (descending); ``chance`` = k/dim, the mean for a random subspace."""

    value: float
    cosines: Float[Tensor, " k"]
    chance: float


def overlap(U: Float[Tensor, "dim k"], V: Float[Tensor, "dim m"]) -> Overlap:
    """The overlap of the spans of the columns, k ≤ m or m ≤ k: mean squared cosine over the smaller dimension.

    Raises:
        InputError: different ambient dimensions, or dependent columns.
    """
    if U.ndim != 2 or V.ndim != 2 or U.shape[0] != V.shape[0]:
        raise InputError(f"Subspaces of shapes {tuple(U.shape)} and {tuple(V.shape)}; wanted [dim, k] and [dim, m] of one dim.")
    bases = []
    for name, columns in (("U", U), ("V", V)):
        basis, triangle = torch.linalg.qr(columns)
        size = triangle.diagonal().abs()
        if columns.shape[1] > columns.shape[0] or float(size.min()) <= 1e-10 * float(size.max()):
            raise InputError(f"The columns of {name} are linearly dependent; a subspace needs independent ones.")
        bases.append(basis)
    cosines = torch.linalg.svdvals(bases[0].T @ bases[1]).clamp(max=1.0)
    return Overlap(float((cosines**2).mean()), cosines, max(U.shape[1], V.shape[1]) / U.shape[0])
