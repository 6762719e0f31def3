"""The networks whose Hessians the claims look at: perceptrons on digits in [0, 1] with cross-entropy, trained by plain SGD.

Reference setting: 1,000 digits, ReLU perceptron 64-20-20-10 (1,930 parameters), η = .1, B = 32, float64, dense matrices:
H, G (Gauss–Newton), M = (1/n)Σgᵢgᵢᵀ and Σ = M − μμᵀ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sgdsde.calculus import hessian, sample_grads
from sgdsde.curvature import gauss_newton_operator
from sgdsde.data import Data, digits
from sgdsde.objectives import Network
from sgdsde.rng import stream

RATE, BATCH, HIDDEN, SAMPLES = 0.1, 32, (20, 20), 1000
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


def perceptron(data: Data, hidden: Sequence[int] = HIDDEN, *, activation: str = "relu") -> Network:
    """pixels → hidden layers → classes, float64, cross-entropy; linear layers are called ``0``, ``2``, ``4`` …"""
    widths = (data.x.shape[1], *hidden)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), ACTIVATIONS[activation]()]
    return Network(nn.Sequential(*layers, nn.Linear(widths[-1], int(data.classes or 0))).double(), "cross_entropy", data.x, data.y)


def reference(*, samples: int = SAMPLES, standardize: bool = False, classes: int | None = None) -> Network:
    """The reference network, on standardised inputs or on the digits 0…classes−1 where asked."""
    data = digits(standardize=standardize, classes=classes)
    return perceptron(data.take(min(samples, len(data))))


def start(network: Network, seed: int, paths: int = 1) -> Float[Tensor, "paths dim"]:
    """PyTorch's own initialisation from a seed."""
    return network.initial(paths, stream(seed, "hessian start"))


@dataclass(frozen=True)
class Dense:
    """H, G and the per-sample gradients of a network at one point, each made once."""

    network: Network
    theta: Float[Tensor, " dim"]

    @cached_property
    def H(self) -> Float[Tensor, "dim dim"]:
        return hessian(self.network, self.theta[None])[0]

    @cached_property
    def G(self) -> Float[Tensor, "dim dim"]:
        return gauss_newton_operator(self.network, self.theta).dense()

    @cached_property
    def gradients(self) -> Float[Tensor, "n dim"]:
        return sample_grads(self.network, self.theta[None])[0]

    @cached_property
    def M(self) -> Float[Tensor, "dim dim"]:
        return self.gradients.T @ self.gradients / self.network.n

    @cached_property
    def mean(self) -> Float[Tensor, " dim"]:
        return self.gradients.mean(0)

    @cached_property
    def Sigma(self) -> Float[Tensor, "dim dim"]:
        return self.M - torch.outer(self.mean, self.mean)

    @property
    def loss(self) -> float:
        return float(self.network.loss(self.theta[None])[0])
