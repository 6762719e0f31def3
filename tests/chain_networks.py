"""Small chains of layers, and comparison to rounding, for the tests of networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgdsde.objectives import Network

T64 = torch.float64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=T64)


def huber(output: Tensor, target: Tensor) -> Tensor:
    """A user's loss."""
    return functional.smooth_l1_loss(output, target, reduction="none").sum(-1)


def classifier(activation: type[nn.Module] = nn.Tanh, **settings: bool) -> Network:
    module = nn.Sequential(nn.Flatten(), nn.Linear(6, 4, **settings), activation(), nn.Sequential(nn.Linear(4, 3), activation()), nn.Linear(3, 3)).double()
    return Network(module, "cross_entropy", normal(9, 2, 3, seed=1), torch.arange(9) % 3)


def regression(loss: Any = "mse", last: nn.Module | None = None) -> Network:
    module = nn.Sequential(nn.Linear(3, 5, bias=False), nn.Tanh(), nn.Dropout(0.0), nn.Linear(5, 2), *([last] if last else [])).double()
    return Network(module, loss, normal(8, 3, seed=2), normal(8, 2, seed=3))


def soft() -> Network:
    module = nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, 3)).double()
    return Network(module, "cross_entropy", normal(7, 3, seed=4), normal(7, 3, seed=5).softmax(1) * 1.5)


def close(a: Tensor, b: Tensor, tolerance: float = 1e-12) -> None:
    assert a.shape == b.shape
    assert float((a - b).detach().abs().max()) <= tolerance * (1 + float(b.detach().abs().max()))


def convolution() -> Network:
    module = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.GroupNorm(1, 2), nn.ReLU(), nn.Flatten(), nn.LayerNorm(32), nn.Linear(32, 3)).double()
    return Network(module, "cross_entropy", normal(6, 1, 4, 4), torch.arange(6) % 3)
