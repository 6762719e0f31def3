"""Traces, norms and diagonals from products with random signs, with standard errors; the diagonal also exactly.

Signs v have E vvᵀ = I: E vᵀAv = tr A with variance 2Σ_{i≠j}A²ᵢⱼ (Hutchinson 1989), E‖Av‖² = ‖A‖²_F, E v⊙Av = diag A (Bekas, Kokiopoulou, Saad 2007).
Hutch++ (Meyer, Musco, Musco, Woodruff 2021) takes the trace on the range Q of AS exactly and estimates only the rest tr((I−QQᵀ)A(I−QQᵀ)). It is unbiased
for every A; for positive semi-definite A with a decaying spectrum (G, M, Σ) its variance is far below Hutchinson's at equal cost.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.curvature.operator import Operator, as_operator
from sgdsde.given import is_whole, seen
from sgdsde.rng import stream
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate, InputError


def trace(operator: Operator, *, vectors: int = 32, seed: int = 0) -> Estimate:
    """tr A by Hutchinson's estimator.

    Raises:
        InputError: fewer than 2 vectors (no error bar), as for all estimates here.

    Example:
        >>> float(sg.curvature.trace(sg.curvature.Matrix(torch.diag(torch.tensor([3.0, 1.0]))), vectors=4).value)  # exact: random signs, a diagonal matrix
        4.0
    """
    v = _fitting_signs(operator, vectors, seed)
    return mean_estimate((v * (operator @ v)).sum(0).cpu())


def hutch_plus_plus(operator: Operator, *, products: int = 96, seed: int = 0) -> Estimate:
    """tr A by Hutch++ with about ``products`` products in all: a third each for the range, the exact part and the rest.

    The error bar is that of the rest. ``n`` is the number of vectors it rests on; where the range is the whole space the value is exact.

    Raises:
        InputError: fewer than 6 products.

    Example:
        >>> round(sg.curvature.hutch_plus_plus(sg.curvature.Matrix(torch.diag(torch.tensor([3.0, 1.0]).double()))).value, 9)
        4.0
    """
    as_operator(operator)
    if not is_whole(products, 6):
        raise InputError(f"products = {products!r}; wanted an integer, at least 6: two for the range, two for the exact part, two for an error bar.")
    width = min(products // 3, operator.dim)
    S = signs(operator.dim, width, seed, "range of Hutch++").to(operator.device, operator.dtype)
    Q = torch.linalg.qr(operator @ S)[0]  # [dim, width]
    exact = float((Q * (operator @ Q)).sum())
    if width == operator.dim:
        return Estimate.exact(exact)
    v = _fitting_signs(operator, products - 2 * width, seed)
    v = v - Q @ (Q.T @ v)
    rest = mean_estimate((v * (operator @ v)).sum(0).cpu())
    return Estimate.normal(exact + rest.value, rest.stderr, rest.n)


def frobenius(operator: Operator, *, vectors: int = 32, seed: int = 0) -> Estimate:
    """‖A‖²_F = E‖Av‖².

    Example:
        >>> float(sg.curvature.frobenius(sg.curvature.Matrix(2 * torch.eye(3)), vectors=4).value)  # 3·2²; exact, since |Av| is that of every sign vector
        12.0
    """
    return mean_estimate(((operator @ _fitting_signs(operator, vectors, seed)) ** 2).sum(0).cpu())


def trace_of_product(a: Operator, b: Operator, *, vectors: int = 32, seed: int = 0) -> Estimate:
    """tr(AB) = E (Av)ᵀ(Bv), for instance the noise-aligned sharpness tr(HΣ).

    Example:
        >>> H, Sigma = (sg.curvature.Matrix(torch.diag(torch.tensor(values))) for values in ([3.0, 1.0], [2.0, 5.0]))
        >>> float(sg.curvature.trace_of_product(H, Sigma, vectors=4).value)
        11.0
    """
    as_operator(b, "b")
    v = _fitting_signs(as_operator(a, "a"), vectors, seed)
    return mean_estimate(((a @ v) * (b @ v)).sum(0).cpu())


def diagonal(operator: Operator, *, vectors: int = 64, seed: int = 0) -> Estimate:
    """diag A, ``[dim]``, as the mean of v⊙Av with the standard error of each entry: variance Σ_{j≠i}A²ᵢⱼ of one vector.

    Example:
        >>> A = sg.curvature.Matrix(torch.diag(torch.tensor([3.0, 1.0])))
        >>> sg.curvature.diagonal(A, vectors=4).value.tolist()  # exact for diagonal matrices
        [3.0, 1.0]
    """
    v = _fitting_signs(operator, vectors, seed)
    return mean_estimate((v * (operator @ v)).T.cpu())


def exact_diagonal(operator: Operator) -> Float[Tensor, " dim"]:
    """diag A by dim products, a chunk at a time; the matrix is never held.

    Example:
        >>> sg.curvature.exact_diagonal(sg.curvature.Matrix(torch.tensor([[3.0, 1.0], [1.0, 2.0]]))).tolist()
        [3.0, 2.0]
    """
    as_operator(operator)
    parts = []
    for start in range(0, operator.dim, operator.chunk):
        width = min(operator.chunk, operator.dim - start)
        columns = torch.zeros(operator.dim, width, dtype=operator.dtype, device=operator.device)
        columns[start : start + width].fill_diagonal_(1.0)
        parts.append((operator @ columns)[start : start + width].diagonal())
    return torch.cat(parts)


def weighted_diagonal(operator: Operator, weights: Float[Tensor, " dim"], *, vectors: int = 64, seed: int = 0) -> Estimate:
    """Σᵢ Aᵢᵢwᵢ for weights w ≥ 0 as E (v⊙√w)ᵀA(v⊙√w): the curvature-weighted distance ΣHⱼⱼ(wⱼ−w₀ⱼ)² without the diagonal.

    Raises:
        InputError: weights of another shape, or negative.

    Example:
        >>> A = sg.curvature.Matrix(torch.diag(torch.tensor([3.0, 1.0])))
        >>> round(float(sg.curvature.weighted_diagonal(A, torch.tensor([1.0, 2.0]), vectors=4).value), 5)  # 3·1 + 1·2
        5.0
    """
    as_operator(operator)
    weights = seen(weights, "weights").to(operator.device, operator.dtype)
    if tuple(weights.shape) != (operator.dim,) or not bool((weights >= 0).all()):
        raise InputError(f"weights has shape {tuple(weights.shape)}; wanted [{operator.dim}], none negative or NaN.")
    v = _fitting_signs(operator, vectors, seed) * weights.sqrt()[:, None]
    return mean_estimate((v * (operator @ v)).sum(0).cpu())


def signs(dim: int, vectors: int, seed: int, purpose: str = "signs") -> Float[Tensor, "dim vectors"]:
    """±1 with equal chance, on the CPU in float64.

    Raises:
        InputError: no vector.
    """
    if not is_whole(vectors, 1):
        raise InputError(f"vectors = {vectors!r}; wanted an integer, at least 1.")
    return (2 * torch.randint(2, (dim, int(vectors)), generator=stream(seed, purpose)) - 1).double()


def _fitting_signs(operator: Operator, vectors: int, seed: int) -> Tensor:
    if not is_whole(vectors, 2):
        raise InputError(f"vectors = {vectors!r}; wanted at least 2, for an error bar.")
    as_operator(operator)
    return signs(operator.dim, vectors, seed).to(operator.device, operator.dtype)
