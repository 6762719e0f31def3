"""Where the logarithm of 1 − ηH is taken: the domains of the Hessian-aware models, and what happens outside them.

The real logarithm needs x = ηλ < 1. The even-step model takes log|1 − x|, which fails at x = 1 only. The policies are named: ``stop`` (the path is
frozen and counted), ``raise``, ``clip`` (x is moved to the nearest value with |1 − x| ≥ 1 − X_MAX, inside the matrix functions only; counted).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.given import is_name
from sgdsde.types import DomainError, InputError, may_look, report_count, report_flags, report_worst, suggest

#: under ``clip`` |1 − ηλ| is taken as at least 1 − X_MAX
X_MAX = 0.99

#: what a result says of the largest clip
CLIP_SHIFT = "shift of eta·lambda by clipping"

POLICIES = ("stop", "raise", "clip")


class LogDomain(ABC):
    """A domain for x = ηλ with its policy.

    Raises:
        InputError: unknown policy.
    """

    def __init__(self, policy: str) -> None:
        if not is_name(policy, POLICIES):
            raise InputError(f"log={policy!r} is no domain policy." + suggest(policy, list(POLICIES)))
        self.policy = policy

    @abstractmethod
    def outside(self, x: Tensor) -> Tensor:
        """Where the logarithm does not exist, bool like ``x``; NaN counts as inside (it is noticed elsewhere)."""

    @abstractmethod
    def clipped(self, x: Tensor) -> Tensor:
        """x moved to the nearest value with |1 − x| ≥ 1 − X_MAX inside the domain."""

    @abstractmethod
    def message(self, x: float) -> str:
        """What to say about one eigenvalue outside."""

    def guard(self, x: Float[Tensor, "paths k"]) -> Float[Tensor, "paths k"]:
        """x under the policy: clipped, or NaN at the paths outside, which are reported; every clip and every stop is counted.

        Raises:
            DomainError: a value is outside and the policy is ``raise``.
        """
        look = may_look()
        if self.policy == "clip":
            moved = self.clipped(x)
            clipped = (moved != x).logical_and(~torch.isnan(x)).any(1)
            report_count("log clipped", 0)
            if look and not bool(clipped.any()):
                return moved
            report_count("log clipped", clipped.sum())
            report_worst(CLIP_SHIFT, torch.where(clipped[:, None], (moved - x).abs(), -torch.inf).max())
            return moved
        outside = self.outside(x)
        if look and not bool(outside.any()):
            return x
        if look and self.policy == "raise":
            raise DomainError(self.message(float(x[outside].max())))
        paths = outside.any(1)
        report_flags(paths)
        report_count("log out of domain", paths.sum())
        return torch.where(paths[:, None], torch.nan, x)

    def refuse(self, x: Tensor) -> None:
        """Raise DomainError if a spectrum that holds everywhere is outside, under any policy but ``clip``: known before a run."""
        outside = self.outside(x)
        if self.policy != "clip" and bool(outside.any()):
            raise DomainError(self.message(float(x[outside].max())))


class RealLogarithm(LogDomain):
    """log(1 − x), x < 1."""

    def outside(self, x: Tensor) -> Tensor:
        return x >= 1

    def clipped(self, x: Tensor) -> Tensor:
        return x.clamp_max(X_MAX)

    def message(self, x: float) -> str:
        return (
            f"eta·lambda = {x:.4g} ≥ 1: log(1 − eta·lambda) is not real there, so this model does not exist. "
            f"Use a smaller eta, sg.sdes.EvenStepHASME, or log='clip' (eigenvalues above {X_MAX} counted as {X_MAX})."
        )


class AbsoluteLogarithm(LogDomain):
    """log|1 − x|, x ≠ 1: outside is where rounding decides the logarithm, |1 − x| ≤ 64 units of rounding."""

    def outside(self, x: Tensor) -> Tensor:
        return (1 - x).abs() <= 64 * torch.finfo(x.dtype).eps

    def clipped(self, x: Tensor) -> Tensor:
        above, below = torch.full_like(x, 2 - X_MAX), torch.full_like(x, X_MAX)
        return torch.where((1 - x).abs() < 1 - X_MAX, torch.where(x > 1, above, below), x)

    def message(self, x: float) -> str:
        return (
            f"eta·lambda = {x:.17g}: log|1 − eta·lambda| is infinite at 1 (SGD reaches the minimum of this direction in one step, no diffusion does). "
            f"Use another eta, or log='clip' (|1 − eta·lambda| counted as at least {1 - X_MAX:.2g})."
        )
