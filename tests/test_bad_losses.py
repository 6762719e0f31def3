"""Objectives of one's own: a loss alone will do, and one that is wrong is refused in words, above all where it would run without its noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import sgdsde as sg
from sgdsde.types import InputError

SLOPES = torch.arange(6, dtype=torch.float64)


class Line(sg.Objective):
    """ℓᵢ = ½(θ₁xᵢ + θ₂ − xᵢ²/7)², nothing but the loss."""

    dim = 2

    def losses(self, theta: Tensor) -> Tensor:
        x = SLOPES.to(theta)
        return (theta[:, :1] * x + theta[:, 1:] - x**2 / 7) ** 2 / 2

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        losses = self.losses(theta)
        return losses if batch is None else losses.gather(1, batch)


class PassesOver(Line):
    """Its batch."""

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return self.losses(theta)


class OtherOrder(Line):
    """A batch from the other end."""

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return super().sample_loss(theta, None if batch is None else 5 - batch)


class Means(Line):
    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return super().sample_loss(theta, batch).mean(1)


class Numbers(Line):
    n = 6

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Any:
        return super().sample_loss(theta, batch).tolist()


class Detached(Line):
    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return super().sample_loss(theta, batch).detach()


class Miscounted(Line):
    n = 5


KERNELS: dict[str, Callable[[sg.Objective], sg.Kernel]] = {
    "with replacement": lambda f: sg.kernels.SGD(sg.noises.Minibatch(f, 2), 0.01),
    "without": lambda f: sg.kernels.SGD(sg.noises.MinibatchWithoutReplacement(f, 2), 0.01),
    "shuffled": lambda f: sg.kernels.ShuffledSGD(f, 2, 0.01),
    "SVAG": lambda f: sg.kernels.SVAG(sg.noises.Minibatch(f, 2), 0.01, 2),
    "heavy ball": lambda f: sg.kernels.OptimizerSGD(sg.noises.Minibatch(f, 2), 0.01, update=sg.kernels.HeavyBall(0.5)),
}


def run(kernel: sg.Kernel, dtype: torch.dtype = torch.float64) -> sg.Trajectory:
    return sg.simulate(kernel, torch.ones(2, dtype=dtype), horizon=0.02, paths=3, seed=0)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (PassesOver, r"PassesOver\.sample_loss returned shape \(1, 6\) for 1 points and a batch of shape \(1, 3\); wanted a tensor \[1, 3\]"),
        (OtherOrder, r"OtherOrder\.sample_loss\(theta, batch\) brings other losses for samples \[5, 0, 3\]"),
        (Means, r"Means\.sample_loss returned shape \(1,\) for 1 points and all samples .*wanted a tensor \[1, n\]"),
        (Numbers, r"Numbers\.sample_loss returned list"),
        (Detached, r"losses of Detached\.sample_loss carry no gradient"),
        (Miscounted, r"Miscounted\.sample_loss\(theta, batch\) brings other losses for samples .* of 5"),
    ],
)
def test_wrong_losses_are_refused_by_every_kernel_of_samples(kernel: str, objective: type[Line], words: str) -> None:
    with pytest.raises(InputError, match=words):
        run(KERNELS[kernel](objective()))


@pytest.mark.parametrize("model", ["SME1", "HASMEProduct", "SME3"])
@pytest.mark.parametrize(("objective", "words"), [(Means, "returned shape"), (Detached, "carry no gradient")])
def test_and_by_models(model: str, objective: type[Line], words: str) -> None:
    with pytest.raises(InputError, match=words):
        run(sg.kernels.Heun(getattr(sg.sdes, model)(sg.noises.Minibatch(objective(), 2), 0.01), 0.01))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_loss_alone_will_do(kernel: str, dtype: torch.dtype) -> None:
    """The mean step is gradient descent's; paths differ, as they do not where the batch is passed over."""
    found = run(KERNELS[kernel](Line()), dtype).states[-1]
    assert found.dtype == dtype
    assert len({tuple(row) for row in found.tolist()}) == 3
