"""Quadratics, networks and a loss with an outlier that grows, on which the spectral regime of the product form is tested."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

import sgdsde as sg
from sgdsde.sdes.log_domain import RealLogarithm
from sgdsde.sdes.spectral import Spectral

T64 = torch.float64
EXACT = sg.sdes.Dense()


def quadratic(x: Tensor, eta: float, seed: int = 0) -> sg.objectives.Quadratic:
    """A rotated quadratic with ηλ = x."""
    U = torch.linalg.qr(torch.randn(x.numel(), x.numel(), generator=torch.Generator().manual_seed(seed), dtype=T64))[0]
    H = U @ torch.diag(x / eta) @ U.T
    return sg.objectives.Quadratic((H + H.T) / 2)


def bound(functions: sg.sdes.Dense | sg.sdes.Krylov | Spectral, f: sg.Objective, eta: float, policy: str = "stop"):  # type: ignore[no-untyped-def]
    return functions.bind(f, eta, RealLogarithm(policy))


def network(widths: tuple[int, ...] = (64, 12, 10), samples: int = 120) -> sg.objectives.Network:
    data = sg.data.digits().take(samples)
    parts = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.Tanh())][:-1]
    x = torch.as_tensor(data.x, dtype=T64)
    return sg.objectives.Network(nn.Sequential(*parts).double(), "cross_entropy", x / x.abs().max(), torch.as_tensor(data.y))


def visited(f: sg.objectives.Network, steps: int = 150) -> tuple[Tensor, float]:
    """Two points that SGD visits, and an η with a largest ηλ of .6 at the first."""
    theta = f.initial(2, torch.Generator().manual_seed(3))
    if steps:
        theta = sg.simulate(sg.kernels.SGD(sg.noises.Minibatch(f, 16), 0.2), theta, horizon=0.2 * steps, seed=2, progress=False).states[-1]
    top = sg.curvature.eigsh(sg.curvature.hessian_operator(f, theta[0]), 1).values[0]
    return theta, 0.6 / float(top)


class Rising(sg.Objective):
    """½Σλᵢ(θ₀)θᵢ²-like: the curvature of the last coordinate grows along the first, from nothing to the largest."""

    def __init__(self, dim: int = 30) -> None:
        self.dim = dim
        self.curvature = torch.cat([torch.tensor([0.0, 7.0, 6.0, 5.0], dtype=T64), torch.linspace(0, 0.5, dim - 5, dtype=T64), torch.zeros(1, dtype=T64)])

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        values = (self.curvature * theta**2).sum(1) / 2 + 8 * (1 - torch.cos(theta[:, -1])) * theta[:, 0]
        return values[:, None].expand(-1, 1 if batch is None else batch.shape[1])
