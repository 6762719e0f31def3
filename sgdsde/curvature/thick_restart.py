"""Thick-restart Lanczos in blocks, with full reorthogonalisation: extreme eigenpairs from products alone.

The decomposition A Q = Q T + U B, Q orthonormal, is extended by the block U: T gains the columns [Q U]ᵀAU, and what is left of AU after two projections
on *all* of [Q U] is the next UB. A Ritz pair (θ, Qs) has the residual ‖Bs‖, known without a product. When Q is full it is replaced by its most wanted Ritz
vectors, which keeps the decomposition (Wu, Simon 2000). One vector starts it cold; eigenvectors of a nearby operator start it as a block, which
narrows as they converge.

No eigenvector can show twice (a ghost): every new vector is made orthogonal to all kept ones. Eigenvalues that the start could not see (multiple ones; new ones
orthogonal to a warm start) are searched for after convergence, by ``SEARCH`` steps from a random direction orthogonal to what was found. That finds
what stands out; an eigenvalue that barely enters the wanted ones may need more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from tqdm import tqdm

from sgdsde.curvature.operator import Operator
from sgdsde.rng import stream

#: steps from a random direction, after convergence
SEARCH = 8


@dataclass(frozen=True)
class Krylov:
    """A Q = Q T + U B: ``Q [m, dim]`` and ``U [b, dim]`` by rows, ``T [m, m]``, ``B [b, m]``."""

    Q: Float[Tensor, "m dim"]
    T: Float[Tensor, "m m"]
    U: Float[Tensor, "b dim"]
    B: Float[Tensor, "b m"]


@dataclass(frozen=True)
class Found:
    """Eigenvalues ``[k]``, vectors ``[dim, k]``, products used, and whether all residuals came below the tolerance."""

    values: Float[Tensor, " k"]
    vectors: Float[Tensor, "dim k"]
    products: int
    converged: bool


def thick_restart(
    operator: Operator, k: int, *, which: str, tolerance: float, start: Float[Tensor, "dim b"] | None, basis: int, most: int, progress: bool | None = None
) -> Found:
    """k extreme eigenpairs with ‖Av − λv‖ ≤ ``tolerance``·max|λ|; at most ``basis`` vectors are kept and about ``most`` products made."""
    generator = stream(0, "thick restart")
    like = torch.empty(operator.dim, dtype=operator.dtype, device=operator.device)
    empty = like.new_zeros(0, operator.dim)
    U = _random(1, empty, like, generator) if start is None else _independent(start.T.to(like), empty, like, generator)
    state = Krylov(empty, like.new_zeros(0, 0), U, like.new_zeros(U.shape[0], 0))
    products, searching, locked = 0, 0, like.new_zeros(0)
    with tqdm(desc="eigenpairs", unit="product", leave=False, disable=None if progress is None else not progress) as bar:
        while True:
            width = state.U.shape[0]
            state = _extend(operator, state, tolerance, generator)
            products += width
            bar.update(width)
            values, S = torch.linalg.eigh(state.T)
            order = most_wanted(values, which)
            size = float(values.abs().max())
            m = values.numel()
            residuals = torch.linalg.vector_norm(state.B @ S[:, order[:k]], dim=0)
            bar.set_postfix(residual=f"{float(residuals.max()) / max(size, 1e-300):.1e}", refresh=False)
            converged = m >= k and bool((residuals <= tolerance * size).all())
            complete = state.U.shape[0] == 0  # the whole space is spanned
            if searching:
                searching -= 1
                news = bool(((values[order[:k]] - locked).abs() > 2 * tolerance * size).any())
                if not news and (searching == 0 or complete):
                    return Found(values[order[:k]], state.Q.T @ S[:, order[:k]], products, True)
                searching = 0 if news else searching
            elif complete or (converged and m == operator.dim) or products >= most:
                return Found(values[order[:k]], state.Q.T @ S[:, order[:k]], products, converged or complete)
            elif converged:
                searching, locked = SEARCH, values[order[:k]]
                Q = _ritz(state, S[:, order[:k]])
                U = _random(1, Q, like, generator)
                state = Krylov(Q, torch.diag(locked), U, like.new_zeros(U.shape[0], k))
                continue
            if m + state.U.shape[0] > basis:
                keep = order[: max(k + 1, min(basis - state.U.shape[0] - 1, (k + basis) // 2))]
                state = Krylov(_ritz(state, S[:, keep]), torch.diag(values[keep]), state.U, state.B @ S[:, keep])


def most_wanted(values: Float[Tensor, " m"], which: str) -> Tensor:
    """Indices of ascending values, the most wanted first; for ``both`` ends by turns, the largest first."""
    up = torch.arange(values.numel(), device=values.device)
    if which == "magnitude":
        return values.abs().argsort(descending=True, stable=True)
    if which == "both":
        return torch.stack([up.flip(0), up], 1).flatten()[: values.numel()]
    return up.flip(0) if which == "largest" else up


def orthogonalised(W: Float[Tensor, "b dim"], Q: Float[Tensor, "m dim"]) -> tuple[Tensor, Tensor]:
    """W without its part in the rows of Q, projected out twice, and the coefficients ``[m, b]``."""
    first = Q @ W.T
    W = W - first.T @ Q
    second = Q @ W.T
    return W - second.T @ Q, first + second


def _extend(operator: Operator, state: Krylov, tolerance: float, generator: Generator) -> Krylov:
    m, b = state.T.shape[0], state.U.shape[0]
    Q = torch.cat([state.Q, state.U])
    W, C = orthogonalised((operator @ state.U.T).T, Q)
    T = C.new_zeros(m + b, m + b)
    T[:m, :m], T[:, m:] = state.T, C
    T[m:, :m] = C[:m].T
    T[m:, m:] = (C[m:] + C[m:].T) / 2
    triangle = torch.linalg.qr(W.T)
    left, sizes, right = torch.linalg.svd(triangle.R)
    # directions that change no Ritz pair by more than a tenth of the tolerance are dropped, so the block narrows
    scale = float(torch.linalg.matrix_norm(T, 1))
    kept = sizes > max(0.1 * tolerance / b**0.5, 8 * torch.finfo(T.dtype).eps) * scale
    U = (triangle.Q @ left[:, kept]).T
    if bool(kept.any()) and float(sizes[kept].min()) < 1e-4 * scale:  # normalising has magnified what rounding left of Q
        U = _upright(orthogonalised(U, Q)[0].T).T
    B = torch.cat([C.new_zeros(int(kept.sum()), m), sizes[kept, None] * right[kept]], 1)
    if U.shape[0] == 0:
        U = _random(1, Q, Q[0], generator)
        B = C.new_zeros(U.shape[0], m + b)
    return Krylov(Q, T, U, B)


def _ritz(state: Krylov, S: Tensor) -> Tensor:
    """Ritz vectors by rows; their orthogonality, which each restart loses a little of, is restored."""
    return _upright(state.Q.T @ S).T.contiguous()


def _upright(columns: Tensor) -> Tensor:
    """Nearly orthonormal columns made orthonormal, signs kept."""
    Q, R = torch.linalg.qr(columns)
    return Q * torch.sign(R.diagonal())


def _random(count: int, Q: Tensor, like: Tensor, generator: Generator) -> Tensor:
    """Random orthonormal rows orthogonal to those of Q; fewer where the space has no more."""
    count = min(count, Q.shape[1] - Q.shape[0])
    rows = torch.randn(count, Q.shape[1], generator=generator, dtype=torch.float64).to(like)
    return _independent(rows, Q, like, generator) if count else rows


def _independent(rows: Tensor, Q: Tensor, like: Tensor, generator: Generator) -> Tensor:
    """Orthonormal rows spanning the given ones, orthogonal to Q; dependent ones are left out."""
    rows = orthogonalised(torch.linalg.qr(rows.T).Q.T if rows.shape[0] > 1 else rows, Q)[0]
    basis, sizes, _ = torch.linalg.svd(rows.T, full_matrices=False)
    good = basis[:, sizes > 1e-8 * sizes.max()] if float(sizes.max()) > 0 else basis[:, :0]
    if good.shape[1] == 0:
        return _random(1, Q, like, generator)
    return torch.linalg.qr(orthogonalised(good.T, Q)[0].T).Q.T.contiguous()
