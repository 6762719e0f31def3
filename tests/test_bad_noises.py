"""Noises and facts of one's own: right ones run with the moments of the oracles; wrong ones are refused before a run, not spread over the coordinates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import sgdsde as sg
from sgdsde.objective import Facts
from sgdsde.stats import CheckFailed, check_covariance
from sgdsde.types import InputError

QUADRATIC = sg.objectives.Quadratic([1.0, 2.0])


class Signs(sg.Noise):
    """ξ = ±s in each coordinate, independently."""

    def __init__(self, objective: sg.Objective, s: float) -> None:
        self.objective, self.s, self.root_dim = objective, s, objective.dim

    def draw(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        signs = torch.randint(0, 2, theta.shape, generator=generator).to(theta) * 2 - 1
        return sg.calculus.grad(self.objective, theta) + self.s * signs

    def root(self, theta: Tensor, z: Tensor) -> Tensor:
        return self.s * z

    def covariance(self, theta: Tensor) -> Tensor:
        return self.s**2 * torch.eye(theta.shape[1], dtype=theta.dtype).expand(len(theta), -1, -1)


class FirstOnly(Signs):
    def draw(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        return super().draw(theta, generator)[:, :1]


class Widthless(Signs):
    def __init__(self) -> None:
        self.objective, self.s = QUADRATIC, 1.0


class Homeless(Signs):
    def __init__(self) -> None:
        self.s, self.root_dim = 1.0, 2


class Bowl(sg.Objective):
    """½|θ|² with one entry of its stated gradient."""

    dim, n = 2, 1

    def __init__(self) -> None:
        self.facts = Facts(grad=self.first)

    def first(self, theta: Tensor) -> Tensor:
        return theta[:, :1]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return (theta**2).sum(1, keepdim=True) / 2


class Quartic(sg.Objective):
    """θ⁴/4, said to have a constant Hessian."""

    dim, n = 1, 1
    facts = Facts(constant_hessian=True)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return (theta**4).sum(1, keepdim=True) / 4


def run(noise: sg.Noise) -> Any:
    return sg.simulate(sg.kernels.SGD(noise, 0.2), [0.0] * noise.objective.dim, horizon=8.0, paths=20_000, seed=1)


def test_a_noise_of_ones_own_has_the_oracles_moments() -> None:
    """Var to 4 % with 2e4 paths (false alarm 1e-6); the mutant, noise of variance s for s², is seen."""
    states = run(Signs(QUADRATIC, 0.5)).states[-1]
    check_covariance(states, sg.oracles.sgd_moments(Signs(QUADRATIC, 0.5), 0.2, [0.0, 0.0], 40).covariance)
    with pytest.raises(CheckFailed):
        check_covariance(states, sg.oracles.sgd_moments(Signs(QUADRATIC, 0.5**0.5), 0.2, [0.0, 0.0], 40).covariance)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: run(FirstOnly(QUADRATIC, 0.5)), r"FirstOnly\.draw returned shape \(1, 1\) for points \(1, 2\); wanted \(1, 2\)"),
        (lambda: sg.kernels.SGD(Widthless(), 0.1), r"Widthless\.root_dim = None; wanted an integer ≥ 0"),
        (lambda: sg.kernels.SGD(Homeless(), 0.1), r"objective is of type NoneType; wanted a sg\.Objective"),
        (lambda: run(sg.noises.Gaussian(Bowl(), 1.0)), r"facts\.grad returned shape \(1, 1\) for points \(1, 2\); wanted \(1, 2\)"),
        (lambda: sg.kernels.ExactOU(sg.sdes.SME1(sg.noises.Gaussian(Quartic(), 1.0), 0.1), 0.1), r"Quartic states a constant Hessian .*SME1 is not linear"),
    ],
)
def test_wrong_ones_are_refused(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()


@pytest.mark.parametrize("kernel", [sg.kernels.EulerMaruyama, sg.kernels.Heun])
def test_a_false_constant_hessian_is_found_by_integrators(kernel: type[sg.kernels.Heun]) -> None:
    with pytest.raises(InputError, match="Correct the objective's facts"):
        sg.simulate(kernel(sg.sdes.SME1(sg.noises.Gaussian(Quartic(), 1.0), 0.1), 0.1), [1.0], horizon=0.2, paths=2, seed=0)
