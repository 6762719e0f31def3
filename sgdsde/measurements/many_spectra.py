"""Upper ends and shares of the spectra of many matrices at once, from their products alone.

Lanczos with full reorthogonalisation, every step one product of all matrices together: T_m = QᵀAQ, whose largest eigenvalues are A's once converged (from
below, and those of gapped spectra at rounding after few steps). From a random unit vector the squared first components of T's eigenvectors are weights with
E Σw·1[node in I] ≈ the share of A's eigenvalues in I (stochastic Lanczos quadrature): one vector has the error √(2p(1−p)/dim) or so, and the edge of I is
blurred by the distance of the nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.curvature.recurrence import recurrence


@dataclass(frozen=True)
class Spectra:
    """Nodes (descending) and weights of each matrix and each start vector, ``[P, k, steps]``."""

    nodes: Float[Tensor, "paths k steps"]
    weights: Float[Tensor, "paths k steps"]

    def top(self, count: int) -> Float[Tensor, "paths count"]:
        """The largest eigenvalues, by the first start vector."""
        return self.nodes[:, 0, :count]

    def share_near_zero(self, relative: float) -> Float[Tensor, " paths"]:
        """The share of eigenvalues with |λ| < ``relative``·λmax, mean over the start vectors."""
        near = self.nodes.abs() < relative * self.nodes[:, :1, :1]
        return (self.weights * near).sum(2).mean(1)


def many_spectra(product: Callable[[Tensor], Tensor], starts: Float[Tensor, "paths k dim"], steps: int) -> Spectra:
    """Lanczos from each of k start vectors of each matrix; ``product`` takes ``[P, k, dim]``. A run whose space is invariant ends early: its other nodes
    are 0.
    """
    values, vectors, _ = _lanczos(product, starts, steps)
    shape = (*starts.shape[:2], values.shape[1])
    return Spectra(values.flip(1).reshape(shape), (vectors[:, 0].flip(1) ** 2).reshape(shape))


def many_eigenvectors(product: Callable[[Tensor], Tensor], starts: Float[Tensor, "paths dim"], steps: int, count: int) -> Float[Tensor, "paths dim count"]:
    """Eigenvectors of the ``count`` largest eigenvalues of each matrix, the largest first, as Ritz vectors after ``steps`` steps."""
    _, vectors, basis = _lanczos(lambda v: product(v[:, 0])[:, None], starts[:, None], steps)
    return basis.transpose(1, 2) @ vectors[:, :, -count:].flip(2)


def _lanczos(product: Callable[[Tensor], Tensor], starts: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Eigenvalues (ascending) and eigenvectors of each run's tridiagonal matrix, and its basis ``[P·k, steps, dim]``."""
    paths, k, dim = starts.shape
    unit = torch.nn.functional.normalize(starts, dim=2).flatten(0, 1)
    made = recurrence(lambda rows: product(rows.reshape(paths, k, dim)).reshape(paths * k, dim), unit, min(steps, dim))
    off = torch.diag_embed(made.beta[:, :-1], 1)
    values, vectors = torch.linalg.eigh(torch.diag_embed(made.alpha) + off + off.transpose(1, 2))
    return values, vectors, made.basis
