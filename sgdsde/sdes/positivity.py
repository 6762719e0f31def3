"""Square roots of diffusion matrices that need not be positive semi-definite, with a named policy; and when they are.

The exact Q of HA-SME is a Hadamard product UᵀΣU ∘ φ(mᵢmⱼ); where Σ does not commute with H it can have negative eigenvalues (to leading
order those of −(η³/12)·PHΣHP, P the projector on ker Σ). The **defect** is the negative mass over the positive mass of its spectrum. The laws are derived in
docs/theory/positivity.md.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.given import is_name
from sgdsde.sdes.functions import even_phi_pair, phi_pair
from sgdsde.symmetric import constant_eigenpairs, eigenpairs
from sgdsde.types import DomainError, InputError, may_look, report_count, report_flags, report_worst, suggest

POLICIES = ("stop", "raise", "project")


def check_policy(policy: str) -> str:
    """The policy, refused with a suggestion if unknown."""
    if not is_name(policy, POLICIES):
        raise InputError(f"psd={policy!r} is no domain policy." + suggest(policy, list(POLICIES)))
    return policy


def defect(Q: Float[Tensor, "paths dim dim"]) -> Float[Tensor, " paths"]:
    """Negative mass / positive mass of each matrix's spectrum; 0 for a positive semi-definite (or zero) matrix, up to rounding."""
    values = torch.linalg.eigvalsh(Q)
    positive = values.clamp_min(0).sum(1)
    negative = (-values).clamp_min(0).sum(1)
    negative = torch.where(values[:, 0] < _tolerance(values), negative, torch.zeros_like(negative))
    return negative / torch.where(positive > 0, positive, torch.ones_like(positive))


def root_of(Q: Float[Tensor, "paths dim dim"], policy: str) -> Float[Tensor, "paths dim dim"]:
    """The symmetric root of Q under the policy.

    ``stop``: NaN, and the path reported, where Q is indefinite; ``raise``: DomainError; ``project``: negative eigenvalues ← 0, counted.
    """
    roots, vectors = _root_pairs(*constant_eigenpairs(Q), policy)
    return (vectors * roots[:, None, :]) @ vectors.transpose(1, 2)


def root_times(Q: Float[Tensor, "paths dim dim"], v: Float[Tensor, "paths dim"], policy: str) -> Float[Tensor, "paths dim"]:
    """The root of :func:`root_of` times a vector, without forming it."""
    roots, vectors = _root_pairs(*eigenpairs(Q), policy)
    inner = (v[:, None] @ vectors)[:, 0].mul_(roots)
    return (vectors @ inner[:, :, None])[:, :, 0]


def _root_pairs(values: Tensor, vectors: Tensor, policy: str) -> tuple[Tensor, Tensor]:
    """Eigenvalues ``[P, dim]`` and eigenvectors of the root, from Q's."""
    indefinite = values.amin(1) < _tolerance(values)
    roots = values.clamp_min(0).sqrt()
    look = may_look()
    if look and not bool(indefinite.any()):
        return roots, vectors
    negative, positive = (-values).clamp_min(0).sum(1), values.clamp_min(0).sum(1)
    worst = torch.where(indefinite, negative / positive, -torch.inf).max()
    report_count("psd indefinite", indefinite.sum())
    report_worst("psd defect", worst)
    if look and policy == "raise":
        raise DomainError(indefinite_message(float(worst)))
    if policy == "stop":
        report_flags(indefinite)
    if policy != "project":
        roots = torch.where(indefinite[:, None], torch.nan, roots)
    return roots, vectors


def pairwise_correlation_bound(x1: Tensor | float, x2: Tensor | float) -> Tensor:
    """√(φ(m₁²)φ(m₂²))/φ(m₁m₂), m = 1 − x, x < 1: HA-SME's 2-D Q is positive semi-definite iff |corr| of Σ in H's eigenbasis is at most this.

    At most 1, and 1 only at x₁ = x₂; in more dimensions necessary for every pair of eigendirections. NaN where an x ≥ 1. Numbers or tensors of one shape,
    float64 where numbers.
    """
    return _bound(phi_pair, x1, x2)


def even_step_correlation_bound(x1: Tensor | float, x2: Tensor | float) -> Tensor:
    """The bound of :func:`pairwise_correlation_bound` for the even-step model, k(u) = log|u|/(u−1) in φ's place.

    Above 1 (no restriction) where m₁ and m₂ have opposite signs, infinite at m₁m₂ = −1.
    """
    return _bound(even_phi_pair, x1, x2)


def predicted_defect(hessian: Float[Tensor, "*batch dim dim"], covariance: Float[Tensor, "*batch dim dim"], eta: float) -> Float[Tensor, "*batch"]:
    """The leading term of HA-SME's defect as η → 0: (η²/12)·tr(PHΣHP)/tr Σ, P the projector on ker Σ (eigenvalues below 1e-10 of the largest).

    Zero where Σ has full rank: then Q is positive for η small enough. The trace is the sum of the negative eigenvalues' moduli over η³, whose single values
    are those of PHΣHP/12.
    """
    values, vectors = torch.linalg.eigh(covariance)
    kernel = vectors * (values <= 1e-10 * values[..., -1:])[..., None, :]  # columns that span ker Σ, the others zero
    PH = kernel.transpose(-1, -2) @ hessian
    negative = (PH @ covariance * PH).sum((-1, -2))
    return eta**2 / 12 * negative / values.sum(-1)


def _bound(pair: Callable[[Tensor], Tensor], x1: Tensor | float, x2: Tensor | float) -> Tensor:
    first, second = torch.broadcast_tensors(*(x if isinstance(x, Tensor) else torch.tensor(x, dtype=torch.float64) for x in (x1, x2)))
    factors = pair(torch.stack([first.flatten(), second.flatten()], 1))  # [pairs, 2, 2]
    return ((factors[:, 0, 0] * factors[:, 1, 1]).sqrt() / factors[:, 0, 1].abs()).reshape(first.shape)


def indefinite_message(worst: float) -> str:
    """What to say where Q has no root."""
    return (
        f"The diffusion matrix Q is indefinite (negative mass / positive mass = {worst:.3g}): noise and curvature are not compatible, "
        "so no SDE with this Q exists. Use sg.sdes.HASMEProduct (positive by construction) or psd='project'."
    )


def _tolerance(values: Tensor) -> Tensor:
    """Eigenvalues above this (a negative number, per path) are rounding."""
    return -16 * values.shape[1] * torch.finfo(values.dtype).eps * values.abs().amax(1)
