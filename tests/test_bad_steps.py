"""Kernels, SDEs, regions and functions of one's own that return another shape, another type, or change what they are given: refused, never spread out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import sgdsde as sg
from sgdsde.kernel import State
from sgdsde.types import InputError

QUADRATIC = sg.objectives.Quadratic([2.0, 0.5])
NOISE = sg.noises.Gaussian(QUADRATIC, 0.5)
SGD = sg.kernels.SGD(NOISE, 0.1)
BALL = sg.regions.Ball([0.0, 0.0], 0.5)


class Walk(sg.Kernel):
    dim, tick = 2, 0.1

    def __init__(self, change: Callable[[Tensor], Any]) -> None:
        self.change = change

    def advance(self, state: State, k: int, generator: torch.Generator) -> State:
        found: State = self.change(state.theta)
        return found


class Own(sg.SDE):
    dim, noise_dim = 2, 1

    def __init__(self, drift: Callable[[Tensor], Tensor], diffuse: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.b, self.D = drift, diffuse

    def drift(self, t: float, x: Tensor) -> Tensor:
        return self.b(x)

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return self.D(x, dw)


class Place(sg.Region):
    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        self.function = function

    def inside(self, theta: Tensor) -> Tensor:
        found: Tensor = self.function(theta)
        return found


def run(kernel: sg.Kernel = SGD, **changed: Any) -> Callable[[], Any]:
    return lambda: sg.simulate(kernel, [0.1, 0.2], horizon=0.3, paths=2, seed=0, **changed)


def exits(region: Any) -> Callable[[], Any]:
    return lambda: sg.exit_times(SGD, [0.1, 0.2], region=region, horizon=60.0, paths=2, seed=0)


def integrated(drift: Callable[[Tensor], Tensor], diffuse: Callable[[Tensor, Tensor], Tensor]) -> list[sg.Kernel]:
    sde = Own(drift, diffuse)
    return [sg.kernels.EulerMaruyama(sde, 0.1), sg.kernels.Heun(sde, 0.1), sg.kernels.TorchSDE(sde, 0.1, "euler")]


def sheet(x: Tensor, dw: Tensor) -> Tensor:
    return dw.expand(-1, 2)


SHORT = r"returned shape \(1, 1\) for points \(1, 2\) and increments \(1, 1\); wanted \(1, 2\)"
CASES: list[tuple[Callable[[], Any], str]] = [
    (run(Walk(lambda theta: theta)), r"Walk\.advance returned Tensor for \(2, 2\); wanted a State"),
    (run(Walk(lambda theta: State(theta[:, :1]))), r"Walk\.advance returned theta of shape \(2, 1\)"),
    (run(Walk(lambda theta: State(theta[:1]))), r"Walk\.advance returned theta of shape \(1, 2\)"),
    *((run(kernel), r"Own\.drift returned shape \(1,\) for points \(1, 2\)") for kernel in integrated(lambda x: -x[:, 0], sheet)),
    *((run(kernel), rf"Own\.drift {SHORT}") for kernel in integrated(lambda x: -x[:, :1], sheet)),
    *((run(kernel), rf"Own\.diffuse {SHORT}") for kernel in integrated(torch.neg, lambda x, dw: dw)),
    (exits(Place(lambda theta: theta)), r"Place\.inside returned torch\.float64 \(1, 2\) for 1 points; wanted torch\.bool \[1\]"),
    (exits(Place(lambda theta: theta[:, :1] < 1)), r"Place\.inside returned torch\.bool \(1, 1\)"),
    (exits(Place(lambda theta: True)), r"Place\.inside returned bool"),
    (exits(Place(lambda theta: theta.mul_(0.5)[:, 0] < 1)), r"Place\.inside changed the points that it was given, in place"),
    (exits(lambda theta: theta.mul_(0.5)[:, 0] < 1), r"Where\.inside changed the points that it was given, in place"),
    (run(observe=[QUADRATIC.loss]), r"observe is of type list; wanted functions of the points, by name"),
    (run(observe={"loss": 3}), r"observe = \{'loss': 3\}; wanted functions of the points, by name"),
    (run(observe={"size": lambda theta: theta.mul_(0)[:, 0]}), r"observable 'size' changed the points that it was given, in place"),
    (run(stop=lambda theta: theta.mul_(0)[:, 0] > 1), r"stop changed the points that it was given, in place"),
    (
        run(sg.kernels.SGD(sg.noises.Gaussian(QUADRATIC, lambda theta: torch.eye(2).expand(len(theta), 2, 2)), 0.1)),
        r"covariance function returned torch\.float32 for points of torch\.float64; wanted the dtype of the points",
    ),
    (run(sg.kernels.SGD(sg.noises.Gaussian(QUADRATIC, lambda theta: [[1.0, 0.0], [0.0, 1.0]]), 0.1)), "covariance function returned list"),
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_refused_in_words(number: int) -> None:
    call, words = CASES[number]
    with pytest.raises(InputError, match=words):
        call()


def test_right_ones_run() -> None:
    """Subclasses of one's own: a kernel that halves, an SDE with one Brownian motion for two coordinates, a region."""
    halved = run(Walk(lambda theta: State(theta / 2)))().states[-1]
    assert torch.allclose(halved, torch.tensor([[0.1, 0.2]], dtype=torch.float64) / 8)
    for kernel, factor in zip(integrated(torch.neg, sheet), (0.9, 0.905, 0.9), strict=True):
        moved = run(kernel)().states[-1]
        assert torch.allclose(moved[:, 1] - moved[:, 0], torch.full((2,), 0.1 * factor**3, dtype=torch.float64))
    assert torch.equal(exits(Place(BALL.inside))().times, exits(BALL)().times)


def test_one_path_is_foretold_to_leave_where_it_does() -> None:
    """No warning (warnings are errors here) that hardly a path will leave, where the one path leaves almost surely."""
    found = sg.exit_times(SGD, [0.0, 0.0], region=sg.regions.Ball([0.0, 0.0], 0.3), horizon=30.0, paths=1, seed=0)
    assert not bool(found.censored.any())
    with pytest.raises(InputError, match=r"1 path.*no error bar"):
        found.mean()
    assert "1 exited" in str(found)
