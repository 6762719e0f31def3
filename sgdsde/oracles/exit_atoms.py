"""Exit of a chain whose noise takes finitely many values: θ⁺ = T_a(θ) with probability w_a (two-point noise, minibatches).

Its mean exit jumps at every preimage of the border, so it is averaged over cells (Ulam's method, A Collection of Mathematical Problems, 1960):
P_ij = Σ_a w_a·|T_a(I_i) ∩ I_j|/|T_a(I_i)|, on ever finer cells until two grids agree. Bounded noise may be unable to leave at all: then the
hull of what can be reached from the start stays inside, and the mean is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from math import comb, factorial, prod

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch
from jaxtyping import Float

from sgdsde.calculus import sample_grads
from sgdsde.noise import Noise
from sgdsde.noises import Minibatch, MinibatchWithoutReplacement
from sgdsde.oracles.coefficients import sgd_field
from sgdsde.oracles.exit_law import ExitLaw
from sgdsde.oracles.killed_chain import absorption
from sgdsde.oracles.laws import Law, TwoPointLaw
from sgdsde.regions.interval import Interval
from sgdsde.types import OracleRefusal

Array = np.ndarray
#: points [P] → images [P, A] and weights [A]
Branches = Callable[[Float[Array, " P"]], tuple[Float[Array, "P A"], Float[Array, " A"]]]

MAX_BRANCHES = 512
_CELLS = tuple(2**n for n in range(9, 16))
#: solving with 1 − P loses digits in proportion to the mean; above this many steps states are eliminated without subtraction, on at most so many cells
_SPARSE_STEPS, _REDUCED_CELLS = 1e8, 4096
_HULL_POINTS = 20_001


def branches(noise: Noise, eta: float, law: Law | None = None) -> Branches:
    """The images of a point under one step, and their probabilities.

    Raises:
        OracleRefusal: the law of the noise is not one of finitely many values, or of too many.
    """
    if law is not None:
        if not isinstance(law, TwoPointLaw):
            raise OracleRefusal(f"No exit oracle for {type(law).__name__}: its density has a corner. Covered: Gaussian, TwoPointLaw, minibatches.")
        values, weights = law.quadrature(1)
        field = sgd_field(noise, eta)

        def by_law(x: Array) -> tuple[Array, Array]:
            b, Q = field(x[:, None])
            return x[:, None] + eta * b - np.sqrt(eta * Q[:, :, 0]) * values, weights

        return by_law
    return _by_batches(noise, eta, *_batches(noise))


def atoms_mean_exit(images: Branches, tick: float, start: float, interval: Interval, *, tolerance: float) -> ExitLaw:
    """The exit law of the chain; infinite mean where it cannot leave.

    Raises:
        OracleRefusal: the interval is not finite, or two grids differ by more than the tolerance.
    """
    low, high = interval.low, interval.high
    if not (math.isfinite(low) and math.isfinite(high)):
        raise OracleRefusal("Noise of finitely many values: give a finite interval, with an end that the chain does not reach in place of an infinite one.")
    if _trapped(images, start, low, high):
        return ExitLaw(math.inf, tick, {-1: 0.0, 1: 0.0}, 0.0)
    before, change = math.nan, math.inf
    for count in _CELLS:
        chain = _ulam(images, tick, start, low, high, count)
        mean, below, above = (float(number) for number in chain.start())
        change = abs(before / mean - 1)
        if change <= tolerance:
            return ExitLaw(mean * tick, tick, {-1: below, 1: above}, change, chain)
        before = mean
        if mean > _SPARSE_STEPS and count >= _REDUCED_CELLS:
            break
    raise OracleRefusal(
        f"Noise of finitely many values: grids of {count // 2} and {count} cells differ by {change:.1e} at a mean near {mean:.1e} steps; wanted "
        f"{tolerance:.1e}. Pass a larger tolerance, or simulate (rare exits: sg.rare_exit_time)."
    )


@dataclass(frozen=True)
class UlamChain:
    """The cell-averaged chain, sparse."""

    P: scipy.sparse.csr_matrix
    exits: Float[Array, "N 2"]
    first: Float[Array, " N"]
    first_exits: Float[Array, " 2"]
    tick: float

    def start(self) -> tuple[float, float, float]:
        """Mean steps, P(low), P(high) from the start point."""
        cells = self.P.shape[0]
        system = (scipy.sparse.identity(cells, format="csc") - self.P.tocsc()).tocsc()
        solved = scipy.sparse.linalg.splu(system).solve(np.column_stack([np.ones(cells), self.exits]))
        if not 0 < self.first @ solved[:, 0] < _SPARSE_STEPS and cells <= _REDUCED_CELLS:
            solved = absorption(self.P.toarray(), self.exits)
        mean, below, above = self.first @ solved
        return 1 + mean, self.first_exits[0] + below, self.first_exits[1] + above

    def survival(self, times: Float[Array, " T"]) -> Float[Array, " T"]:
        ks = np.floor(times / self.tick * (1 + 1e-12) + 1e-9).astype(np.int64)
        last = int(ks.max(initial=0))
        if last * self.P.nnz > 1e10:
            raise OracleRefusal(f"A survival curve over {last} steps is too long for this grid; use .rate beyond the transient.")
        curve, v = np.ones(last + 1), np.ones(self.P.shape[0])
        for k in range(1, last + 1):
            curve[k] = self.first @ v
            v = self.P @ v
        return curve[ks]

    def rate(self) -> float:
        values = scipy.sparse.linalg.eigs(self.P.T, k=1, which="LR", return_eigenvectors=False, v0=np.ones(self.P.shape[0]))
        return float(-np.log(values[0].real) / self.tick)


def _ulam(images: Branches, tick: float, start: float, low: float, high: float, count: int) -> UlamChain:
    grid = np.linspace(low, high, count + 1)
    ends, weights = images(grid)
    a, b = np.minimum(ends[:-1], ends[1:]), np.maximum(ends[:-1], ends[1:])  # the image of each cell: [cells, branches]
    P, exits = _spread(a, b, weights, low, high, count)
    point, _ = images(np.array([start]))
    # the first step is exact: each image lands in one cell, or outside
    first, first_exits = np.zeros(count), np.zeros(2)
    for y, w in zip(point[0], weights, strict=True):
        if low < y < high:
            first[min(int((y - low) / (high - low) * count), count - 1)] += w
        else:
            first_exits[int(y >= high)] += w
    return UlamChain(P, exits, first, first_exits, tick)


def _spread(a: Array, b: Array, weights: Array, low: float, high: float, count: int) -> tuple[scipy.sparse.csr_matrix, Array]:
    """Each cell's mass, spread uniformly over its images [a, b]: the part inside as a sparse matrix, the parts beyond as exits."""
    h = (high - low) / count
    length = np.maximum(b - a, 1e-300)
    exits = np.column_stack(
        [
            (weights * np.clip((np.minimum(b, low) - a) / length, 0, 1)).sum(1),
            (weights * np.clip((b - np.maximum(a, high)) / length, 0, 1)).sum(1),
        ]
    )
    left = np.floor((np.clip(a, low, high) - low) / h).astype(np.int64)
    rows = np.broadcast_to(np.arange(count)[:, None], a.shape)
    parts = []
    for shift in range(int(np.ceil(length.max() / h)) + 2):
        j = left + shift
        overlap = np.minimum(b, low + (j + 1) * h) - np.maximum(a, low + j * h)
        keep = (overlap > 0) & (j < count)
        parts.append((rows[keep], j[keep], (weights * overlap / length)[keep]))
    r, c, v = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return scipy.sparse.csr_matrix((v, (r, c)), shape=(count, count)), exits


