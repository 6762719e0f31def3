"""Extreme eigenpairs with residual bounds: dense below about 3,000 dimensions, else thick-restart Lanczos.

For a symmetric A and a unit vector v with Av = λv + r there is an eigenvalue within ‖r‖ of λ. Lanczos knows ‖r‖ to rounding; the symmetry that this rests
on is checked at each of its steps, and the orthogonality of what is returned is measured: what could be a ghost is refused, not returned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.curvature.operator import DENSE_DIM, Operator, as_operator
from sgdsde.curvature.thick_restart import most_wanted, thick_restart
from sgdsde.given import is_name, is_whole
from sgdsde.objectives.memory import require
from sgdsde.types import InputError, OracleRefusal, suggest, warn

ENDS = ("largest", "smallest", "both", "magnitude")


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenvalues (descending), unit eigenvectors ``[dim, k]``, ‖Av − λv‖ of each, and max |VᵀV − I|.

    ``products``: operator–vector products that it took; ``converged``: whether all residuals met the tolerance;
    ``operator``: of what these are the eigenpairs, mode included.

    Example:
        >>> found = sg.curvature.eigsh(sg.curvature.Matrix(torch.diag(torch.tensor([3.0, 1.0]).double())), k=1)
        >>> found.values.tolist(), found.converged, bool(found.residuals.max() < 1e-8)
        ([3.0], True, True)
    """

    values: Float[Tensor, " k"]
    vectors: Float[Tensor, "dim k"]
    residuals: Float[Tensor, " k"]
    orthogonality: float
    method: str
    products: int
    converged: bool
    operator: str


def eigsh(
    operator: Operator,
    k: int = 6,
    *,
    which: str = "largest",
    tolerance: float | None = None,
    start: Tensor | None = None,
    dense_below: int = DENSE_DIM,
    basis: int | None = None,
    most: int | None = None,
    progress: bool | None = None,
) -> Eigenpairs:
    """k extreme eigenpairs.

    Args:
        which: ``largest``, ``smallest`` (most negative), ``both`` ends (the odd one at the top), or largest ``magnitude``.
        tolerance: ‖Av − λv‖ ≤ tolerance·max|λ|; None: 1e-8 in float64, 1e-4 in float32.
        start: a start vector ``[dim]``, or the eigenvectors ``[dim, b]`` of a nearby operator, for instance the last checkpoint's; their sum is used.
        basis: vectors kept; None: 2k + 30. most: products after which it stops; None: 100·basis.
        progress: a progress bar; None: on a terminal.

    Raises:
        InputError: k < 1 or k > dim, an unknown end, a tolerance below rounding, a start or basis that does not fit.
        OracleRefusal: the operator is not symmetric, or what was found is not orthogonal.

    Example:
        >>> A = sg.curvature.hessian_operator(sg.objectives.StrictSaddle(3, negative=2.0), torch.zeros(3, dtype=torch.float64))
        >>> sg.curvature.eigsh(A, k=1, which="smallest").values.tolist()
        [-2.0]
    """
    as_operator(operator)
    if not is_name(which, ENDS):
        raise InputError(f"which={which!r} is no end of a spectrum." + suggest(which, list(ENDS)))
    if not is_whole(k, 1, operator.dim):
        raise InputError(f"k = {k!r}; wanted an integer in 1…{operator.dim}, the dimension of the operator.")
    rounding = torch.finfo(operator.dtype).eps
    tolerance = (1e-8 if rounding < 1e-10 else 1e-4) if tolerance is None else tolerance
    if not 10 * rounding < tolerance < 1:
        raise InputError(f"tolerance = {tolerance!r}; wanted between {10 * rounding:.1g}, ten roundings of {operator.dtype}, and 1.")
    dense = operator.dim <= dense_below or 2 * k >= operator.dim
    if dense:
        values, vectors = torch.linalg.eigh(operator.dense())
        index = most_wanted(values, which)[:k]
        values, vectors, products, converged = values[index], vectors[:, index], operator.dim + k, True
        residuals = torch.linalg.vector_norm(operator @ vectors - vectors * values, dim=0)
    else:
        kept = min(operator.dim, 2 * k + 30 if basis is None else basis)
        begin = None if start is None else _start(start, operator)
        if kept < k + 3:
            raise InputError(f"basis = {kept}; wanted at least k + 3 = {k + 3} vectors.")
        require(3 * kept * operator.dim, torch.empty(0, dtype=operator.dtype, device=operator.device),
                what=f"A basis of {kept} vectors of {operator.dim} parameters", instead="Ask for fewer eigenpairs or a smaller basis.")  # fmt: skip
        limit = 100 * kept if most is None else most
        found = thick_restart(operator, k, which=which, tolerance=tolerance, start=begin, basis=kept, most=limit, progress=progress)
        values, vectors, residuals, products, converged = found.values, found.vectors, found.residuals, found.products, found.converged
        if not converged:
            warn(f"{products} products did not bring all {k} residuals below {tolerance:g} of the largest eigenvalue; look at residuals, or raise `most`.")
    order = values.argsort(descending=True)
    values, vectors, residuals = values[order], vectors[:, order], residuals[order]
    gram = vectors.T @ vectors - torch.eye(k, dtype=vectors.dtype, device=vectors.device)
    orthogonality = float(gram.abs().max())
    if orthogonality > math.sqrt(rounding):
        raise OracleRefusal(f"The {k} vectors found are orthogonal only to {orthogonality:.1g}: one may be a ghost of another. Is the operator symmetric?")
    return Eigenpairs(values, vectors, residuals, orthogonality, "dense" if dense else "thick-restart Lanczos", products, converged, operator.description)


def _start(start: Tensor, operator: Operator) -> Tensor:
    columns = start[:, None] if start.ndim == 1 else start
    if columns.ndim != 2 or columns.shape[0] != operator.dim or columns.shape[1] == 0:
        raise InputError(f"start has shape {tuple(start.shape)}; wanted [{operator.dim}] or [{operator.dim}, b].")
    total = columns.sum(1)
    if not bool(torch.isfinite(total).all()) or not float(total.abs().max()) > 0:
        raise InputError("start holds NaN or infinity, or sums to zero; wanted vectors to begin with.")
    return total
