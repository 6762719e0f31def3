"""The Gaussian surrogate of a noise: the same Σ(θ), no skewness.

SGD with ξ = −R(θ)z, R the root of the given noise and z ~ N(0, I). A model's error against minibatch SGD splits into
(minibatch − surrogate) + (surrogate − SDE); only the second part is the SDE's own.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sgdsde.calculus import grad, weighted_grad
from sgdsde.noise import GaussianNoise, HeavyTailedNoise, Noise, as_noise
from sgdsde.noises.gaussian import Gaussian
from sgdsde.noises.minibatch import Minibatch
from sgdsde.noises.minibatch_without_replacement import MinibatchWithoutReplacement
from sgdsde.rng import normals
from sgdsde.types import Conventions, InputError

#: below this dimension a dense covariance and its symmetric root are cheaper than n normals a step
DENSE_DIM = 64


class Surrogate(GaussianNoise):
    """ĝ = g − R(θ)z through the root of ``noise``: n normals and one weighted backward pass a step, no d×d matrix.

    Raises:
        InputError: ``noise`` has no covariance (its variance is infinite).

    Example:
        >>> line = sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]])
        >>> surrogate = sg.noises.Surrogate(sg.noises.Minibatch(line, 4))
        >>> surrogate.root_dim, surrogate.covariance(torch.zeros(1, 1, dtype=torch.float64)).item()
        (2, 0.25)
    """

    def __init__(self, noise: Noise) -> None:
        if isinstance(noise, HeavyTailedNoise):
            raise InputError(noise.refusal("A Gaussian surrogate"))
        self.noise = as_noise(noise)
        self.objective = noise.objective
        self.root_dim = noise.root_dim
        self.constant_covariance = noise.constant_covariance

    @classmethod
    def examples(cls) -> list[GaussianNoise]:
        """The surrogate of every minibatch noise."""
        return [cls(noise) for noise in (*Minibatch.examples(), *MinibatchWithoutReplacement.examples())]

    def draw(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        return self.draw_from(theta, normals(theta, self.root_dim, generator))

    def draw_from(self, theta: Tensor, z: Tensor) -> Tensor:
        if isinstance(self.noise, Minibatch | MinibatchWithoutReplacement):  # both parts are weighted means of the samples' gradients: one backward pass
            return weighted_grad(self.objective, theta, 1 / self.objective.n - self.noise.weights(z), None)
        return grad(self.objective, theta) - self.noise.root(theta, z)

    def root(self, theta: Tensor, z: Tensor) -> Tensor:
        return self.noise.root(theta, z)

    def covariance(self, theta: Tensor) -> Tensor:
        return self.noise.covariance(theta)

    def conventions(self) -> Conventions:
        inner = self.noise.conventions()
        return replace(inner, sampling=f"Gaussian surrogate of {inner.sampling}")


def gaussian_surrogate(noise: Noise) -> GaussianNoise:
    """The cheapest Gaussian surrogate: the noise itself where it is Gaussian, dense below ``DENSE_DIM`` dimensions, else by its root.

    Raises:
        InputError: the noise has no covariance.

    Example:
        >>> line = sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]])
        >>> surrogate = sg.noises.gaussian_surrogate(sg.noises.Minibatch(line, 4))
        >>> surrogate.covariance(torch.zeros(1, 1, dtype=torch.float64)).item()
        0.25
    """
    if isinstance(noise, GaussianNoise):
        return noise
    if not isinstance(noise, HeavyTailedNoise) and noise.objective.dim <= DENSE_DIM:
        return Gaussian(noise.objective, noise.covariance)
    return Surrogate(noise)
