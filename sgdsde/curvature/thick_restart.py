"""Thick-restart Lanczos with full reorthogonalisation: extreme eigenpairs from products alone.

The decomposition A Q = Q T + u bᵀ, Q orthonormal, is extended by the vector u: T gains the column [Q u]ᵀAu, and what is left of Au after two projections on
*all* of [Q u] is the next u times its b. A Ritz pair (θ, Qs) has the residual |bᵀs|, known without a product. When Q is full it is replaced by its most
wanted Ritz vectors, which keeps the decomposition (Wu, Simon 2000). The sum of eigenvectors of a nearby operator is a warm start: the first few steps
recover them all. (A block of them is a worse one: it needs k products for each degree of the polynomial that one vector has for one.)

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
    """A Q = Q T + u bᵀ: ``Q [m, dim]`` by rows, ``T [m, m]``, ``u [dim]`` (None: Q spans the whole space), ``b [m]``."""

    Q: Float[Tensor, "m dim"]
    T: Float[Tensor, "m m"]
    u: Float[Tensor, " dim"] | None
    b: Float[Tensor, " m"]


@dataclass(frozen=True)
class Found:
    """Eigenvalues ``[k]``, vectors ``[dim, k]``, products used, and whether all residuals came below the tolerance."""

    values: Float[Tensor, " k"]
    vectors: Float[Tensor, "dim k"]
    products: int
    converged: bool


def thick_restart(
    operator: Operator, k: int, *, which: str, tolerance: float, start: Float[Tensor, " dim"] | None, basis: int, most: int, progress: bool | None = None
) -> Found:
    """k extreme eigenpairs with ‖Av − λv‖ ≤ ``tolerance``·max|λ|; at most ``basis`` vectors are kept and ``most`` products made."""
    generator = stream(0, "thick restart")
    empty = torch.empty(0, operator.dim, dtype=operator.dtype, device=operator.device)
    u = random_direction(empty, generator) if start is None else start.to(empty) / torch.linalg.vector_norm(start.to(empty))
    state = Krylov(empty, empty.new_zeros(0, 0), u, empty.new_zeros(0))
    searching, locked = 0, empty.new_zeros(0)
    with tqdm(desc="eigenpairs", unit="product", leave=False, disable=None if progress is None else not progress) as bar:
        for products in range(1, most + 1):
            state = extended(operator, state, generator)
            values, S = torch.linalg.eigh(state.T)
            order = most_wanted(values, which)
            first = order[:k]
            size = float(values.abs().max())
            residual = float((state.b @ S[:, first]).abs().max())
            bar.update()
            bar.set_postfix(residual=f"{residual / max(size, 1e-300):.1e}", refresh=False)
            if state.u is None or products == most:
                break
            if searching:
                searching -= 1
                news = bool(((values[first] - locked).abs() > 2 * tolerance * size).any())
                if not news and searching == 0:
                    break
                searching = 0 if news else searching
            elif values.numel() >= k and residual <= tolerance * size:
                searching, locked = SEARCH, values[first]
                Q = _ritz(state, S[:, first])
                state = Krylov(Q, torch.diag(locked), random_direction(Q, generator), locked.new_zeros(k))
                continue
            if values.numel() == basis:
                keep = order[: max(k + 1, min(basis - 2, (k + basis) // 2))]
                state = Krylov(_ritz(state, S[:, keep]), torch.diag(values[keep]), state.u, state.b @ S[:, keep])
    return Found(values[first], state.Q.T @ S[:, first], products, state.u is None or residual <= tolerance * size)


def most_wanted(values: Float[Tensor, " m"], which: str) -> Tensor:
    """Indices of ascending values, the most wanted first; for ``both`` ends by turns, the largest first."""
    up = torch.arange(values.numel(), device=values.device)
    if which == "magnitude":
        return values.abs().argsort(descending=True, stable=True)
    if which == "both":
        return torch.stack([up.flip(0), up], 1).flatten()[: values.numel()]
    return up.flip(0) if which == "largest" else up


def orthogonalised(w: Float[Tensor, " dim"], Q: Float[Tensor, "m dim"]) -> tuple[Tensor, Tensor]:
    """w without its part in the rows of Q, projected out twice, and the coefficients ``[m]``."""
    first = Q @ w
    w = w - first @ Q
    second = Q @ w
    return w - second @ Q, first + second


def extended(operator: Operator, state: Krylov, generator: Generator) -> Krylov:
    """The decomposition with u taken into Q, by one product."""
    assert state.u is not None
    m = state.T.shape[0]
    Q = torch.cat([state.Q, state.u[None]])
    w, c = orthogonalised(operator @ state.u, Q)
    T = c.new_zeros(m + 1, m + 1)
    T[:m, :m], T[m, :], T[:, m] = state.T, c, c
    rounding, scale = torch.finfo(T.dtype).eps, float(torch.linalg.matrix_norm(T, 1))
    beta = float(torch.linalg.vector_norm(w))
    b = c.new_zeros(m + 1)
    if beta <= 8 * rounding * scale:  # Q is invariant: what it cannot see is looked for from a random direction
        return Krylov(Q, T, random_direction(Q, generator), b)
    u = w / beta
    if beta < 1e-4 * scale:  # normalising has magnified what rounding left of Q
        u = orthogonalised(u, Q)[0]
        u = u / torch.linalg.vector_norm(u)
    b[m] = beta
    return Krylov(Q, T, u, b)


def random_direction(Q: Float[Tensor, "m dim"], generator: Generator) -> Tensor | None:
    """A random unit vector orthogonal to the rows of Q; None where they span the space."""
    if Q.shape[0] >= Q.shape[1]:
        return None
    u = torch.randn(Q.shape[1], generator=generator, dtype=torch.float64).to(Q)
    for _ in range(2):
        u = orthogonalised(u, Q)[0]
        u = u / torch.linalg.vector_norm(u)
    return u


def _ritz(state: Krylov, S: Tensor) -> Tensor:
    """Ritz vectors by rows; their orthogonality, of which each restart loses a little, is restored."""
    return upright(state.Q.T @ S).T.contiguous()


def upright(columns: Tensor) -> Tensor:
    """Nearly orthonormal columns made orthonormal, signs kept."""
    Q, R = torch.linalg.qr(columns)
    return Q * torch.sign(R.diagonal())
