"""The Lanczos recurrence A qₘ = βₘ₋₁qₘ₋₁ + αₘqₘ + βₘqₘ₊₁, of many runs at once, with full reorthogonalisation (no ghosts).

Each run has a start vector, and perhaps a matrix, of its own. A run whose Krylov space is invariant ends: what is left of A qₘ is rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Recurrence:
    """Diagonals α and off-diagonals β ``[p, steps]``, bases ``[p, steps, dim]``; of run i the first ``length[i]`` count, the rest is zero."""

    alpha: Float[Tensor, "p steps"]
    beta: Float[Tensor, "p steps"]
    basis: Float[Tensor, "p steps dim"]
    length: Int[Tensor, " p"]


def recurrence(product: Callable[[Tensor], Tensor], starts: Float[Tensor, "p dim"], steps: int) -> Recurrence:
    """Runs from unit vectors; ``product`` takes one vector of each run, ``[p, dim]``."""
    runs, dim = starts.shape
    basis = starts.new_zeros(runs, steps, dim)
    basis[:, 0] = starts
    alpha, beta = starts.new_zeros(runs, steps), starts.new_zeros(runs, steps)
    length = torch.full((runs,), steps, device=starts.device)
    scale = starts.new_zeros(runs)
    for m in range(steps):
        w = product(basis[:, m])
        alpha[:, m] = (w * basis[:, m]).sum(1)
        w = w - alpha[:, m, None] * basis[:, m]
        if m:
            w = w - beta[:, m - 1, None] * basis[:, m - 1]
        w = without_basis(w, basis[:, : m + 1])
        size = torch.linalg.vector_norm(w, dim=1)
        scale = torch.maximum(scale, alpha[:, m].abs() + size)
        ended = (size <= 64 * torch.finfo(w.dtype).eps * scale) & (length == steps)
        length = torch.where(ended, m + 1, length)
        going = length > m + 1
        if m + 1 == steps or not bool(going.any()):
            break
        beta[:, m] = torch.where(going, size, torch.zeros_like(size))
        basis[:, m + 1] = torch.where(going[:, None], w / torch.where(going, size, torch.ones_like(size))[:, None], torch.zeros_like(w))
    return Recurrence(alpha, beta, basis, length)


def without_basis(w: Float[Tensor, "p dim"], basis: Float[Tensor, "p m dim"]) -> Tensor:
    """Each row without its part in its own basis; projected out again where that took a third of it away (twice is enough: Parlett)."""
    for _ in range(2):
        before = torch.linalg.vector_norm(w, dim=1)
        w = w - torch.bmm(torch.bmm(basis, w[:, :, None]).transpose(1, 2), basis)[:, 0]
        if bool((torch.linalg.vector_norm(w, dim=1) >= 0.7 * before).all()):
            break
    return w
