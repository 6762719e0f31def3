"""Counter-based random numbers: path p of an ensemble gets the same numbers whatever the block size, the device, the resumption and the other paths.

The increment of path p in step j of tick k is √dt·z(seed, purpose, k·substeps + j, p) with z of :mod:`sgdsde.counter`. What is no Brownian increment is made of
the words of (seed, purpose, k, p): minibatches, fresh labels, stable jumps, an epoch's permutation; several draws a tick have counters of their own
(:mod:`.draws`). Linear steps, element-wise or of a few dimensions, are taken many at a time (:mod:`.counted_linear`): with numba on a CPU these streams are the
fastest of the package (benchmarks/increments.md), without it the slowest.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Generator, Tensor

from sgdsde.counter import Key, counter_normals, key_of
from sgdsde.kernel import Kernel, State
from sgdsde.kernels.counted_linear import CountedLinear, counted_linear
from sgdsde.kernels.draws import Counted, DrawnKernel, refuse_uncounted
from sgdsde.kernels.driven import Driven
from sgdsde.kernels.euler_maruyama import EulerMaruyama
from sgdsde.kernels.exact_ou import ExactOU
from sgdsde.kernels.optimizer_sgd import OptimizerSGD
from sgdsde.kernels.sgd import SGD
from sgdsde.kernels.shuffled_sgd import ShuffledSGD
from sgdsde.kernels.svag import SVAG
from sgdsde.noise import CountedNoise, GaussianNoise
from sgdsde.rng import Stream
from sgdsde.types import InputError


class CounterStreams(Driven):
    """Counter-based random numbers for ``kernel``: SGD, OptimizerSGD, SVAG, ShuffledSGD, or an integrator.

    The state remembers the path's place in the ensemble, the 128-bit key, and what the kernel remembers (momentum, the epoch's permutation), as tensors: they
    stay with the path.

    Raises:
        InputError: the kernel takes no Brownian increments, or its noise can be drawn from a generator only, or a subclass redefines ``draw`` and not what
            makes the same of words; or, when a run begins, the loop does not say which paths it runs (splitting).

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> kernel = sg.kernels.CounterStreams(sg.kernels.SGD(noise, 0.1))
        >>> few, many = (sg.simulate(kernel, [0.0], horizon=0.5, paths=paths, seed=1).states[-1, :5] for paths in (5, 50))
        >>> torch.equal(few, many)  # a path's numbers do not depend on its company
        True
    """

    numbered = True
    kernel: Any
    _linear: CountedLinear | None = None
    _drawn: DrawnKernel | None = None

    def __init__(self, kernel: Kernel) -> None:
        if isinstance(kernel, DrawnKernel) and not _by_increments(kernel):
            refuse_uncounted(kernel)
            self.kernel = self._drawn = kernel
            self.dim, self.tick, self.noise_dim, self.substeps, self.dt = kernel.dim, kernel.tick, getattr(kernel, "noise_dim", 0), 1, kernel.tick
        else:
            super().__init__(kernel)
        self.period = kernel.period

    @classmethod
    def examples(cls) -> list[Self]:
        """An integrator with substeps, exact steps, SGD; two draws a tick, momentum, permutations."""
        return [
            *(cls(kernel) for kernel in (EulerMaruyama.examples()[0], ExactOU.examples()[1], SGD.examples()[0])),
            *(cls(kernel) for kernel in (SVAG.examples()[1], OptimizerSGD.examples()[1], ShuffledSGD.examples()[2])),
        ]

    def init(self, theta: Tensor, generator: Generator) -> State:
        theta, memory = self.kernel.init(theta, generator)
        self._linear = counted_linear(self.kernel, theta)
        first = getattr(generator, "first_path", None)
        if not isinstance(generator, Stream) or first is None:
            if len(theta) and type(generator) is Generator:  # a resumed block: its state is on its way, with the memory that it had
                return State(theta)
            raise InputError(
                "CounterStreams needs a loop that numbers its paths: simulate or exit_times. Splitting makes copies of paths: use the kernel itself."
            )
        paths = torch.arange(first, first + len(theta), device=theta.device)
        key = torch.tensor([word - 2**64 if word >= 2**63 else word for word in key_of(generator.seed_, generator.purpose)], device=theta.device)
        return State(theta, (paths, key.expand(len(theta), 2), *memory))

    def advance(self, state: State, k: int, generator: Generator) -> State:
        if self._linear is not None or self._drawn is not None:
            return self.leap(state, k, 1, generator)
        return super().advance(state, k, generator)

    @property
    def leaps(self) -> bool:  # type: ignore[override]
        """Linear steps are taken many ticks at a time, and those that the objective takes itself."""
        return self._linear is not None or (self._drawn is not None and self._drawn.leaps)

    def leap(self, state: State, k: int, ticks: int, generator: Generator) -> State:
        if self._drawn is not None:
            paths, key, *memory = state.memory
            moved = self._drawn.moves(State(state.theta, tuple(memory)), k, ticks, Counted(_unsigned(key), paths))
            return State(moved.theta, (paths, key, *moved.memory))
        if self._linear is None or not len(state.theta):
            return super().leap(state, k, ticks, generator)
        paths, key = state.memory
        theta = self._linear(state.theta, paths, key=_unsigned(key), first_step=k * self.substeps, steps=ticks * self.substeps)
        return state._replace(theta=theta)

    def increments(self, state: State, step: int, generator: Generator) -> Tensor:
        paths, key = state.memory
        return counter_normals(_unsigned(key), step, paths, self.noise_dim, dtype=state.theta.dtype, scale=self.dt**0.5)


def _by_increments(kernel: Kernel) -> bool:
    """Whether Brownian increments drive it."""
    return isinstance(kernel, SGD) and isinstance(kernel.noise, GaussianNoise) and not isinstance(kernel.noise, CountedNoise)


def _unsigned(key: Tensor) -> Key:
    """The key that each path carries, as two words."""
    first, second = key[0].tolist() if len(key) else (0, 0)
    return first % 2**64, second % 2**64