def _trapped(images: Branches, start: float, low: float, high: float) -> bool:
    """Whether the hull of everything that the chain can reach from the start stays inside."""
    a = b = start
    for _ in range(100_000):
        points, _ = images(np.linspace(a, b, _HULL_POINTS) if b > a else np.array([a]))
        new_a, new_b = min(a, float(points.min())), max(b, float(points.max()))
        if new_a <= low or new_b >= high:
            return False
        if new_a >= a - 1e-13 * (high - low) and new_b <= b + 1e-13 * (high - low):
            return True
        a, b = new_a, new_b
    return False


def _batches(noise: Noise) -> tuple[Array, Array]:
    """All batches as index lists, and their probabilities."""
    if not isinstance(noise, (Minibatch, MinibatchWithoutReplacement)):
        raise OracleRefusal(f"The law of {type(noise).__name__} is not known to this oracle; give it: law=sg.oracles.GaussianLaw() or TwoPointLaw(p).")
    n, B = noise.objective.n, noise.batch_size
    replaced = isinstance(noise, Minibatch)
    count = comb(n + B - 1, B) if replaced else comb(n, B)
    if count > MAX_BRANCHES:
        raise OracleRefusal(f"{count} different batches of {B} from {n} samples; the oracle lists at most {MAX_BRANCHES}. Use law=GaussianLaw() for large B.")
    if not replaced:
        lists = np.array(list(combinations(range(n), B)))
        return lists, np.full(len(lists), 1 / count)
    lists = np.array(list(combinations_with_replacement(range(n), B)))
    weights = np.array([factorial(B) / prod(factorial(int(m)) for m in np.bincount(row)) / n**B for row in lists])
    return lists, weights


def _by_batches(noise: Noise, eta: float, lists: Array, weights: Array) -> Branches:
    def images(x: Array) -> tuple[Array, Array]:
        theta = torch.from_numpy(np.ascontiguousarray(x[:, None]))
        single = sample_grads(noise.objective, theta)[:, :, 0].numpy()  # [P, n]
        return x[:, None] - eta * single[:, lists].mean(2), weights

    return images
