"""Expectations of SGD and of SDEs on the circle and the 2-torus by Fourier collocation: small, dense, independent of the package's oracles.

SGD: E e^{ik·(x − ηg + ηξ)} is known mode by mode, so the transfer operator is a matrix on grid values. SDE: the generator is a matrix, and its
semigroup a matrix exponential.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

import sgdsde as sg


class Trigonometric(sg.Objective):
    """f = Σⱼ aⱼcos(kⱼ·θ + φⱼ), without facts."""

    def __init__(self, modes: Sequence[Sequence[int]], amplitudes: Sequence[float], phases: Sequence[float]) -> None:
        self.modes = torch.tensor(modes, dtype=torch.float64)
        self.amplitudes = torch.tensor(amplitudes, dtype=torch.float64)
        self.phases = torch.tensor(phases, dtype=torch.float64)
        self.dim = self.modes.shape[1]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        values = (self.amplitudes * torch.cos(theta @ self.modes.T + self.phases)).sum(1)
        return values[:, None].expand(-1, 1 if batch is None else batch.shape[1])


def gaussian_damping(s: np.ndarray) -> np.ndarray:
    """E e^{isZ} of a standard normal."""
    return np.exp(-(s**2) / 2)


def exponential_damping(s: np.ndarray) -> np.ndarray:
    """E e^{isZ} of Z = Exp(1) − 1: mean 0, variance 1, third cumulant 2."""
    return np.exp(-1j * s) / (1 - 1j * s)


class Torus:
    """A grid of ``count`` points an axis in ``dim`` = 1 or 2 dimensions."""

    def __init__(self, count: int, dim: int) -> None:
        axis, frequency = 2 * np.pi * np.arange(count) / count, np.fft.fftfreq(count, 1 / count)
        self.x = np.array(list(itertools.product(*[axis] * dim)))
        self.k = np.array(list(itertools.product(*[frequency] * dim)))
        self.dim = dim
        self.analyse = np.exp(-1j * self.k @ self.x.T) / count**dim  # values -> modes
        synthesise = np.exp(1j * self.x @ self.k.T)
        self.first = [((synthesise * (1j * self.k[:, i])) @ self.analyse).real for i in range(dim)]
        self.second = [[((synthesise * -(self.k[:, i] * self.k[:, j])) @ self.analyse).real for j in range(dim)] for i in range(dim)]

    def sgd(self, noise: sg.Noise, eta: float, damping: Callable[[np.ndarray], np.ndarray] = gaussian_damping) -> np.ndarray:
        """One step's transfer matrix; for a law that is not rotation invariant (``damping``) in one dimension only."""
        theta = torch.as_tensor(self.x)
        g, sigma = sg.calculus.grad(noise.objective, theta).numpy(), noise.covariance(theta).numpy()
        if self.dim == 1:
            argument = eta * self.k[:, 0] * np.sqrt(sigma[:, 0])
        else:
            argument = eta * np.sqrt(np.maximum(np.einsum("ka,pab,kb->pk", self.k, sigma, self.k), 0))
        return ((np.exp(1j * (self.x - eta * g) @ self.k.T) * damping(argument)) @ self.analyse).real

    def generator(self, sde: sg.SDE) -> np.ndarray:
        """b·∂ + ½Q:∂∂ on grid values."""
        theta = torch.as_tensor(self.x)
        b, Q = sde.drift(0.0, theta).numpy(), sde.diffusion(0.0, theta).numpy()
        total = sum(b[:, i, None] * self.first[i] for i in range(self.dim))
        return total + sum(Q[:, i, j, None] / 2 * self.second[i][j] for i in range(self.dim) for j in range(self.dim))

    def errors(self, noise: sg.Noise, model: type[sg.SDE], etas: Sequence[float], horizon: float, damping: Callable = gaussian_damping) -> np.ndarray:
        """max over start points of |E u(SGD) − E u(SDE)| at the horizon for two test functions, ``[etas, 2]``."""
        tests = [np.cos(self.x[:, 0]), np.sin(self.x.sum(1)) + np.cos(2 * self.x[:, -1])]
        found = []
        for eta in etas:
            difference = np.linalg.matrix_power(self.sgd(noise, eta, damping), round(horizon / eta)) - scipy.linalg.expm(
                horizon * self.generator(model(noise, eta))
            )
            found.append([np.abs(difference @ u).max() for u in tests])
        return np.array(found)


def slopes(errors: np.ndarray) -> np.ndarray:
    """Local orders between successive halvings of η."""
    return np.log2(errors[:-1] / errors[1:])
