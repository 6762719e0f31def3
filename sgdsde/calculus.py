"""Derivatives of an objective along an ensemble: gradients, Hessians, their products, per-sample gradients, third derivatives.

Paths do not interact, so one backward pass of Σ_p f(θ_p) gives all gradients. Closed forms in ``objective.facts`` are used where they
stand; each function with the suffix ``_autodiff`` ignores them and is the test of the closed form. All raise InputError
where points, vectors, weights or a batch are no tensors of the shapes written beside them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sgdsde.asked import check_beside, check_points, check_samples, check_tensor, check_vectors
from sgdsde.objective import Objective, Points, checked_losses, identity_rows
from sgdsde.types import InputError

Matrices = Float[Tensor, "paths dim dim"]

#: numbers in one of the arrays that a dense Hessian by autodiff keeps alive at once
_PIECE_ELEMENTS = 2**23


def grad(f: Objective, theta: Points) -> Points:
    """g = ∇f(θ), ``[P, dim]``.

    Example:
        >>> sg.calculus.grad(sg.objectives.DoubleWell(), torch.tensor([[2.0]])).item()  # θ³ − θ
        6.0
    """
    check_points(f, theta)
    return f.facts.grad(theta) if f.facts.grad is not None else grad_autodiff(f, theta)


def grad_autodiff(f: Objective, theta: Points) -> Points:
    """∇f by one backward pass.

    Example:
        >>> sg.calculus.grad_autodiff(sg.objectives.DoubleWell(), torch.tensor([[2.0]])).item()
        6.0
    """
    return weighted_grad_autodiff(f, theta, None, None)


def weighted_grad(f: Objective, theta: Points, weights: Float[Tensor, "paths batch"] | None, batch: Tensor | None) -> Points:
    """∇Σᵢ wᵢℓᵢ(θ) over the batch ``[P, B]`` (None: all samples) in one backward pass; weights None: the mean.

    Example:
        >>> line = sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]])
        >>> weights = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
        >>> sg.calculus.weighted_grad(line, torch.zeros(1, 1, dtype=torch.float64), weights, None).item()
        2.0
    """
    check_samples(f, theta, weights, batch)
    if f.facts.weighted_grad is not None:
        return f.facts.weighted_grad(theta.detach(), weights, batch)
    return weighted_grad_autodiff(f, theta, weights, batch)


def weighted_grad_autodiff(f: Objective, theta: Points, weights: Float[Tensor, "paths batch"] | None, batch: Tensor | None) -> Points:
    """∇Σᵢ wᵢℓᵢ(θ) through the graph of the losses.

    Example:
        >>> line = sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]])
        >>> weights = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
        >>> sg.calculus.weighted_grad_autodiff(line, torch.zeros(1, 1, dtype=torch.float64), weights, None).item()
        2.0
    """
    check_samples(f, theta, weights, batch)
    with torch.enable_grad():
        point = theta.detach().requires_grad_(True)
        losses = checked_losses(f, point, batch)  # [paths, batch]
        if not losses.requires_grad:
            raise InputError(
                f"The losses of {type(f).__name__}.sample_loss carry no gradient. Compute them from theta by torch functions that can be differentiated, "
                "without detach(), numpy or torch.no_grad()."
            )
        total = losses.mean(1).sum() if weights is None else (losses * weights).sum()
        return torch.autograd.grad(total, point)[0]


def hvp(f: Objective, theta: Points, v: Points) -> Points:
    """H(θ)v, ``[P, dim]``; with v ``[P, k, dim]`` the products with k vectors, ``[P, k, dim]``.

    From ``facts.hvp_at`` or ``facts.hvp`` where they stand (no matrix is formed), else from ``facts.hessian``, else by double backward. The matrix is
    preferred where it multiplies ``dim`` vectors or more.

    Example:
        >>> sg.calculus.hvp(sg.objectives.Quadratic([4.0, 1.0]), torch.zeros(1, 2), torch.ones(1, 2)).tolist()
        [[4.0, 1.0]]
    """
    check_points(f, theta)
    check_vectors(theta, v)
    if f.facts.hvp_at is not None:
        return f.facts.hvp_at(theta)(v)
    if v.ndim == 3:
        paths, k, dim = v.shape
        if f.facts.hessian is not None and (f.facts.hvp is None or k >= dim):
            return v @ f.facts.hessian(theta)
        flat = hvp(f, theta.repeat_interleave(k, 0), v.reshape(paths * k, dim))  # [paths*k, dim]
        return flat.reshape(paths, k, dim)
    if f.facts.hvp is not None:
        return f.facts.hvp(theta, v)
    if f.facts.hessian is not None:
        return (f.facts.hessian(theta) @ v[:, :, None])[:, :, 0]
    return hvp_autodiff(f, theta, v)


def hvp_autodiff(f: Objective, theta: Points, v: Points) -> Points:
    """Hv = ∇(gᵀv) with v held fixed.

    Example:
        >>> sg.calculus.hvp_autodiff(sg.objectives.DoubleWell(), torch.tensor([[2.0]]), torch.tensor([[2.0]])).item()
        22.0
    """
    check_points(f, theta)
    check_beside(theta, v=v)
    return _directional(lambda point: checked_losses(f, point, None).mean(1), theta, [v])


def hvp_at(f: Objective, theta: Points) -> Callable[[Points], Points]:
    """v ↦ H(θ)v at fixed points, for many products there, v ``[P, dim]`` or ``[P, k, dim]``: from ``facts.hvp_at`` or ``facts.hvp``, from a matrix made
    once, or through the gradient's graph, kept.

    With autodiff each product is one backward pass through that graph, a third to a half of what :func:`hvp` costs.

    Example:
        >>> times = sg.calculus.hvp_at(sg.objectives.Quadratic([4.0, 1.0]), torch.zeros(1, 2))
        >>> times(torch.ones(1, 2)).tolist(), times(torch.tensor([[0.0, 3.0]])).tolist()
        ([[4.0, 1.0]], [[0.0, 3.0]])
    """
    check_points(f, theta)
    if f.facts.hvp_at is not None:
        return f.facts.hvp_at(theta)
    if f.facts.hvp is not None:
        return lambda v: hvp(f, theta, v)
    if f.facts.hessian is not None:
        H = f.facts.hessian(theta)
        return lambda v: (v[:, None] @ H)[:, 0] if v.ndim == 2 else v @ H
    with torch.enable_grad():
        point = theta.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(f.sample_loss(point).mean(1).sum(), point, create_graph=True)

    def product(v: Points) -> Points:
        if v.ndim == 3:
            return torch.stack([product(v[:, i]) for i in range(v.shape[1])], 1)
        if not slope.requires_grad:  # the gradient is a constant
            return torch.zeros_like(v)
        (result,) = torch.autograd.grad(slope, point, v, retain_graph=True, allow_unused=True)
        return torch.zeros_like(v) if result is None else result

    return product


def hessian(f: Objective, theta: Points) -> Matrices:
    """H = ∇²f(θ), ``[P, dim, dim]``, symmetric: from the fact, from dim products with a basis, or by autodiff.

    Example:
        >>> sg.calculus.hessian(sg.objectives.DoubleWell(), torch.tensor([[2.0]])).item()  # 3θ² − 1
        11.0
    """
    check_points(f, theta)
    if f.facts.hessian is not None:
        return f.facts.hessian(theta)
    if f.facts.hvp_at is not None:
        matrix = f.facts.hvp_at(theta)(identity_rows(theta).expand(theta.shape[0], -1, -1))  # [paths, dim, dim]
        return (matrix + matrix.transpose(1, 2)) / 2
    return hessian_autodiff(f, theta)


def hessian_autodiff(f: Objective, theta: Points) -> Matrices:
    """H row by row: double backward over copies of the points, one a direction, in pieces that bound the memory taken.

    A copy holds about n·√dim numbers while it is differentiated (n samples through layers of width √dim) and dim of its own.

    Example:
        >>> sg.calculus.hessian_autodiff(sg.objectives.DoubleWell(), torch.tensor([[2.0]])).item()
        11.0
    """
    check_points(f, theta)
    paths, dim = theta.shape
    piece = max(1, _PIECE_ELEMENTS // (paths * max(dim, int(f.n * dim**0.5))))
    rows = [
        hvp_autodiff(f, theta.repeat_interleave(part.shape[0], 0), part.repeat(paths, 1)).reshape(paths, -1, dim)  # [paths, piece, dim]
        for part in identity_rows(theta).split(piece)
    ]
    matrix = torch.cat(rows, 1)  # [paths, dim, dim]
    return (matrix + matrix.transpose(1, 2)) / 2


def third(f: Objective, theta: Points, u: Points, v: Points) -> Points:
    """∇³f(θ)[u, v] = Σₐᵦ uₐvᵦ ∂ₐ∂ᵦ∇f, ``[P, dim]``; u and v are held fixed while differentiating.

    Example:
        >>> one = torch.ones(1, 1)
        >>> sg.calculus.third(sg.objectives.DoubleWell(), torch.tensor([[2.0]]), one, one).item()  # 6θ
        12.0
    """
    check_points(f, theta)
    check_beside(theta, u=u, v=v)
    if f.facts.third is not None:
        return f.facts.third(theta, u, v)
    return third_autodiff(f, theta, u, v)


def third_autodiff(f: Objective, theta: Points, u: Points, v: Points) -> Points:
    """∇³f[u, v] by three nested backward passes.

    Example:
        >>> one = torch.ones(1, 1)
        >>> sg.calculus.third_autodiff(sg.objectives.DoubleWell(), torch.tensor([[2.0]]), one, one).item()
        12.0
    """
    check_points(f, theta)
    check_beside(theta, u=u, v=v)
    return _directional(lambda point: checked_losses(f, point, None).mean(1), theta, [u, v])


def third_trace(f: Objective, theta: Points, S: Matrices) -> Points:
    """(S:∂∂)g = Σₐᵦ Sₐᵦ ∂ₐ∂ᵦ∇f, ``[P, dim]``; S ``[P, dim, dim]`` is not differentiated.

    From ``facts.third_trace`` where it stands (S symmetric), else Σₐ ∇³f[eₐ, Sₐ] over the rows Sₐ: no eigenvectors of S, so a path that has become NaN
    stays NaN and harms no other.

    Example:
        >>> sg.calculus.third_trace(sg.objectives.DoubleWell(), torch.tensor([[2.0]]), torch.tensor([[[0.5]]])).item()  # Σ·6θ
        6.0
    """
    check_points(f, theta)
    check_tensor(S, "S", (*theta.shape, f.dim), theta.dtype)
    if f.facts.third_trace is not None:
        return f.facts.third_trace(theta, S)
    paths, dim = theta.shape
    basis = identity_rows(theta).repeat(paths, 1)  # [paths*dim, dim]
    return third(f, theta.repeat_interleave(dim, 0), basis, S.reshape(paths * dim, dim)).reshape(paths, dim, dim).sum(1)


def sample_grads(f: Objective, theta: Points, batch: Int[Tensor, "paths batch"] | None = None) -> Float[Tensor, "paths batch dim"]:
    """gᵢ = ∇ℓᵢ(θ), ``[P, B, dim]`` (all n samples where ``batch`` is None).

    Example:
        >>> line = sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]])
        >>> sg.calculus.sample_grads(line, torch.zeros(1, 1, dtype=torch.float64)).flatten().tolist()
        [1.0, -1.0]
    """
    check_samples(f, theta, None, batch)
    if f.facts.sample_grads is not None:
        return f.facts.sample_grads(theta, batch)
    return sample_grads_autodiff(f, theta, batch)


def sample_grads_autodiff(f: Objective, theta: Points, batch: Int[Tensor, "paths batch"] | None = None) -> Float[Tensor, "paths batch dim"]:
    """Per-sample gradients: each path is repeated once per sample, so that one backward pass yields them all.

    Example:
        >>> line = sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]])
        >>> sg.calculus.sample_grads_autodiff(line, torch.zeros(1, 1, dtype=torch.float64), torch.tensor([[1]])).tolist()
        [[[-1.0]]]
    """
    check_samples(f, theta, None, batch)
    paths, dim = theta.shape
    if batch is None:
        batch = torch.arange(f.n, device=theta.device).expand(paths, f.n)
    size = batch.shape[1]
    flat = weighted_grad_autodiff(f, theta.repeat_interleave(size, 0), None, batch.reshape(-1, 1))  # [paths*batch, dim]
    return flat.reshape(paths, size, dim)


def sample_covariance(f: Objective, theta: Points) -> Matrices:
    """(1/n)Σᵢ(gᵢ−g)(gᵢ−g)ᵀ, the covariance of one sample's gradient, ``[P, dim, dim]``.

    Example:
        >>> line = sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]])
        >>> sg.calculus.sample_covariance(line, torch.zeros(1, 1, dtype=torch.float64)).item()
        1.0
    """
    check_points(f, theta)
    if f.facts.covariance is not None:
        return f.facts.covariance(theta)
    if f.n < 2:
        raise InputError("This objective has one sample: its gradient has no sampling covariance. Give the noise: sg.noises.Gaussian(objective, covariance).")
    centred = sample_grads(f, theta)  # [paths, n, dim]
    centred = centred - centred.mean(1, keepdim=True)
    return centred.transpose(1, 2) @ centred / f.n


def _directional(loss: Callable[[Tensor], Tensor], theta: Points, directions: list[Tensor]) -> Points:
    """∇ of the repeated directional derivative of Σ_p loss(θ_p) along each direction in turn."""
    with torch.enable_grad():
        point = theta.detach().requires_grad_(True)
        scalar = loss(point).sum()
        for direction in directions:
            (slope,) = torch.autograd.grad(scalar, point, create_graph=True)
            if not slope.requires_grad:  # the derivative is a constant: everything above it vanishes
                return torch.zeros_like(theta)
            scalar = (slope * direction.detach()).sum()
        (result,) = torch.autograd.grad(scalar, point, allow_unused=True)
        return torch.zeros_like(theta) if result is None else result
