"""SGD as optimisers run it: momentum and learning-rate schedules on any noise.

One iterate is one tick of SDE time η, η the base step size. With momentum the Markov chain is (θ, v): v is the kernel's memory, which the loop carries with
each path; saved states, observables and regions see θ. So θ alone is not Markov here, and a run that is started from saved points starts with v = 0.
Weight decay is a part of the loss (:class:`sgdsde.objectives.WeightDecay`), label noise one of the noise (:class:`sgdsde.noises.LabelNoise`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import torch
from torch import Tensor

from sgdsde.kernel import State
from sgdsde.kernels.draws import DrawnKernel, Draws
from sgdsde.kernels.schedule import Constant, Cosine, Schedule
from sgdsde.kernels.sgd import SGD
from sgdsde.kernels.update import HeavyBall, Plain, Update
from sgdsde.noise import Noise, as_noise
from sgdsde.noises.gaussian import Gaussian
from sgdsde.noises.minibatch import Minibatch
from sgdsde.types import Conventions, expected


class OptimizerSGD(DrawnKernel):
    """θ⁺ from ĝ drawn by ``noise`` through ``update``, with the step size η·schedule.factor(k).

    Raises:
        InputError: η ≤ 0.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1e-12)
        >>> kernel = sg.kernels.OptimizerSGD(noise, 0.5, update=sg.kernels.HeavyBall(0.5))
        >>> round(sg.simulate(kernel, [8.0], horizon=0.5, paths=1, seed=1).states[-1].item(), 3)  # v = 8: 8 − ½·8
        4.0
        >>> abs(sg.simulate(kernel, [8.0], horizon=1.0, paths=1, seed=1).states[-1].item()) < 1e-3  # v = ½·8 + 4: 4 − ½·8
        True
    """

    def __init__(self, noise: Noise, eta: float, *, update: Update | None = None, schedule: Schedule | None = None) -> None:
        self.noise = as_noise(noise)
        self.update = Plain() if update is None else expected(update, Update, "update", "for example sg.kernels.HeavyBall(0.9)")
        self.schedule = Constant() if schedule is None else expected(schedule, Schedule, "schedule", "for example sg.kernels.Cosine(steps)")
        self._plain = SGD(noise, eta)
        self.tick = self.eta = self._plain.eta
        self.dim = noise.objective.dim
        self.period = 1 if isinstance(self.schedule, Constant) else 0

    @classmethod
    def examples(cls) -> list[Self]:
        """Heavy ball on Gaussian noise, with a schedule on minibatches, a schedule alone (Nesterov's first step is not that of SGD)."""
        return [
            cls(Gaussian.examples()[0], 0.1, update=HeavyBall(0.8)),
            cls(Minibatch.examples()[1], 0.1, update=HeavyBall(0.5), schedule=Cosine(20, 0.1)),
            cls(Minibatch.examples()[2], 0.1, schedule=Cosine(20)),
        ]

    @property
    def width(self) -> int:
        return self._plain.width

    def init(self, theta: Tensor, generator: torch.Generator) -> State:
        return State(theta, self.update.start(theta))

    def move(self, state: State, k: int, draws: Draws) -> State:
        g = draws.gradient(self.noise, state.theta, k)
        return State(*self.update.apply(state.theta, state.memory, g, self.eta * self.schedule.factor(k)))

    def check(self, theta: Tensor) -> None:
        self._plain.check(theta)

    def conventions(self) -> Conventions:
        return replace(self._plain.conventions(), sampling=described(self._plain.conventions().sampling, self.update, self.schedule))


def described(sampling: str, update: Update, schedule: Schedule) -> str:
    """The sampling in words, with what is not plain SGD at a constant step size."""
    parts = [sampling] + [str(part) for part in (update, schedule) if not isinstance(part, Plain | Constant)]
    return ", ".join(parts)
