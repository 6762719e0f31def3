"""How far two subspaces agree: overlap ‖UᵀV‖²_F/k and principal angles, beside what chance gives.

For orthonormal U ``[dim, k]`` and V ``[dim, m]``, k ≤ m, the singular values of UᵀV are the cosines of the principal angles (Björck, Golub 1973) and the
overlap is their mean square: 1 for contained subspaces, m/dim on average for a uniformly random one (Wu et al. 2010.04261).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.rng import stream
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate, InputError


@dataclass(frozen=True)
class Overlap:
    """``value`` in [0, 1]; cosines of the principal angles (descending); ``chance`` = max(k, m)/dim, the mean for a random subspace.

    Example:
        >>> e = torch.eye(4)
        >>> found = sg.curvature.overlap(e[:, :2], e[:, 1:3])
        >>> found.value, found.chance  # one direction of two is shared; 2/4 by chance
        (0.5, 0.5)
    """

    value: float
    cosines: Float[Tensor, " k"]
    chance: float

    @property
    def angles(self) -> Float[Tensor, " k"]:
        """The principal angles in radians, ascending."""
        return torch.arccos(self.cosines)

    @property
    def lift(self) -> float:
        """value/chance: how many times more than a random subspace."""
        return self.value / self.chance


def overlap(U: Float[Tensor, "dim k"], V: Float[Tensor, "dim m"]) -> Overlap:
    """The overlap of the spans of the columns, k ≤ m or m ≤ k: mean squared cosine over the smaller dimension.

    Raises:
        InputError: different ambient dimensions, or dependent columns.

    Example:
        >>> e = torch.eye(4)
        >>> sg.curvature.overlap(e[:, :2], e[:, :2]).value, sg.curvature.overlap(e[:, :2], e[:, 2:]).value
        (1.0, 0.0)
    """
    if U.ndim != 2 or V.ndim != 2 or U.shape[0] != V.shape[0]:
        raise InputError(f"Subspaces of shapes {tuple(U.shape)} and {tuple(V.shape)}; wanted [dim, k] and [dim, m] of one dim.")
    cosines = torch.linalg.svdvals(_basis(U, "U").T @ _basis(V, "V")).clamp(max=1.0)
    return Overlap(float((cosines**2).mean()), cosines, max(U.shape[1], V.shape[1]) / U.shape[0])


def principal_angles(U: Float[Tensor, "dim k"], V: Float[Tensor, "dim m"]) -> Float[Tensor, " k"]:
    """The principal angles between two spans in radians, ascending; small ones from sines, which rounding does not spoil as it does cosines.

    Raises:
        InputError: as :func:`overlap`.

    Example:
        >>> e = torch.eye(3, dtype=torch.float64)
        >>> [round(math.degrees(angle), 6) for angle in sg.curvature.principal_angles(e[:, :1], e[:, :1] + e[:, 1:2])]
        [45.0]
    """
    if U.shape[1] > V.shape[1]:
        U, V = V, U
    found = overlap(U, V)
    P, Q = _basis(U, "U"), _basis(V, "V")
    sines = torch.linalg.svdvals(P - Q @ (Q.T @ P)).clamp(max=1.0).flip(0)
    return torch.where(found.cosines**2 > 0.5, torch.arcsin(sines), torch.arccos(found.cosines))


def overlap_curve(U: Float[Tensor, "dim k"], V: Float[Tensor, "dim k"]) -> Float[np.ndarray, " k"]:
    """The overlap ‖U_jᵀV_j‖²_F/j of the first j columns, j = 1…k; columns are orthonormal, as eigenvectors are.

    Example:
        >>> e = torch.eye(3)
        >>> sg.curvature.overlap_curve(e, e[:, [1, 0, 2]]).tolist()  # the first two are exchanged: alike from j = 2 on
        [0.0, 1.0, 1.0]
    """
    squares = ((U.T @ V) ** 2).cumsum(0).cumsum(1).diagonal()
    return np.asarray((squares / torch.arange(1, U.shape[1] + 1).to(squares)).cpu().double())


def random_overlap(dim: int, k: int, m: int | None = None, *, draws: int = 200, seed: int = 0) -> Estimate:
    """The overlap of a fixed k-dimensional subspace with random m-dimensional ones: mean over draws; ``stderr``·√n is the spread of one draw.

    Its expectation is max(k, m)/dim.

    Raises:
        InputError: k or m outside 1…dim, or fewer than 2 draws.

    Example:
        >>> found = sg.curvature.random_overlap(100, 5)
        >>> bool(abs(found.value - 5 / 100) < 4 * found.stderr)
        True
    """
    m = k if m is None else m
    if not (is_whole(dim, 1) and is_whole(k, 1, dim) and is_whole(m, 1, dim) and is_whole(draws, 2)):
        raise InputError(f"k = {k!r}, m = {m!r}, dim = {dim!r}, draws = {draws!r}; wanted subspaces of 1…dim dimensions and at least 2 draws.")
    generator = stream(seed, "random subspaces")
    values = []
    for _ in range(draws):  # the fixed subspace is spanned by the first coordinates, the law of the other is rotation invariant
        Q = torch.linalg.qr(torch.randn(dim, m, generator=generator, dtype=torch.float64))[0]
        values.append(float((Q[:k] ** 2).sum()) / min(k, m))
    return mean_estimate(values)


def _basis(columns: Tensor, name: str) -> Tensor:
    basis, triangle = torch.linalg.qr(columns)
    size = triangle.diagonal().abs()
    if columns.shape[1] > columns.shape[0] or float(size.min()) <= 1e-10 * float(size.max()):
        raise InputError(f"The columns of {name} are linearly dependent; a subspace needs independent ones.")
    return basis
