"""Functions, noises and SDEs on the line and the torus, for the tests of weak errors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sgdsde.sde import SDE

MOMENTS = {"x": lambda x: x[:, 0], "x2": lambda x: x[:, 0] ** 2, "cos": lambda x: torch.cos(x[:, 0])}
WAVES = {"sin": lambda x: torch.sin(x[:, 0]), "cos": lambda x: torch.cos(x[:, 0]), "mix": lambda x: torch.exp(torch.sin(x[:, 0] + 0.3))}


def moved_variance(theta: Tensor) -> Tensor:
    """A state-dependent variance on the line, 2π-periodic."""
    return (0.5 + 0.3 * torch.sin(theta + 0.4))[:, :, None]


def tilted(theta: Tensor) -> Tensor:
    """A state-dependent covariance on the torus that commutes with no Hessian."""
    x, y = theta[:, 0], theta[:, 1]
    first, second, off = 0.6 + 0.2 * torch.sin(x - y), 0.4 + 0.15 * torch.cos(x), 0.25 * torch.cos(y + 0.5)
    return torch.stack([torch.stack([first, off], 1), torch.stack([off, second], 1)], 1)


class Wave:
    def __init__(self, k: tuple[int, int]) -> None:
        self.k = torch.tensor(k, dtype=torch.float64)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.cos(x @ self.k)


class Fields(SDE):
    """An SDE given by its drift and diffusion matrix."""

    def __init__(self, b: Callable[[Tensor], Tensor], Q: Callable[[Tensor], Tensor], dim: int = 2) -> None:
        self.b, self.Q, self.dim, self.noise_dim = b, Q, dim, dim

    def drift(self, t: float, x: Tensor) -> Tensor:
        return self.b(x)

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return (torch.linalg.cholesky(self.Q(x)) @ dw[:, :, None])[:, :, 0]

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        return self.Q(x)
