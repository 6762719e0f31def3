"""What is minimised: a per-sample loss, and what is known about it in closed form.

f(θ) = (1/n) Σᵢ ℓᵢ(θ). An objective supplies ℓᵢ for a whole ensemble of parameter vectors at once; gradients, Hessians and the rest are
free functions in :mod:`sgdsde.calculus`, which use the closed forms in ``facts`` where they exist and autodiff where not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from sgdsde.types import InputError, expected, whole

Points = Float[Tensor, "paths dim"]
Batch = Int[Tensor, "paths batch"]


@dataclass(frozen=True)
class Facts:
    """What is known of an objective without autodiff. A missing fact is ``None``; a wrong one is caught by the test battery.

    Callables take points ``[P, dim]``: ``grad`` → [P, dim]; ``hessian`` → [P, dim, dim]; ``covariance`` → [P, dim, dim], the covariance
    (1/n)Σᵢ(gᵢ−g)(gᵢ−g)ᵀ of one sample's gradient; ``hvp(theta, v)`` → [P, dim], Hv without forming H; ``sample_grads(theta, batch)`` →
    [P, B, dim]; ``third(theta, u, v)`` → [P, dim], ∇³f[u, v]; ``third_trace(theta, S)`` → [P, dim], Σₐᵦ Sₐᵦ ∂ₐ∂ᵦ∇f for symmetric S
    ``[P, dim, dim]``; ``weighted_grad(theta, weights, batch)`` → [P, dim], ∇Σᵢwᵢℓᵢ (weights None: the mean); ``hvp_at(theta)`` → a function v ↦ Hv
    of [P, dim] or [P, k, dim], for many products at one point; ``hessian_diagonal(theta)`` → [P, dim]: H is diagonal everywhere, and this is its diagonal
    (given beside ``hessian``; functions of H then need no eigenvectors); ``descend(theta, batches, eta, decay)`` → [P, dim], a step
    θ ← (1 − η·decay)θ − η∇(1/B)Σ_{i∈batch}ℓᵢ on each of the batches ``[K, P, B]``, the same to the last bit in one call or in K. ``minima`` and ``saddles`` are
    tuples of points; ``barrier`` is f(saddle) − f(minimum) at the lowest pass that leads out of the deepest minimum.

    Example:
        >>> facts = sg.Facts(hessian=lambda theta: 4 * torch.ones(len(theta), 1, 1), minima=((0.0,),), constant_hessian=True)
        >>> facts.grad is None, facts.constant_hessian
        (True, True)
    """

    grad: Callable[[Tensor], Tensor] | None = None
    hessian: Callable[[Tensor], Tensor] | None = None
    covariance: Callable[[Tensor], Tensor] | None = None
    sample_grads: Callable[[Tensor, Tensor | None], Tensor] | None = None
    third: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    minima: tuple[tuple[float, ...], ...] = ()
    saddles: tuple[tuple[float, ...], ...] = ()
    constant_hessian: bool = False
    barrier: float | None = None
    hvp: Callable[[Tensor, Tensor], Tensor] | None = None
    third_trace: Callable[[Tensor, Tensor], Tensor] | None = None
    weighted_grad: Callable[[Tensor, Tensor | None, Tensor | None], Tensor] | None = None
    hvp_at: Callable[[Tensor], Callable[[Tensor], Tensor]] | None = None
    hessian_diagonal: Callable[[Tensor], Tensor] | None = None
    descend: Callable[[Tensor, Tensor, float, float], Tensor] | None = None


class Objective(ABC):
    """A mean of per-sample losses. Subclasses set ``dim`` (and ``facts``) and write ``sample_loss``.

    Example:
        >>> class Parabola(sg.Objective):
        ...     dim = 1
        ...
        ...     def sample_loss(self, theta, batch=None):
        ...         values = 2 * theta[:, 0] ** 2
        ...         return values[:, None].expand(-1, 1 if batch is None else batch.shape[1])
        >>> sg.calculus.hessian(Parabola(), torch.zeros(1, 1)).item()
        4.0
    """

    dim: int
    facts: Facts = Facts()
    #: the modes of dropout and normalisation in which the loss is evaluated, in words; printed with curvature
    mode: str = "no layer has a mode"
    #: whether each sample's loss stands by itself; if not (BatchNorm in training mode), it may be asked only for all samples at once
    separable: bool = True

    @cached_property
    def n(self) -> int:
        """The number of samples; 1 for a deterministic objective, whose SGD noise must be given. Counted once unless a subclass sets it."""
        return checked_losses(self, torch.zeros(1, self.dim, dtype=torch.float64), None).shape[1]

    @abstractmethod
    def sample_loss(self, theta: Points, batch: Batch | None = None) -> Float[Tensor, "paths batch"]:
        """ℓᵢ(θ_p) for the samples of each path's batch ``[P, B]``, or for all samples ``[P, n]`` where ``batch`` is None."""

    def loss(self, theta: Points) -> Float[Tensor, " paths"]:
        """f(θ) = (1/n)Σᵢℓᵢ(θ) at each path."""
        return self.sample_loss(theta).mean(1)  # [paths]


