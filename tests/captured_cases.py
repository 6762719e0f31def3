"""Kernels whose steps are recorded, and what it means that two runs are the same: shared by the tests of recorded steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import sgdsde as sg
from sgdsde.kernel import Kernel
from sgdsde.noises.gaussian import growing_covariance

ETA = 0.05
PATHS = 70


def full(dim: int) -> Tensor:
    return 0.02 * (torch.eye(dim, dtype=torch.float64) + torch.ones(dim, dim, dtype=torch.float64) / dim)


def heun(model: str, noise: sg.Noise, *, eta: float = ETA, **policies: str) -> sg.kernels.Heun:
    return sg.kernels.Heun(getattr(sg.sdes, model)(noise, eta, **policies), eta / 2)


WELL, WIDE = sg.objectives.DoubleWell(), sg.objectives.DoubleWell(3)
LOGISTIC = sg.noises.Surrogate(sg.noises.Minibatch(sg.objectives.LogisticRegression.examples()[1], 3))
CLIPPED = {"log": "clip", "psd": "project"}
#: element-wise, closed eigenvectors, autodiff, one matrix product a step; what clips counts, what stops ends paths
KERNELS: dict[str, Kernel] = {
    "HASME, clipped": heun("HASME", sg.noises.Gaussian(WELL, 0.04), eta=0.3, **CLIPPED),
    "HASME, stopped": heun("HASME", sg.noises.Gaussian(WELL, 0.2), eta=0.3),
    "HASME, full covariance": heun("HASME", sg.noises.Gaussian(WIDE, full(3)), eta=0.3, **CLIPPED),
    "HASME, indefinite": heun("HASME", sg.noises.Gaussian(sg.objectives.DoubleWell(2, transverse=1.5), [[0.1, 0.099], [0.099, 0.1]]), eta=0.2),
    "HASME, projected": heun("HASME", sg.noises.Gaussian(sg.objectives.DoubleWell(2, transverse=1.5), [[0.1, 0.099], [0.099, 0.1]]), eta=0.2, **CLIPPED),
    "HASME3, covariance of theta": heun("HASME3", sg.noises.Gaussian(sg.objectives.DoubleWell(2), growing_covariance), **CLIPPED),
    "even step, past the logarithm": heun("EvenStepHASME", sg.noises.Gaussian(WELL, 0.01), eta=0.8, **CLIPPED),
    "product form": heun("HASMEProduct", sg.noises.Gaussian(WIDE, full(3)), log="clip"),
    "SME3, surrogate": heun("SME3", LOGISTIC),
    "Euler, linear": sg.kernels.EulerMaruyama.examples()[0],
    "exact steps": sg.kernels.ExactOU.examples()[1],
    "no noise": heun("PrincipalFlow", sg.noises.Gaussian(WELL, 0.04)),
    "SGD": sg.kernels.SGD(sg.noises.Gaussian(WIDE, growing_covariance), 0.1),
    "SGD, surrogate": sg.kernels.SGD(LOGISTIC, 0.1),
}


def start(kernel: Kernel, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.linspace(-1.2, 1.4, PATHS * kernel.dim, dtype=dtype).reshape(PATHS, kernel.dim)


def run(kernel: Kernel, *, ticks: int = 23, save: tuple[int, ...] = (1, 8, 23), dtype: torch.dtype = torch.float64, **changed: Any) -> sg.Trajectory:
    times = {"horizon": ticks * kernel.tick, "save": [k * kernel.tick for k in save]}
    return sg.simulate(kernel, changed.pop("theta", start(kernel, dtype)), seed=3, block_size=40, progress=False, **times, **changed)


def same(a: sg.Trajectory, b: sg.Trajectory) -> None:
    assert torch.equal(a.states.isnan(), b.states.isnan())
    assert torch.equal(a.states.nan_to_num(), b.states.nan_to_num())
    assert torch.equal(a.status, b.status)
    assert torch.equal(a.status_tick, b.status_tick)
    assert a.tally.counts == b.tally.counts
    assert a.tally.worst == b.tally.worst
