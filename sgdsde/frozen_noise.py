"""The noise of an SGD frozen at one point: ξ as it is drawn at θ₀, added to the gradient of the quadratic there.

It draws from a generator exactly what the noise itself draws, so that a run of it from the same seed and block size meets the same batches (or the same
normals) as the run on the objective. Its covariance is constant, Σ(θ₀), and the moments of its SGD to second order are in closed form whatever the law of ξ.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.noise import Noise
from sgdsde.objectives.local_quadratic import LocalQuadratic
from sgdsde.types import Conventions


class Frozen(Noise):
    """``noise`` at ``anchor [dim]``, on the local quadratic there. Raises InputError as :class:`LocalQuadratic`."""

    def __init__(self, noise: Noise, anchor: Any) -> None:
        self.noise = noise
        self.local = LocalQuadratic(noise.objective, anchor)
        self.objective = self.local
        self.root_dim = noise.root_dim
        self.constant_covariance = True

    def draw(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        return grad(self.objective, theta) + self.noise.draw(self._point(theta), generator) - self.local.slope.to(theta)

    def root(self, theta: Tensor, z: Tensor) -> Tensor:
        return self.noise.root(self._point(theta), z)

    def covariance(self, theta: Tensor) -> Tensor:
        return self.noise.covariance(self._point(theta[:1])).expand(theta.shape[0], -1, -1)

    def conventions(self) -> Conventions:
        inner = self.noise.conventions()
        return replace(inner, sampling=f"{inner.sampling}, frozen at a point")

    def _point(self, theta: Tensor) -> Tensor:
        return self.local.anchor.to(theta).expand_as(theta)
