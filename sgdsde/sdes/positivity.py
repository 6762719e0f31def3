"""Square roots of diffusion matrices that need not be positive semi-definite, with a named policy.

The exact Q of HA-SME is a Hadamard product UᵀΣU ∘ φ(mᵢmⱼ); where Σ does not commute with H it can have negative eigenvalues (to leading
order those of −(η³/12)·PHΣHP, P the projector on ker Σ). The **defect** is the negative mass over the positive mass of its spectrum.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.types import DomainError, InputError, report_count, report_flags, report_worst, suggest

POLICIES = ("stop", "raise", "project")


def check_policy(policy: str) -> str:
    """The policy, refused with a suggestion if unknown."""
    if policy not in POLICIES:
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
    if Q.shape[-1] == 1:
        values, vectors = Q[:, :, 0], torch.ones_like(Q)
    else:
        broken = ~torch.isfinite(Q).flatten(1).all(1)
        values, vectors = torch.linalg.eigh(torch.nan_to_num(Q, nan=0.0, posinf=0.0, neginf=0.0))
        if bool(broken.any()):
            values = torch.where(broken[:, None], torch.nan, values)
    indefinite = values[:, 0] < _tolerance(values)
    roots = values.clamp_min(0).sqrt()
    if bool(indefinite.any()):
        report_count("psd indefinite", int(indefinite.sum()))
        negative, positive = (-values[indefinite]).clamp_min(0).sum(1), values[indefinite].clamp_min(0).sum(1)
        worst = float((negative / positive).max())
        report_worst("psd defect", worst)
        if policy == "raise":
            raise DomainError(indefinite_message(worst))
        if policy == "stop":
            report_flags(indefinite)
            roots = torch.where(indefinite[:, None], torch.nan, roots)
    return (vectors * roots[:, None, :]) @ vectors.transpose(1, 2)


def indefinite_message(worst: float) -> str:
    """What to say where Q has no root."""
    return (
        f"The diffusion matrix Q is indefinite (negative mass / positive mass = {worst:.3g}): noise and curvature are not compatible, "
        "so no SDE with this Q exists. Use sg.sdes.HASMEProduct (positive by construction) or psd='project'."
    )


def _tolerance(values: Tensor) -> Tensor:
    """Eigenvalues above this (a negative number, per path) are rounding."""
    return -16 * values.shape[1] * torch.finfo(values.dtype).eps * values.abs().amax(1)
