"""Drift and diffusion of linear SDEs as precomputed matrices: x ↦ A x + c and dw ↦ D dw, element-wise where A and D are diagonal.

The general path evaluates the model at every step; a linear model with constant noise needs that only once. Used by the integrators; the
general path is the test of this one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde.sde import SDE


class LinearTerms:
    """The terms of an SDE with ``affine()`` not None, at the dtype and device of the points."""

    def __init__(self, sde: SDE) -> None:
        affine = sde.affine()
        assert affine is not None
        self._A, self._c, _ = affine
        origin = torch.zeros(1, sde.dim, dtype=torch.float64)
        basis = torch.eye(sde.noise_dim, dtype=torch.float64)
        # rows are D's columns: [noise_dim, dim]
        self._Dt = sde.diffuse(0.0, origin.expand(sde.noise_dim, -1), basis) if sde.noise_dim else torch.zeros(0, sde.dim, dtype=torch.float64)
        self.diagonal = _is_diagonal(self._A) and sde.noise_dim == sde.dim and _is_diagonal(self._Dt)
        self._cast: dict[tuple[torch.dtype, torch.device], tuple[Tensor, Tensor, Tensor]] = {}

    def at(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(A, c, Dᵀ) like ``x``; A and D as vectors where both are diagonal."""
        key = (x.dtype, x.device)
        if key not in self._cast:
            A, Dt = (self._A.diagonal(), self._Dt.diagonal()) if self.diagonal else (self._A.T.contiguous(), self._Dt)
            self._cast[key] = (A.to(x), self._c.to(x), Dt.to(x))
        return self._cast[key]

    def drift(self, x: Tensor) -> Tensor:
        """A x + c."""
        A, c, _ = self.at(x)
        return torch.addcmul(c, x, A) if self.diagonal else torch.addmm(c, x, A)

    def diffuse(self, x: Tensor, dw: Tensor) -> Tensor:
        """D dw."""
        _, _, Dt = self.at(x)
        if dw.shape[1] == 0:
            return torch.zeros_like(x)
        return dw * Dt if self.diagonal else dw @ Dt


def _is_diagonal(M: Tensor) -> bool:
    return M.shape[0] == M.shape[1] and bool((M - torch.diag(M.diagonal()) == 0).all())
