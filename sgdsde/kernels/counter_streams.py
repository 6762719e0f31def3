"""Counter-based random numbers: path p of an ensemble gets the same numbers whatever the block size, the device, the resumption and the other paths.

The increment of path p in step j of tick k is √dt·z(seed, purpose, k·substeps + j, p) with z of :mod:`sgdsde.counter`. A noise that is not Gaussian
(minibatches, stable jumps) is drawn from the words of (seed, purpose, k, p) themselves. Linear steps, element-wise or of a few dimensions, are taken many at a
time (:mod:`.counted_linear`): with numba on a CPU these streams are the fastest of the package (benchmarks/increments.md), without it the slowest.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Generator, Tensor

from sgdsde.counter import Key, counter_normals, counter_words, key_of
from sgdsde.kernel import Kernel, State
from sgdsde.kernels.counted_linear import CountedLinear, counted_linear
from sgdsde.kernels.driven import Driven
from sgdsde.kernels.euler_maruyama import EulerMaruyama
from sgdsde.kernels.exact_ou import ExactOU
from sgdsde.kernels.sgd import SGD
from sgdsde.noise import CountedNoise
from sgdsde.rng import Stream
from sgdsde.types import InputError


class CounterStreams(Driven):
    """Counter-based random numbers for ``kernel``: SGD, or an integrator.

    The state remembers the path's place in the ensemble, and the 128-bit key, as tensors: they stay with the path.

    Raises:
        InputError: the kernel takes no Brownian increments and its noise can be drawn from a generator only; or, when a run begins, the loop does not say
            which paths it runs (splitting).

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> kernel = sg.kernels.CounterStreams(sg.kernels.SGD(noise, 0.1))
        >>> few, many = (sg.simulate(kernel, [0.0], horizon=0.5, paths=paths, seed=1).states[-1, :5] for paths in (5, 50))
        >>> torch.equal(few, many)  # a path's numbers do not depend on its company
        True
    """

    numbered = True
    _linear: CountedLinear | None = None
    _drawn: CountedNoise | None = None

    def __init__(self, kernel: Kernel) -> None:
        if isinstance(kernel, SGD) and isinstance(kernel.noise, CountedNoise):
            self.kernel, self._drawn = kernel, kernel.noise
            self.dim, self.tick, self.noise_dim, self.substeps, self.dt = kernel.dim, kernel.tick, kernel.noise_dim, 1, kernel.dt
        else:
            super().__init__(kernel)

    @classmethod
    def examples(cls) -> list[Self]:
        """An integrator with substeps, exact steps, SGD."""
        return [cls(EulerMaruyama.examples()[0]), cls(ExactOU.examples()[1]), cls(SGD.examples()[0])]

    def init(self, theta: Tensor, generator: Generator) -> State:
        theta = self.kernel.init(theta, generator).theta
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
        return State(theta, (paths, key.expand(len(theta), 2)))

    def advance(self, state: State, k: int, generator: Generator) -> State:
        if self._linear is not None:
            return self.leap(state, k, 1, generator)
        if self._drawn is None:
            return super().advance(state, k, generator)
        paths, key = state.memory
        words = counter_words(_unsigned(key), k, paths, self._drawn.words)
        return state._replace(theta=torch.sub(state.theta, self._drawn.draw_of(state.theta, words), alpha=self.tick))

    @property
    def leaps(self) -> bool:  # type: ignore[override]
        """Linear steps are taken many ticks at a time."""
        return self._linear is not None

    def leap(self, state: State, k: int, ticks: int, generator: Generator) -> State:
        if self._linear is None or not len(state.theta):
            return super().leap(state, k, ticks, generator)
        paths, key = state.memory
        moved = self._linear(state.theta, paths, key=_unsigned(key), first_step=k * self.substeps, steps=ticks * self.substeps)
        return state._replace(theta=moved)

    def increments(self, state: State, step: int, generator: Generator) -> Tensor:
        paths, key = state.memory
        return counter_normals(_unsigned(key), step, paths, self.noise_dim, dtype=state.theta.dtype, scale=self.dt**0.5)


def _unsigned(key: Tensor) -> Key:
    """The key that each path carries, as two words."""
    first, second = key[0].tolist() if len(key) else (0, 0)
    return first % 2**64, second % 2**64
