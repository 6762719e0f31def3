"""λmax for many θ at once: Lanczos with full reorthogonalisation, each step one Hessian–vector product of all paths together.

For a unit Ritz vector y with value μ there is an eigenvalue of H within ‖Hy − μy‖ = β_m|s_m| of μ, and μ ≤ λmax: μ is a lower bound that the residual closes.
The iteration ends when every path's residual is below ``tolerance``·|μ|.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.asked import check_beside, check_points
from sgdsde.calculus import hvp_at
from sgdsde.given import is_whole
from sgdsde.objective import Objective
from sgdsde.rng import stream
from sgdsde.types import InputError, real

#: samples times paths that are differentiated at once
_PIECE = 40_000


@dataclass(frozen=True)
class LargestEigenvalues:
    """λmax ``[P]``, the residual ‖Hy − μy‖ of each, its eigenvectors ``[P, dim]``, and how many products each took."""

    values: Float[Tensor, " paths"]
    residuals: Float[Tensor, " paths"]
    vectors: Float[Tensor, "paths dim"]
    products: int


def largest_eigenvalues(
    objective: Objective, theta: Float[Tensor, "paths dim"], *, tolerance: float = 1e-3, most: int = 80, start: Tensor | None = None
) -> LargestEigenvalues:
    """λmax of ∇²f at every path. ``start``: vectors ``[P, dim]`` to begin with, for instance the eigenvectors of an earlier checkpoint.

    Raises:
        InputError: points or start vectors of another shape, a tolerance or number of steps out of range.
    """
    check_points(objective, theta)
    if not (0 < real(tolerance, "tolerance") < 1 and is_whole(most, 2)):
        raise InputError(f"tolerance = {tolerance}, most = {most!r}; wanted a number in (0, 1) and at least 2 steps.")
    rows = max(1, _PIECE // objective.n)
    if start is None:
        generator = stream(0, "largest eigenvalue", device=theta.device)
        start = torch.randn(objective.dim, generator=generator, device=theta.device, dtype=theta.dtype).expand_as(theta)
    check_beside(theta, start=start)
    parts = [_piece(objective, points, begin, tolerance, most) for points, begin in zip(theta.split(rows), start.split(rows), strict=True)]
    values, residuals, vectors = (torch.cat([getattr(part, name) for part in parts]) for name in ("values", "residuals", "vectors"))
    return LargestEigenvalues(values, residuals, vectors, max(part.products for part in parts))


@dataclass(frozen=True)
class BetweenIterates:
    """The largest λmax on the segment from one iterate to the next, ``[P]``; where on it (0: before, 1: after); and λmax at the first one."""

    values: Float[Tensor, " paths"]
    places: Float[Tensor, " paths"]
    at_iterate: Float[Tensor, " paths"]


def largest_between(
    objective: Objective, before: Float[Tensor, "paths dim"], after: Float[Tensor, "paths dim"], *, points: int = 5, tolerance: float = 1e-3
) -> BetweenIterates:
    """max_t λmax(∇²f((1 − t)θ_k + tθ_{k+1})) over ``points`` places t = 0, …, 1.

    The protocol for batch-normalised networks at small step sizes (Cohen et al. 2103.00065, appendix on BatchNorm; Kaur et al. 2206.10654): their curvature
    changes so fast along a step that its value at the iterates says little about what the step meets.

    Raises:
        InputError: fewer than two places, points of different shapes, or as :func:`largest_eigenvalues`.
    """
    check_points(objective, before)
    check_points(objective, after)
    if not is_whole(points, 2) or before.shape != after.shape:
        raise InputError(f"points = {points!r} on a segment from {tuple(before.shape)} to {tuple(after.shape)}; wanted at least 2 places and equal shapes.")
    rows, vectors = [], None
    for place in range(int(points)):
        t = place / (points - 1)
        found = largest_eigenvalues(objective, torch.lerp(before, after, t), tolerance=tolerance, start=vectors)
        vectors = found.vectors
        rows.append(found.values)
    table = torch.stack(rows)  # [points, paths]
    best = table.max(0)
    return BetweenIterates(best.values, best.indices.to(table.dtype) / (points - 1), table[0])


def _piece(objective: Objective, theta: Tensor, start: Tensor, tolerance: float, most: int) -> LargestEigenvalues:
    product = hvp_at(objective, theta)
    paths, dim = theta.shape
    most = min(most, dim)
    basis = theta.new_zeros(paths, most, dim)
    alpha, beta = theta.new_zeros(paths, most), theta.new_zeros(paths, most)
    basis[:, 0] = torch.nn.functional.normalize(start, dim=1)
    for m in range(1, most + 1):
        w = product(basis[:, m - 1].clone()).detach()
        alpha[:, m - 1] = (w * basis[:, m - 1]).sum(1)
        known = basis[:, :m]
        for _ in range(2):
            w = w - ((known @ w[:, :, None]).transpose(1, 2) @ known)[:, 0]
        size = torch.linalg.vector_norm(w, dim=1)
        beta[:, m - 1] = size
        last = m == most
        if last or m % 4 == 0:
            off = torch.diag_embed(beta[:, : m - 1], 1)
            values, vectors = torch.linalg.eigh(torch.diag_embed(alpha[:, :m]) + off + off.transpose(1, 2))
            residual = size * vectors[:, -1, -1].abs()
            if last or bool((residual <= tolerance * values[:, -1].abs()).all()):
                return LargestEigenvalues(values[:, -1], residual, (vectors[:, None, :, -1] @ known)[:, 0], m)
        # an invariant space ends the iteration of that path: the rest of its basis stays zero
        alive = size > 1e-13 * (alpha[:, :m].abs().amax(1) + size)
        basis[:, m] = torch.where(alive[:, None], w / torch.where(alive, size, torch.ones_like(size))[:, None], torch.zeros_like(w))
        beta[:, m - 1] = torch.where(alive, size, torch.zeros_like(size))
    raise AssertionError("unreachable: the last step returns")
