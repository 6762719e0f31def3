"""Small networks of every kind of layer and loss, and the operators of each, for the tests of curvature."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

import sgdsde as sg
from sgdsde import curvature


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def huber(output: Tensor, target: Tensor) -> Tensor:
    """A user's loss: neither named nor quadratic."""
    return ((1 + (output - target) ** 2).sqrt() - 1).sum(1)


def seeded(build: nn.Sequential) -> nn.Sequential:
    with torch.no_grad():
        for i, part in enumerate(build.parameters()):
            part.copy_(0.5 * torch.randn(part.shape, generator=generator(i), dtype=torch.float64))
    return build


def networks() -> dict[str, sg.objectives.Network]:
    """Linear, Conv2d, LayerNorm, frozen BatchNorm; cross-entropy, squared error, a user's loss."""
    g = generator(9)
    images, x = torch.randn(12, 1, 4, 4, generator=g, dtype=torch.float64), torch.randn(12, 3, generator=g, dtype=torch.float64)
    labels, y = torch.arange(12) % 3, torch.randn(12, 2, generator=g, dtype=torch.float64)
    conv = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Tanh(), nn.MaxPool2d(2, 1), nn.Flatten(), nn.Linear(8, 3)).double()
    normed = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Softplus(), nn.Linear(4, 2)).double()
    frozen = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(8, 3)).double().eval()
    plain = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    return {
        "conv, cross-entropy": sg.objectives.Network(seeded(conv), "cross_entropy", images, labels),
        "layer norm, squared error": sg.objectives.Network(seeded(normed), "mse", x, y),
        "layer norm, user's loss": sg.objectives.Network(seeded(copy.deepcopy(normed)), huber, x, y),
        "frozen batch norm, cross-entropy": sg.objectives.Network(seeded(frozen), "cross_entropy", images, labels),
        "linear, user's loss": sg.objectives.Network(seeded(plain), huber, x, y),
    }


NETWORKS = networks()


def operators(network: sg.objectives.Network, theta: Tensor, **given: object) -> dict[str, curvature.Operator]:
    return {
        "H": curvature.hessian_operator(network, theta, **given),
        "G": curvature.gauss_newton_operator(network, theta, **given),
        "M": curvature.second_moment_operator(network, theta, **given),
        "Σ": curvature.covariance_operator(network, theta, **given),
    }
