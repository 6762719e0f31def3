"""Matrix factorisation: f(U, V) = ½‖UVᵀ − M‖²_F, U ``[rows, rank]``, V ``[columns, rank]``.

No spurious minima: with M = Σσⱼpⱼqⱼᵀ every critical point is, up to a change of basis, a choice S of singular pairs; S = the leading ``rank`` ones is
the global minimum, every other a strict saddle where a larger σ is left out (Baldi, Hornik, Neural Networks 2, 53, 1989). The samples are the N entries of M:
ℓᵢⱼ = (N/2)(UVᵀ − M)ᵢⱼ², whose mean is f.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde.given import is_whole, own
from sgdsde.objective import Facts, Objective, identity_rows
from sgdsde.objectives.quadratic_map import QuadraticMap, tuples
from sgdsde.objectives.resident import Resident
from sgdsde.types import InputError


class MatrixFactorization(QuadraticMap):
    """½‖UVᵀ − M‖²_F; θ = (U, V), each row by row, dim = (rows + columns)·rank.

    Args:
        target: M, a matrix; or an integer size for M = diag(1, 1 − 1/size, …, 1/size).
        rank: the number of columns of U and V.

    ``facts.minima`` holds the balanced minimum U = P√Σ, V = Q√Σ; ``facts.saddles`` the origin and the leading 1, 2, … pairs short of it, the points
    that gradient descent from a small start visits one after the other.

    Raises:
        InputError: M is not a finite matrix, or ``rank`` is no integer ≥ 1.

    Example:
        >>> problem = sg.objectives.MatrixFactorization([[2.0, 0.0], [0.0, 1.0]], rank=2)
        >>> problem.dim, round(abs(problem.loss(torch.as_tensor(problem.facts.minima[0])[None]).item()), 9)
        (8, 0.0)
    """

    def __init__(self, target: Any, rank: int) -> None:
        M = _target(target)
        if not is_whole(rank, 1):
            raise InputError(f"rank = {rank!r}; wanted an integer ≥ 1.")
        self.rows, self.columns, self.rank = M.shape[0], M.shape[1], int(rank)
        P, sigma, Qt = torch.linalg.svd(M, full_matrices=False)
        present = int((sigma > 1e-12 * sigma[0]).sum()) if float(sigma[0]) > 0 else 0
        top = min(self.rank, present)
        points = []
        for k in range(top + 1):
            roots = torch.zeros(self.rank, dtype=torch.float64)
            roots[:k] = sigma[:k].sqrt()
            U, V = torch.zeros(self.rows, self.rank, dtype=torch.float64), torch.zeros(self.columns, self.rank, dtype=torch.float64)
            U[:, :k], V[:, :k] = P[:, :k] * roots[:k], Qt[:k].T * roots[:k]
            points.append(torch.cat([U.flatten(), V.flatten()]))
        self._set_up(_Entries(M), (self.rows + self.columns) * self.rank, minima=tuples(points[-1:]), saddles=tuples(points[:-1]))

    @classmethod
    def examples(cls) -> list[Objective]:
        """Exact and truncated rank, square and rectangular."""
        return [cls(2, 1), cls([[1.0, 0.2, -0.4], [0.0, 0.7, 0.5]], 1), cls([[1.0, 0.3], [-0.2, 0.6], [0.1, 0.1]], 2)]

    def _factors(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        split = self.rows * self.rank
        lead = theta.shape[:-1]
        return theta[..., :split].reshape(*lead, self.rows, self.rank), theta[..., split:].reshape(*lead, self.columns, self.rank)

    def push(self, theta: Tensor, a: Tensor) -> Tensor:
        (U, V), (dU, dV) = self._factors(theta), self._factors(a)
        return (U @ dV.transpose(-1, -2) + dU @ V.transpose(-1, -2)).flatten(-2)

    def pull(self, theta: Tensor, q: Tensor) -> Tensor:
        U, V = self._factors(theta)
        Q = q.reshape(*q.shape[:-1], self.rows, self.columns)
        return torch.cat([(Q @ V).flatten(-2), (Q.transpose(-1, -2) @ U).flatten(-2)], -1)


class _Entries(Objective):
    """½|w − m|² as the mean over its N coordinates of (N/2)(wⱼ − mⱼ)²."""

    def __init__(self, matrix: Tensor) -> None:
        self.target = Resident(matrix.flatten())
        self.dim = self.n = matrix.numel()
        self.facts = Facts(
            grad=self._error,
            hessian=self._hessian,
            hvp=self._hvp,
            covariance=self._covariance,
            sample_grads=self._sample_grads,
            third=self._third,
            minima=tuples([matrix.flatten()]),
            constant_hessian=True,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """A small matrix."""
        return [cls(torch.tensor([[1.0, -2.0], [0.5, 0.0]], dtype=torch.float64))]

    def _error(self, theta: Tensor) -> Tensor:
        return theta - self.target.at(theta)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        error = self._error(theta)
        return self.n / 2 * (error if batch is None else error.gather(1, batch)) ** 2

    def _hessian(self, theta: Tensor) -> Tensor:
        return identity_rows(theta).expand(theta.shape[0], -1, -1)

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        return v

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return torch.zeros_like(theta)

    def _sample_grads(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        grads = self.n * torch.diag_embed(self._error(theta))  # [paths, n, dim]
        return grads if batch is None else grads.gather(1, batch[:, :, None].expand(-1, -1, self.dim))

    def _covariance(self, theta: Tensor) -> Tensor:
        error = self._error(theta)
        return self.n * torch.diag_embed(error**2) - error[:, :, None] * error[:, None, :]


def _target(target: Any) -> Tensor:
    if isinstance(target, (int, np.integer)) and not isinstance(target, bool):
        if target < 1:
            raise InputError(f"target = {target}; wanted a matrix, or an integer size ≥ 1.")
        return torch.diag(1 - torch.arange(int(target), dtype=torch.float64) / int(target))
    M = own(target, "target").to("cpu", torch.float64)
    if M.ndim != 2 or M.numel() == 0:
        raise InputError(f"target has shape {tuple(M.shape)}; wanted a matrix [rows, columns], or an integer size.")
    if not bool(torch.isfinite(M).all()):
        raise InputError("target holds NaN or infinity.")
    return M
