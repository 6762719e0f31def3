"""Kernels that counter-based streams serve through draws: momentum, schedules, SVAG, epoch shuffling, on noises of every kind."""

from __future__ import annotations

from typing import Any

import torch

import sgdsde as sg
from sgdsde.counter import key_of
from sgdsde.kernels import Cosine, HeavyBall, Nesterov, OptimizerSGD, ShuffledSGD, StepDecay

T64 = torch.float64
LINE = sg.objectives.LeastSquares(
    torch.tensor([[1.0], [2.0], [0.5], [1.5], [0.8], [1.2], [2.2]], dtype=T64), torch.tensor([0.3, -1.0, 2.0, 0.5, 0.1, -0.7, 1.4], dtype=T64)
)
WELL = sg.noises.Gaussian(sg.objectives.DoubleWell(2), 0.25)
BATCHES = sg.noises.Minibatch(LINE, 2)
STABLE = sg.noises.SymmetricStable(sg.objectives.PeriodicWell(), 1.5, 0.1)
LABELS = sg.noises.SampledLabels.examples()[1]
ETA = 0.1
KERNELS: dict[str, Any] = {
    "heavy ball, normals": OptimizerSGD(WELL, ETA, update=HeavyBall(0.8)),
    "heavy ball, batches": OptimizerSGD(BATCHES, ETA, update=HeavyBall(0.8), schedule=Cosine(15)),
    "Nesterov, stable": OptimizerSGD(STABLE, ETA, update=Nesterov(0.5)),
    "schedule, labels": OptimizerSGD(LABELS, ETA, schedule=StepDecay(4, 0.5)),
    "SVAG, normals": sg.kernels.SVAG(WELL, ETA, 3),
    "SVAG, batches": sg.kernels.SVAG(BATCHES, ETA, 2),
    "SVAG, labels": sg.kernels.SVAG(LABELS, ETA, 2),
    "shuffled": ShuffledSGD(LINE, 2, ETA),
    "shuffled, Nesterov": ShuffledSGD(LINE, 3, ETA, update=Nesterov(0.7), schedule=Cosine(15)),
}
#: of runs of ``simulate`` with seed 3
KEY = key_of(3, "simulate")


def network(width: int) -> sg.objectives.Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        module = torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.Tanh(), torch.nn.Linear(width, 1)).double()
    x = torch.randn(9, 2, generator=torch.Generator().manual_seed(1), dtype=T64)
    return sg.objectives.Network(module, "mse", x, x[:, :1] * x[:, 1:])