def as_objective(objective: Any) -> Objective:
    """The objective as it is.

    Raises:
        InputError: it is none, or has no dimension.
    """
    found: Objective = expected(objective, Objective, "objective", "one of sg.objectives, or a subclass with dim and sample_loss; a noise holds its own")
    whole(found, "dim", 1)
    return found


def checked_losses(objective: Objective, theta: Points, batch: Batch | None) -> Float[Tensor, "paths batch"]:
    """``sample_loss``, refused where its shape is not what was asked for: where a batch is passed over SGD would run without noise.

    Raises:
        InputError: no tensor ``[P, n]``, or ``[P, B]`` with a batch.
    """
    losses = objective.sample_loss(theta, batch)
    if isinstance(losses, Tensor) and losses.ndim == 2 and losses.shape == (theta.shape[0], losses.shape[1] if batch is None else batch.shape[1]):
        return losses
    came = f"shape {tuple(losses.shape)}" if isinstance(losses, Tensor) else type(losses).__name__
    asked, wanted = ("all samples (batch=None)", "n") if batch is None else (f"a batch of shape {tuple(batch.shape)}", str(batch.shape[1]))
    raise InputError(
        f"{type(objective).__name__}.sample_loss returned {came} for {theta.shape[0]} points and {asked}; wanted a tensor [{theta.shape[0]}, {wanted}], "
        "one loss for each path and each sample of its batch."
    )


def spread(values: Float[Tensor, " paths"], batch: Batch | None) -> Float[Tensor, "paths batch"]:
    """The loss of a deterministic objective in the shape of ``sample_loss``: the same value for every index of the batch."""
    return values[:, None].expand(-1, 1 if batch is None else batch.shape[1])


#: constant -> dtype and device -> its version, and itself there: as long as the constant lives
_beside: MutableMapping[Tensor, dict[tuple[torch.dtype, torch.device], tuple[int, Tensor]]] = WeakIdKeyDictionary()


def like(constant: Tensor, theta: Tensor) -> Tensor:
    """A stored constant in the dtype and on the device of the points at hand. Conversions are kept: a copy to a device makes the host wait at every step."""
    if constant.dtype == theta.dtype and constant.device == theta.device:
        return constant
    if constant.requires_grad or constant.is_inference():
        return constant.to(theta)
    known = _beside.setdefault(constant, {})
    version, copy = known.get((theta.dtype, theta.device), (None, None))
    if copy is None or version != constant._version:
        copy = constant.to(theta)
        if type(copy) is Tensor:
            known[theta.dtype, theta.device] = (constant._version, copy)
    return copy


def identity_rows(theta: Tensor) -> Float[Tensor, "dim dim"]:
    """The identity matrix that fits ``theta``."""
    return torch.eye(theta.shape[-1], dtype=theta.dtype, device=theta.device)
