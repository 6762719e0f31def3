"""Symmetric α-stable gradient noise: ξᵢ = γᵢ·ζᵢ with independent E e^{iuζ} = e^{−|u|^α}, 0 < α < 2. Its variance is infinite.

P(|ζ| > r) → (2/π)Γ(α)sin(πα/2)·r^{−α}: a single jump can cross any barrier. The model of heavy-tailed gradient noise of Şimşekli, Sagun, Gürbüzbalaban
(arXiv 1901.06053, eq. 6). Drawn exactly (Chambers, Mallows, Stuck, J. Amer. Statist. Assoc. 71, 1976): with V uniform on (−π/2, π/2) and W exponential,

    ζ = sin(αV)/(cos V)^{1/α} · (cos((1−α)V)/W)^{(1−α)/α}.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Generator, Tensor

from sgdsde.calculus import grad
from sgdsde.counter import uniforms
from sgdsde.given import own
from sgdsde.noise import CountedNoise, HeavyTailedNoise
from sgdsde.objective import Objective, as_objective, like
from sgdsde.objectives.periodic_well import PeriodicWell
from sgdsde.objectives.quadratic import Quadratic
from sgdsde.types import Conventions, InputError, real


class SymmetricStable(HeavyTailedNoise, CountedNoise):
    """Independent symmetric α-stable noise in every coordinate; ``scale`` γ is a number or one number per coordinate ``[dim]``.

    Raises:
        InputError: α lies outside (0, 2), or a scale is negative, not finite or of wrong shape; all scales zero.

    Example:
        >>> noise = sg.noises.SymmetricStable(sg.objectives.Quadratic([1.0]), alpha=1.5)
        >>> noise.draw(torch.zeros(4, 1, dtype=torch.float64), torch.Generator().manual_seed(0)).shape
        torch.Size([4, 1])
    """

    def __init__(self, objective: Objective, alpha: float, scale: Any = 1.0) -> None:
        self.objective = as_objective(objective)
        self.alpha = real(alpha, "alpha")
        if not 0 < self.alpha < 2:
            raise InputError(f"alpha = {alpha}; wanted 0 < alpha < 2. The stable law with alpha = 2 is Gaussian: sg.noises.Gaussian(objective, 2 * scale**2).")
        gamma = own(scale, "scale").to("cpu", torch.float64)
        gamma = gamma.expand(objective.dim) if gamma.ndim == 0 else gamma
        if tuple(gamma.shape) != (objective.dim,) or not bool(torch.isfinite(gamma).all()) or bool((gamma < 0).any()) or not bool(gamma.any()):
            raise InputError(f"scale = {scale!r}; wanted a number > 0, or {objective.dim} numbers ≥ 0 of which one at least is > 0.")
        self.scale = gamma.clone()

    @classmethod
    def examples(cls) -> list[HeavyTailedNoise]:
        """On the line, and in the plane with one scale per coordinate."""
        return [cls(PeriodicWell(), 1.5, 0.1), cls(Quadratic([1.0, 0.5]), 1.2, [0.3, 0.0])]

    def draw(self, theta: Tensor, generator: Generator) -> Tensor:
        return grad(self.objective, theta) + like(self.scale, theta) * stable(theta, self.alpha, generator)

    @property
    def words(self) -> int:
        return 2 * self.objective.dim

    def draw_of(self, theta: Tensor, words: Tensor) -> Tensor:
        u = uniforms(words).view(theta.shape[0], 2, -1)
        return grad(self.objective, theta) + like(self.scale, theta) * _of_uniforms(u[:, 0], u[:, 1], self.alpha).to(theta.dtype)

    def conventions(self) -> Conventions:
        return Conventions(sampling=f"symmetric stable, alpha={self.alpha:g}")


def stable(shaped: Tensor, alpha: float, generator: Generator) -> Tensor:
    """Standard symmetric α-stable numbers in the shape, dtype and place of ``shaped``, made in float64 (cos V at the ends needs it)."""
    u = torch.rand(2, *shaped.shape, generator=generator, dtype=torch.float64, device=shaped.device).clamp_(2.0**-54, 1 - 2.0**-53)
    return _of_uniforms(u[0], u[1], alpha).to(shaped.dtype)


def _of_uniforms(first: Tensor, second: Tensor, alpha: float) -> Tensor:
    """ζ of two uniforms; powers through logarithms, which torch rounds alike wherever in a tensor they stand."""
    V, W = math.pi * (first - 0.5), -torch.log(second)
    size = (torch.log(torch.cos((1 - alpha) * V)) - torch.log(W)) * ((1 - alpha) / alpha) - torch.log(torch.cos(V)) / alpha
    return torch.sin(alpha * V) * torch.exp(size)
