"""A noise where a kernel is wanted, a class for its instance, a subclass that does not say how wide it is: refused in words."""

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
SDE = sg.sdes.SME1(NOISE, 0.1)


class Widthless(sg.Objective):
    """No ``dim``."""

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return (theta**2).sum(1, keepdim=True)


class Endless(sg.SDE):
    """No ``noise_dim``."""

    dim = 2

    def drift(self, t: float, x: Tensor) -> Tensor:
        return -x

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return dw


class Still(sg.Kernel):
    """No ``tick``."""

    dim = 2

    def advance(self, state: State, k: int, generator: torch.Generator) -> State:
        return state


class Backwards(Still):
    tick = -1.0


def run(kernel: Any) -> Callable[[], Any]:
    return lambda: sg.simulate(kernel, [1.0, 1.0], horizon=1.0, paths=2, seed=0)


def exits(kernel: Any, region: Any) -> Callable[[], Any]:
    return lambda: sg.exit_times(kernel, [0.0, 0.0], region=region, horizon=1.0, paths=2, seed=0)


NOISE_WANTED = r"noise is of type Quadratic; wanted a sg\.Noise: for example sg\.noises\.Gaussian"
OBJECTIVE_WANTED = r"objective is of type Gaussian; wanted a sg\.Objective"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (run(NOISE), r"kernel is of type Gaussian; wanted a sg\.Kernel: sg\.kernels\.SGD\(noise, eta\)"),
        (run(SDE), r"kernel is of type SME1; .*an integrator of an SDE as sg\.kernels\.Heun\(sde, dt\)"),
        (run(sg.kernels.SGD), r"kernel is the class SGD; wanted a sg\.Kernel made from it"),
        (run(Still()), r"Still\.tick = None; wanted a number"),
        (run(Backwards()), r"Backwards\.tick = -1\.0; wanted a finite number > 0"),
        (exits(SDE, sg.regions.Ball([0.0, 0.0], 1.0)), r"kernel is of type SME1"),
        (exits(sg.kernels.SGD(NOISE, 0.1), sg.regions.Ball), r"region is the class Ball; wanted a sg\.Region made from it"),
        (lambda: sg.rare_exit_time(SDE, [0.0, 0.0], region=sg.regions.Ball([0.0, 0.0], 1.0), seed=0), r"kernel is of type SME1"),  # type: ignore[arg-type]
        (lambda: sg.compare(QUADRATIC, eta=0.1, models=["SME1"], theta0=[1.0, 1.0], horizon=0.1, paths=4, seed=0), NOISE_WANTED),  # type: ignore[arg-type]
        (lambda: sg.kernels.SGD(QUADRATIC, 0.1), NOISE_WANTED),  # type: ignore[arg-type]
        (lambda: sg.kernels.OptimizerSGD(QUADRATIC, 0.1), NOISE_WANTED),  # type: ignore[arg-type]
        (lambda: sg.kernels.SVAG(QUADRATIC, 0.1, 2), NOISE_WANTED),  # type: ignore[arg-type]
        (lambda: sg.noises.Surrogate(QUADRATIC), NOISE_WANTED),  # type: ignore[arg-type]
        (lambda: sg.sdes.SME1(QUADRATIC, 0.1), NOISE_WANTED),  # type: ignore[arg-type]
        (lambda: sg.sdes.HASME(sg.noises.Gaussian, 0.1), r"noise is the class Gaussian"),  # type: ignore[arg-type]
        (lambda: sg.kernels.Heun(NOISE, 0.1), r"sde is of type Gaussian; wanted a sg\.SDE: for example sg\.sdes\.HASME\(noise, eta\)"),  # type: ignore[arg-type]
        (lambda: sg.kernels.TorchSDE(NOISE, 0.1), r"sde is of type Gaussian"),  # type: ignore[arg-type]
        (lambda: sg.kernels.Heun(Endless(), 0.1), r"Endless\.noise_dim = None; wanted an integer ≥ 0"),
        (lambda: sg.noises.Gaussian(NOISE, 1.0), OBJECTIVE_WANTED),  # type: ignore[arg-type]
        (lambda: sg.noises.Minibatch(NOISE, 1), OBJECTIVE_WANTED),  # type: ignore[arg-type]
        (lambda: sg.noises.MinibatchWithoutReplacement(NOISE, 1), OBJECTIVE_WANTED),  # type: ignore[arg-type]
        (lambda: sg.kernels.ShuffledSGD(NOISE, 1, 0.1), OBJECTIVE_WANTED),  # type: ignore[arg-type]
        (lambda: sg.atlas(QUADRATIC, 0.1, [1.0, 1.0]), NOISE_WANTED),  # type: ignore[arg-type]
        (lambda: sg.oracles.sgd_moments(QUADRATIC, 0.1, [1.0, 1.0], 3), NOISE_WANTED),  # type: ignore[arg-type]
        (lambda: sg.oracles.sgd_mean_exit(QUADRATIC, 0.1, [0.0], sg.regions.Interval(-1, 1)), NOISE_WANTED),  # type: ignore[arg-type]
        (lambda: sg.oracles.weak_error(sg.sdes.SME1, QUADRATIC, eta=0.1, theta0=[1.0, 1.0], horizon=0.1), NOISE_WANTED),  # type: ignore[arg-type]
        (lambda: sg.oracles.sde_moments(NOISE, [1.0, 1.0], 0.3), r"sde is of type Gaussian"),  # type: ignore[arg-type]
        (lambda: sg.oracles.sde_mean_exit(sg.sdes.SME1, [0.0], sg.regions.Interval(-1, 1)), r"sde is the class SME1"),  # type: ignore[arg-type]
        (lambda: sg.oracles.skeleton_mean_exit(NOISE, [0.0], sg.regions.Interval(-1, 1)), r"sde is of type Gaussian"),  # type: ignore[arg-type]
        (lambda: sg.noises.Minibatch(Widthless(), 1), r"Widthless\.dim = None; wanted an integer ≥ 1"),
        (lambda: sg.noises.Gaussian(Widthless(), 1.0), r"Widthless\.dim = None; wanted an integer ≥ 1"),
    ],
)
def test_the_wrong_kind_is_refused_in_words(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()
