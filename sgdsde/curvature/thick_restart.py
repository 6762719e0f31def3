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
from sgdsde.types import OracleRefusal

#: steps from a random direction, after convergence
SEARCH = 8


@dataclass(frozen=True)
class Krylov:
    """A Q = Q T + u bᵀ: ``Q [m, dim]`` by rows, the first of a ``store``; ``T [m, m]``; ``u [dim]`` (None: Q spans the whole space); ``b [m]``."""

    store: Float[Tensor, "basis dim"]
    T: Float[Tensor, "m m"]
    u: Float[Tensor, " dim"] | None
    b: Float[Tensor, " m"]

    @property
    def Q(self) -> Float[Tensor, "m dim"]:
        """The orthonormal basis."""
        return self.store[: self.T.shape[0]]


@dataclass(frozen=True)
class Found:
    """Eigenvalues ``[k]``, vectors ``[dim, k]``, ‖Av − λv‖ ``[k]``, products used, and whether all residuals came below the tolerance."""

    values: Float[Tensor, " k"]
    vectors: Float[Tensor, "dim k"]
    residuals: Float[Tensor, " k"]
    products: int
    converged: bool


def thick_restart(
    operator: Operator, k: int, *, which: str, tolerance: float, start: Float[Tensor, " dim"] | None, basis: int, most: int, progress: bool | None = None
) -> Found:
    """k extreme eigenpairs with ‖Av − λv‖ ≤ ``tolerance``·max|λ|; at most ``basis`` vectors are kept and ``most`` products made."""
    generator = stream(0, "thick restart")
    store = torch.empty(basis + 1, operator.dim, dtype=operator.dtype, device=operator.device)
    u = random_direction(store[:0], generator) if start is None else start.to(store) / torch.linalg.vector_norm(start.to(store))
    state = Krylov(store, store.new_zeros(0, 0), u, store.new_zeros(0))
    searching, locked = 0, store.new_zeros(0)
    dropped = store.new_zeros(0, 0)  # [locks, m]: what of AQ − QT was given up when converged vectors were locked
    with tqdm(desc="eigenpairs", unit="product", leave=False, disable=None if progress is None else not progress) as bar:
        for products in range(1, most + 1):
            state = extended(operator, state, generator, tolerance)
            values, S = torch.linalg.eigh(state.T)
            order = most_wanted(values, which)
            first = order[:k]
            size = float(values.abs().max())
            dropped = torch.nn.functional.pad(dropped, (0, 1))
            own = (state.b @ S[:, first]).abs()
            residuals = own + (dropped @ S[:, first]).abs().sum(0)
            worst = float(residuals.max())
            bar.update()
            bar.set_postfix(residual=f"{worst / max(size, 1e-300):.1e}", refresh=False)
            if state.u is None or products == most:
                break
            if searching:
                searching -= 1
                news = bool(((values[first] - locked).abs() > 2 * tolerance * size).any())
                if not news and searching == 0:
                    break
                searching = 0 if news else searching
            elif values.numel() >= k and float(own.max()) <= tolerance * size / 2 ** (dropped.shape[0] + 1):  # given up in all: less than the tolerance
                searching, locked = SEARCH, values[first]
                dropped = torch.cat([dropped, state.b[None]]) @ S[:, first]
                restart(state, S[:, first])
                state = Krylov(store, torch.diag(locked), random_direction(store[:k], generator), locked.new_zeros(k))
                continue
            if values.numel() == basis:
                keep = order[: max(k + 1, min(basis - 2, (k + basis) // 2))]
                restart(state, S[:, keep])
                state, dropped = Krylov(store, torch.diag(values[keep]), state.u, state.b @ S[:, keep]), dropped @ S[:, keep]
    return Found(values[first], state.Q.T @ S[:, first], residuals, products, worst <= tolerance * size)


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


def extended(operator: Operator, state: Krylov, generator: Generator, tolerance: float) -> Krylov:
    """The decomposition with u taken into Q, by one product.

    Raises:
        OracleRefusal: QᵀAu is not b: the operator is not symmetric, or orthogonality is lost.
    """
    assert state.u is not None
    m = state.T.shape[0]
    state.store[m] = state.u
    Q = state.store[: m + 1]
    w, c = orthogonalised(operator @ state.u, Q)
    T = c.new_zeros(m + 1, m + 1)
    T[:m, :m], T[m, :], T[:, m] = state.T, c, c
    rounding, scale = torch.finfo(T.dtype).eps, float(torch.linalg.matrix_norm(T, 1))
    wrong = float((c[:m] - state.b).abs().max()) if m else 0.0
    if wrong > max(10 * tolerance, rounding**0.5) * scale:
        raise OracleRefusal(
            f"QᵀAu and the T before it differ by {wrong / scale:.1g} of A's size: A is not symmetric, or orthogonality is lost and ghosts appear. "
            "Lanczos does not apply."
        )
    beta = float(torch.linalg.vector_norm(w))
    b = c.new_zeros(m + 1)
    if beta <= 8 * rounding * scale:  # Q is invariant: what it cannot see is looked for from a random direction
        return Krylov(state.store, T, random_direction(Q, generator), b)
    u = w / beta
    if beta < 1e-4 * scale:  # normalising has magnified what rounding left of Q
        u = orthogonalised(u, Q)[0]
        u = u / torch.linalg.vector_norm(u)
    b[m] = beta
    return Krylov(state.store, T, u, b)


def random_direction(Q: Float[Tensor, "m dim"], generator: Generator) -> Tensor | None:
    """A random unit vector orthogonal to the rows of Q; None where they span the space."""
    if Q.shape[0] >= Q.shape[1]:
        return None
    u = torch.randn(Q.shape[1], generator=generator, dtype=torch.float64).to(Q)
    for _ in range(2):
        u = orthogonalised(u, Q)[0]
        u = u / torch.linalg.vector_norm(u)
    return u


def restart(state: Krylov, S: Float[Tensor, "m p"]) -> None:
    """Q replaced by the Ritz vectors QS; their orthogonality, of which each restart loses a little, is restored."""
    state.store[: S.shape[1]] = upright(state.Q.T @ S).T


def upright(columns: Tensor) -> Tensor:
    """Nearly orthonormal columns made orthonormal, signs kept."""
    Q, R = torch.linalg.qr(columns)
    return Q * torch.sign(R.diagonal())
