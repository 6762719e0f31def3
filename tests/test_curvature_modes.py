"""Modes and data that change between calls are found when an operator is built; memory is planned before it is taken."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from operator_networks import NETWORKS, generator, seeded
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import sgdsde as sg
from sgdsde import curvature
from sgdsde.curvature import graph_memory
from sgdsde.curvature.hessian import HessianOperator
from sgdsde.types import InputError


class Flickering:
    """A loader whose data are augmented anew at every pass."""

    def __init__(self, x: Tensor, y: Tensor, drop: bool = False) -> None:
        self.x, self.y, self.drop, self.passes = x, y, drop, 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.passes += 1
        if self.drop and self.passes % 2:
            yield self.x[:5], self.y[:5]
        elif self.drop:
            yield self.x, self.y
        else:
            yield self.x + 0.1 * torch.randn(self.x.shape, generator=generator(self.passes), dtype=self.x.dtype), self.y


def test_data_and_modes_that_change_between_calls_are_found_at_construction() -> None:
    network = NETWORKS["conv, cross-entropy"]
    theta, x, y = network.flatten(), network.inputs.original, network.targets.original
    with pytest.raises(InputError, match="differ between two passes"):
        curvature.hessian_operator(network, theta, data=Flickering(x, y))
    with pytest.raises(InputError, match="brought 12 samples, then 5: they change"):
        curvature.hessian_operator(network, theta, data=Flickering(x, y, drop=True))
    with pytest.raises(InputError, match="used up after one pass"):
        curvature.hessian_operator(network, theta, data=iter([(x, y)]))
    with pytest.raises(InputError, match="no pair"):
        curvature.hessian_operator(network, theta, data=[(x, y[:3])])
    with pytest.raises(InputError, match="brought no batch"):
        curvature.hessian_operator(network, theta, data=[])
    shuffled = DataLoader(TensorDataset(x, y), batch_size=5, shuffle=True, generator=generator(3))  # another order is no change
    assert torch.allclose(curvature.hessian_operator(network, theta, data=shuffled).dense(), curvature.hessian_operator(network, theta).dense(), atol=1e-12)


class Noisy(sg.Objective):
    """An objective with noise of its own: another loss each time, as with dropout left on."""

    dim, n = 2, 4

    def __init__(self) -> None:
        self.calls = generator(8)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        count = 4 if batch is None else batch.shape[1]
        return (theta**2).sum(1, keepdim=True) * torch.rand(count, generator=self.calls, dtype=theta.dtype)


def test_modes_that_change_are_found_at_construction() -> None:
    with pytest.raises(InputError, match="differ between two passes"):
        curvature.hessian_operator(Noisy(), torch.ones(2, dtype=torch.float64))
    changed = copy.deepcopy(NETWORKS["frozen batch norm, cross-entropy"])
    changed.module.train()  # behind the objective's back
    for build in (curvature.hessian_operator, curvature.gauss_newton_operator, curvature.second_moment_operator):
        with pytest.raises(InputError, match=r"BatchNorm in training mode"):
            build(changed, changed.flatten())


def test_mode_is_part_of_every_result() -> None:
    network = NETWORKS["frozen batch norm, cross-entropy"]
    H = curvature.hessian_operator(network, network.flatten())
    assert H.description == "Hessian (evaluation mode: BatchNorm frozen at running statistics (1); dropout off (4))"
    assert curvature.eigsh(H, 2).operator == H.description
    assert curvature.spectral_density(H, steps=4, vectors=2).operator == H.description
    assert "no layer has a mode" in curvature.hessian_operator(NETWORKS["linear, user's loss"], NETWORKS["linear, user's loss"].flatten()).description


def test_a_network_in_training_mode_keeps_its_samples_together() -> None:
    """BatchNorm by the statistics of all samples: H by finite differences; no gradients of single samples, no pieces."""
    module = seeded(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double())
    x = torch.randn(9, 3, generator=generator(), dtype=torch.float64)
    trained = sg.training.TrainingNetwork(module, "cross_entropy", x, torch.arange(9) % 2)
    objective = trained.objective()
    theta = trained.frozen.flatten()
    H = curvature.hessian_operator(objective, theta)
    assert H.memory.samples is None
    assert "BatchNorm" in H.description
    v, h = torch.randn(objective.dim, generator=generator(1), dtype=torch.float64), 1e-5
    forward, back = (sg.calculus.grad(objective, (theta + sign * h * v)[None])[0] for sign in (1, -1))
    assert torch.allclose(H @ v, (forward - back) / (2 * h), atol=1e-7)
    with pytest.raises(InputError, match="no gradient of its own"):
        curvature.second_moment_operator(objective, theta)
    with pytest.raises(InputError, match="one of all its samples"):
        curvature.hessian_operator(objective, theta, piece=3)


def test_memory_is_planned_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """What autograd keeps for a sample is counted exactly for a known chain; a small budget cuts the data; too small a machine is refused."""
    network = NETWORKS["conv, cross-entropy"]
    theta = network.flatten()
    whole = curvature.hessian_operator(network, theta, piece=12).dense()
    monkeypatch.setattr(graph_memory, "BUDGET", 20_000)
    cut = HessianOperator(network, theta, label="Hessian")
    assert cut.memory.samples is not None
    assert 1 <= cut.memory.samples < 12
    assert cut.memory.bytes <= 20_000
    assert "samples at a time" in str(cut.memory)
    assert torch.allclose(cut.dense(), whole, atol=1e-12)
    monkeypatch.setattr(graph_memory, "available_bytes", lambda device: 100)
    with pytest.raises(InputError, match=r"would take .* GiB of"):
        curvature.hessian_operator(network, theta, piece=12)


def test_estimate_of_memory_is_that_of_the_graph() -> None:
    """x² with x = θ·1 keeps one number a sample: 8 bytes in float64."""

    class Squares(sg.Objective):
        dim, n = 1, 10

        def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
            count = 10 if batch is None else batch.shape[1]
            return (theta + torch.arange(count, dtype=theta.dtype)) ** 2

    operator = curvature.hessian_operator(Squares(), torch.tensor([1.0], dtype=torch.float64))
    assert operator.memory.sample_bytes == 8
    assert float(operator @ torch.ones(1, dtype=torch.float64)) == pytest.approx(2)


def test_losses_that_are_not_finite_and_wrong_pieces_are_refused() -> None:
    network = NETWORKS["linear, user's loss"]
    with pytest.raises(InputError, match="NaN or infinite"):
        curvature.hessian_operator(network, 1e200 * torch.ones(network.dim, dtype=torch.float64))
    with pytest.raises(InputError, match="wanted a number of samples"):
        curvature.hessian_operator(network, network.flatten(), piece=0)
    with pytest.raises(InputError, match=r"only sg\.objectives\.Network"):
        curvature.hessian_operator(sg.objectives.Quadratic([1.0, 2.0]), [0.0, 0.0], data=[])
