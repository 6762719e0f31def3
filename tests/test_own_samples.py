"""Products with H and G of many networks, each on samples of its own, against dense matrices of one network at a time.

Exact up to rounding; the mutants are the other network's samples, H for G, and all samples for one's own.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sgdsde.calculus import hessian
from sgdsde.curvature import gauss_newton_operator
from sgdsde.data import Data, digits
from sgdsde.measurements.hessian_network import perceptron, start
from sgdsde.objectives.network_batched import Batched

PATHS, OWN = 3, 20


def problem(activation: str) -> tuple[Data, Batched, Tensor, Tensor]:
    data = digits(components=6, count=60)
    network = perceptron(data, (7, 6), activation=activation)
    assert isinstance(network.method, Batched)
    rows = torch.stack([torch.randperm(60, generator=torch.Generator().manual_seed(path))[:OWN] for path in range(PATHS)])
    return data, network.method, start(network, 1, PATHS), rows


def dense(data: Data, rows: Tensor, theta: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    """H and G of one network on its samples alone."""
    one = perceptron(replace(data, x=data.x[rows], y=data.y[rows]), (7, 6), activation=activation)
    return hessian(one, theta[None])[0], gauss_newton_operator(one, theta).dense()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_each_network_has_its_own_matrices(activation: str) -> None:
    data, method, theta, rows = problem(activation)
    v = torch.randn(PATHS, 4, method.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    curved, flat = method.hvp_at(theta, rows)(v), method.gauss_newton_at(theta, rows)(v)
    for path in range(PATHS):
        H, G = dense(data, rows[path], theta[path], activation)
        torch.testing.assert_close(curved[path], v[path] @ H)
        torch.testing.assert_close(flat[path], v[path] @ G)
        others, _ = dense(data, rows[path - 1], theta[path], activation)
        for mutant in (v[path] @ H, v[path] @ others):
            assert not torch.allclose(flat[path], mutant, rtol=1e-3), "the mutant looks like G"
        assert not torch.allclose(curved[path], v[path] @ others, rtol=1e-3)


def test_no_batch_means_all_samples() -> None:
    _, method, theta, _ = problem("relu")
    v = torch.ones_like(theta)
    everything = torch.arange(60).expand(PATHS, 60)
    torch.testing.assert_close(method.gauss_newton_at(theta)(v), method.gauss_newton_at(theta, everything)(v))
    torch.testing.assert_close(method.hvp_at(theta)(v), method.hvp_at(theta, everything)(v))
