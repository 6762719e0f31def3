"""The eigenpairs of largest |λ| of an objective's Hessian at every point of an ensemble, by Rayleigh–Ritz in a growing block Krylov space.

From m orthonormal rows Q: T = QHQᵀ, Ritz pairs (θ, x) from T's eigenvectors, residuals r = Hx − θx; where a path's residuals are too large its space grows by
its m residuals (which span the next block of the Krylov space), and restarts from its m best Ritz vectors when it becomes too wide. For a unit x there is an
eigenvalue within ‖r‖ of θ. Near the solution, as from one step of a path to the next, the first projection already passes and costs m products.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sgdsde.calculus import hvp_at
from sgdsde.objective import Objective
from sgdsde.objectives.memory import LARGE, require
from sgdsde.rng import stream

#: a space is restarted when it would become wider than this many blocks
_WIDEST = 4
#: growths of the space at most, from random rows and from rows of a nearby point
COLD_ROUNDS, WARM_ROUNDS = 60, 6
#: growths at least from random rows: their first Ritz values and residuals are small whatever the spectrum
COLD_LEAST = 3

#: (values [P, m], residuals [P, m]) ↦ which paths are accurate enough
Accept = Callable[[Tensor, Tensor], Bool[Tensor, " paths"]]


@dataclass(frozen=True)
class Outliers:
    """Ritz values by falling modulus, orthonormal rows, and ‖Hx − θx‖ of each; NaN where a point is not finite."""

    values: Float[Tensor, "paths m"]
    vectors: Float[Tensor, "paths m dim"]
    residuals: Float[Tensor, "paths m"]

    def replaced(self, paths: Tensor, other: Outliers) -> Outliers:
        """These with some paths' entries taken from ``other``."""
        return Outliers(*(mine.index_copy(0, paths, its) for mine, its in zip(self.parts(), other.parts(), strict=True)))

    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Values, vectors, residuals."""
        return self.values, self.vectors, self.residuals


def cold_rows(theta: Tensor, m: int) -> Float[Tensor, "paths m dim"]:
    """Rows to start from without knowledge: the same fixed Gaussian ones for every path."""
    rows = torch.randn(m, theta.shape[1], dtype=torch.float64, generator=stream(0, "outlier start"))
    return orthonormal(rows.to(theta)[None]).expand(theta.shape[0], -1, -1)


def orthonormal(rows: Float[Tensor, "paths m dim"]) -> Float[Tensor, "paths m dim"]:
    """An orthonormal basis of the rows' span by two rounds of Gram's matrix, cheaper than Householder's on long rows; zero rows where they are dependent."""
    for _ in range(2):
        rows = rows / torch.linalg.vector_norm(rows, dim=2, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
        values, turns = torch.linalg.eigh((rows @ rows.transpose(1, 2)).nan_to_num())
        independent = values > 1e3 * rows.shape[1] * torch.finfo(rows.dtype).eps
        scale = torch.where(independent, values.clamp_min(torch.finfo(rows.dtype).tiny).rsqrt(), torch.zeros_like(values))
        rows = (scale[:, :, None] * turns.transpose(1, 2)) @ rows
    return rows


def whitened(rows: Float[Tensor, "paths w dim"], images: Float[Tensor, "paths w dim"]) -> tuple[Tensor, Tensor]:
    """An orthonormal basis of the rows' span and H times it, from H times the rows; zero rows where these are nearly dependent.

    What is dropped has less than 1e-4 of its length beside the others (1e-2 in float32): dividing by that would amplify the images' rounding.
    """
    length = torch.linalg.vector_norm(rows, dim=2, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    rows, images = rows / length, images / length
    values, turns = torch.linalg.eigh((rows @ rows.transpose(1, 2)).nan_to_num())
    scale = torch.where(values > torch.finfo(rows.dtype).eps ** 0.5, values.clamp_min(torch.finfo(rows.dtype).tiny).rsqrt(), torch.zeros_like(values))
    change = scale[:, :, None] * turns.transpose(1, 2)
    return change @ rows, change @ images


def _beside(Q: Tensor, rows: Tensor) -> Tensor:
    """An orthonormal basis of what the rows add to the orthonormal rows Q; zero rows where they add nothing."""
    for _ in range(2):
        rows = rows - (rows @ Q.transpose(1, 2)) @ Q
        rows = orthonormal(rows)
    return rows


def _key(values: Tensor) -> Tensor:
    """What makes an eigenvalue an outlier: its modulus."""
    return values.abs()


def ritz(Q: Float[Tensor, "paths w dim"], HQ: Float[Tensor, "paths w dim"], m: int) -> tuple[Outliers, Tensor]:
    """The m Ritz pairs of largest modulus in the span of the orthonormal rows Q, and H times their vectors."""
    T = Q @ HQ.transpose(1, 2)
    T = (T + T.transpose(1, 2)) / 2
    broken = ~torch.isfinite(T).flatten(1).all(1)
    values, turns = torch.linalg.eigh(torch.nan_to_num(T, nan=0.0, posinf=0.0, neginf=0.0))
    order = _key(values).argsort(1, descending=True)[:, :m]
    values = torch.where(broken[:, None], torch.nan, values.gather(1, order))
    turns = turns.gather(2, order[:, None].expand(-1, turns.shape[1], -1)).transpose(1, 2)  # [paths, m, w]
    vectors, images = turns @ Q, turns @ HQ
    return Outliers(values, vectors, torch.linalg.vector_norm(images - values[:, :, None] * vectors, dim=2)), images


def outliers(
    objective: Objective,
    theta: Float[Tensor, "paths dim"],
    rows: Float[Tensor, "paths m dim"],
    *,
    accept: Accept,
    rounds: int,
    least: int,
    images: Tensor | None = None,
) -> Outliers:
    """As many eigenpairs as ``rows`` has, from the span of these orthonormal rows; ``images``: H times the rows, where it is known.

    Each path stops when it is accepted after ``least`` growths or more, or after ``rounds``.
    """
    paths, dim = theta.shape
    numbers = 4 * _WIDEST * paths * rows.shape[1] * dim
    if numbers > LARGE:
        require(numbers, theta, what=f"Tracking {rows.shape[1]} eigenvectors of {paths} paths in {dim} dimensions", instead="Use a smaller block_size or k.")
    product = hvp_at(objective, theta)
    Q, HQ = rows, product(rows) if images is None else images
    m, live, found = rows.shape[1], torch.arange(theta.shape[0], device=theta.device), None
    for round_number in range(rounds + 1):
        pairs, images = ritz(Q, HQ, m)
        found = pairs if found is None else found.replaced(live, pairs)
        open_ = ~torch.isnan(pairs.values).any(1)
        if round_number >= least:
            open_ = open_ & ~accept(pairs.values, pairs.residuals)
        if round_number == rounds or Q.shape[1] >= theta.shape[1] or not bool(open_.any()):
            break
        if not bool(open_.all()):
            keep = torch.nonzero(open_)[:, 0]
            live, Q, HQ, images = live[keep], Q[keep], HQ[keep], images[keep]
            pairs = Outliers(*(part[keep] for part in pairs.parts()))
            product = hvp_at(objective, theta[live])
        if Q.shape[1] + m > min(_WIDEST * m, theta.shape[1]):
            Q, HQ = pairs.vectors, images
        growth = images - pairs.values[:, :, None] * pairs.vectors
        new = min(m, theta.shape[1] - Q.shape[1])
        D = _beside(Q, growth[:, :new])
        Q, HQ = torch.cat([Q, D], 1), torch.cat([HQ, product(D)], 1)
    assert found is not None
    return found


class Tracked:
    """Rows that a thread remembers from its last evaluation: a start for the next one, nothing that a result rests on.

    Each worker thread has its own; ``forget`` is called where a block of paths begins, so that a block's numbers do not depend on what ran before it.
    """

    def __init__(self) -> None:
        self._here = threading.local()

    def recall(self, theta: Tensor) -> Tensor | None:
        """The remembered rows, where they fit the ensemble at hand."""
        rows: Tensor | None = getattr(self._here, "rows", None)
        fits = rows is not None and rows.shape[0] == theta.shape[0] and rows.dtype == theta.dtype and rows.device == theta.device
        return rows if fits else None

    def keep(self, rows: Tensor) -> None:
        """Remember."""
        self._here.rows = rows

    def forget(self) -> None:
        """Start from nothing next time."""
        self._here.rows = None

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._here = threading.local()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tracked:
        return Tracked()
