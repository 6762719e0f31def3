"""Eigenvectors of a layer block as matrices: v ∈ R^{out·in} reshaped to the weight's ``[out, in]``, and the share of its square norm in one singular direction.

A Kronecker product A ⊗ B has the eigenvectors a ⊗ b, which are of rank one as matrices; how near a layer's eigenvectors are to that is a test of the decoupling
conjecture that needs no second matrix (Wu, Zhu, Wu, Wang, Ge, arXiv 2010.04261, section 4).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.types import InputError


def matricised_spectra(vectors: Float[Tensor, "p k"], rows: int) -> Float[Tensor, "k s"]:
    """Singular values (descending) of each eigenvector of a layer block reshaped to ``[rows, in]``, ``[k, min(rows, in)]``; their squares sum to |v|².

    Raises:
        InputError: the vectors do not have ``rows`` rows.

    Example:
        >>> vectors = torch.eye(2).reshape(4, 1)  # the identity, stored row by row
        >>> sg.curvature.matricised_spectra(vectors, rows=2).tolist()
        [[1.0, 1.0]]
    """
    columns = vectors[:, None] if vectors.ndim == 1 else vectors
    if rows < 1 or columns.ndim != 2 or columns.shape[0] % rows:
        raise InputError(f"Vectors of shape {tuple(vectors.shape)} have no {rows} rows; wanted [rows·in, k].")
    return torch.linalg.svdvals(columns.T.reshape(columns.shape[1], rows, -1))


def matricised_rank(vector: Float[Tensor, " p"], rows: int) -> float:
    """s₁²/Σs² of an eigenvector of a layer block reshaped to ``[rows, in]``: 1 for rank one (Wu et al., section 4).

    Example:
        >>> u, v = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0, 5.0])
        >>> round(sg.curvature.matricised_rank(torch.outer(u, v).flatten(), rows=2), 5)
        1.0
    """
    return float(rank_one_shares(vector, rows)[0])


def rank_one_shares(vectors: Float[Tensor, "p k"], rows: int) -> Float[Tensor, " k"]:
    """s₁²/Σs² of each column, as :func:`matricised_rank`.

    Example:
        >>> u, v = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
        >>> both = torch.stack([torch.outer(u, v).flatten(), torch.eye(2).flatten()], dim=1)
        >>> [round(share, 5) for share in sg.curvature.rank_one_shares(both, rows=2).tolist()]
        [1.0, 0.5]
    """
    squares = matricised_spectra(vectors, rows) ** 2
    return squares[:, 0] / squares.sum(1)
