"""A finite Markov chain with exits: mean, sides and survival, to full relative accuracy however rare the exit.

u = 1 + Pu by state reduction (Grassmann, Taksar, Heyman, Operations Research 33, 1985): eliminate state n by
s = exit_n + Σ_{j<n}P_nj, P_ij += P_in P_nj/s, exit_i += P_in exit_n/s. Diagonals and 1 − P never appear, all terms are positive, nothing cancels:
a mean of 10³⁰ steps is as accurate as one of 10. Survival by powers of P until the decay is geometric.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
from jaxtyping import Float

Array = np.ndarray

#: ticks of survival that are stepped through before the tail is taken as geometric
_STEPS = 20_000


def absorption(P: Float[Array, "N N"], exits: Float[Array, "N S"]) -> Float[Array, "N 1+S"]:
    """Mean number of steps to absorption (first column) and the probability of each exit, from every state.

    P ≥ 0 off the diagonal (the diagonal is not read), ``exits`` ≥ 0: the probability of leaving by each side in one step. Means beyond 1e308 come out infinite
    or NaN.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _eliminate(P, exits)


def _eliminate(P: Float[Array, "N N"], exits: Float[Array, "N S"]) -> Float[Array, "N 1+S"]:
    A, E = P.copy(), exits.sum(1)
    T = np.column_stack([np.ones(len(A)), exits])
    pivots = np.empty(len(A))
    for n in range(len(A) - 1, 0, -1):
        pivots[n] = E[n] + A[n, :n].sum()
        rows, columns = _from_first(A[:n, n]), _from_first(A[n, :n])  # noise is local: most of the matrix is empty
        factor = A[rows, n] / pivots[n]
        A[rows, columns] += np.outer(factor, A[n, columns])
        E[rows] += factor * E[n]
        T[rows] += factor[:, None] * T[n]
    pivots[0] = E[0]
    u = np.empty_like(T)
    for n in range(len(A)):
        u[n] = (T[n] + A[n, :n] @ u[:n]) / pivots[n]
    return u


def _from_first(values: Array) -> slice:
    """From the first entry that is not zero to the end."""
    first = int((values != 0).argmax()) if values.any() else len(values)
    return slice(first, len(values))


def survival_curve(ticks: Float[Array, " T"], first: Float[Array, " N"], step: Float[Array, "N N"], *, decay: float) -> Float[Array, " T"]:
    """P(τ > t) = first·step^{k−1}·1, k = ⌊t/tick⌋; the matrix is applied until the curve falls by e^{−decay} a tick everywhere."""
    ks = np.floor(ticks * (1 + 1e-12) + 1e-9).astype(np.int64)
    curve, v = [1.0], np.ones(len(step))
    for _ in range(int(min(ks.max(initial=0), _STEPS))):
        curve.append(float(first @ v))
        after = step @ v
        settled = np.abs(after - np.exp(-decay) * v).max() <= 1e-14 * v.max()
        v = after
        if settled:
            break
    last = len(curve) - 1
    return np.array(curve)[np.minimum(ks, last)] * np.exp(-decay * np.maximum(ks - last, 0))


@dataclass(frozen=True)
class KilledChain:
    """Transition matrix between states inside, one-step exits, and the first step from the start point (a row, not a state)."""

    P: Float[Array, "N N"]
    exits: Float[Array, "N 2"]
    first: Float[Array, " N"]
    first_exits: Float[Array, " 2"]
    tick: float

    @cached_property
    def solution(self) -> Float[Array, "N 3"]:
        """Mean steps and side probabilities from every state."""
        return absorption(self.P, self.exits)

    def start(self) -> tuple[float, float, float]:
        """Mean steps, P(low), P(high) from the start point."""
        u = np.nan_to_num(self.solution, nan=np.inf, posinf=np.inf)
        if not np.isfinite(u[:, 0]).all():
            return float("inf"), float("nan"), float("nan")
        return float(1 + self.first @ u[:, 0]), float(self.first_exits[0] + self.first @ u[:, 1]), float(self.first_exits[1] + self.first @ u[:, 2])

    def survival(self, times: Float[Array, " T"]) -> Float[Array, " T"]:
        return survival_curve(times / self.tick, self.first, self._step, decay=self.rate() * self.tick)

    def rate(self) -> float:
        return float(-np.log1p(-self._killing) / self.tick)

    @cached_property
    def _step(self) -> Float[Array, "N N"]:
        """P with the diagonal that makes each row conserve probability."""
        step = self.P.copy()
        np.fill_diagonal(step, 0.0)
        np.fill_diagonal(step, np.maximum(1 - self.exits.sum(1) - step.sum(1), 0.0))
        return step

    @cached_property
    def quasi_stationary(self) -> Float[Array, " N"]:
        """The law inside after long survival: ν ∝ νP, by inverse iteration."""
        factors = scipy.linalg.lu_factor((np.eye(len(self.P)) * (1 + 1e-13) - self._step).T)
        nu = np.full(len(self.P), 1 / len(self.P))
        for _ in range(200):
            update = np.abs(scipy.linalg.lu_solve(factors, nu))
            update /= update.sum()
            change = np.abs(update - nu).sum()
            nu = update
            if change < 1e-13:
                break
        return nu

    @property
    def _killing(self) -> float:
        """Probability of leaving in one step from the quasi-stationary law: no difference of near-equal numbers."""
        return float(self.quasi_stationary @ self.exits.sum(1))
