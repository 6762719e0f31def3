"""Counter-based random numbers: path p of an ensemble gets the same numbers whatever the block size, the device, the resumption and the other paths.

The increment of path p in step j of tick k is √dt·z(seed, purpose, k·substeps + j, p) with z of :mod:`sgdsde.counter`. A noise that is not Gaussian
(minibatches, stable jumps) is drawn from the words of (seed, purpose, k, p) themselves. Block streams, the default, are
faster in float32 (benchmarks/increments.md); these serve runs whose block size or device must be free, and the search for one path again.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Self

import torch
from torch import Generator, Tensor

from sgdsde.counter import Key, counter_normals, counter_words, key_of
from sgdsde.kernel import Kernel, State
from sgdsde.kernels.driven import Driven
from sgdsde.kernels.euler_maruyama import EulerMaruyama
from sgdsde.kernels.exact_ou import ExactOU
from sgdsde.kernels.integrator import Integrator
from sgdsde.kernels.linear import AffineStep
from sgdsde.kernels.sgd import SGD
from sgdsde.noise import CountedNoise
from sgdsde.rng import Stream
from sgdsde.types import InputError

#: dimensions up to which a dense step's matrices stay in a program's registers
_REGISTERS = 16


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
    _fused: AffineStep | None = None
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
        self._fused = self._fusible(theta)
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
        if self._drawn is None:
            return super().advance(state, k, generator)
        paths, key = state.memory
        words = counter_words(_unsigned(key), k, paths, self._drawn.words)
        return state._replace(theta=torch.sub(state.theta, self._drawn.draw_of(state.theta, words), alpha=self.tick))

    @property
    def leaps(self) -> bool:  # type: ignore[override]
        """On a CUDA device linear steps are fused, many ticks in one launch: element-wise ones (:mod:`.fused`) and small dense ones (:mod:`.fused_dense`)."""
        return self._fused is not None

    def leap(self, state: State, k: int, ticks: int, generator: Generator) -> State:
        step = self._fused
        paths, key = state.memory
        if step is None or not len(paths) or int(paths[-1] - paths[0]) + 1 != len(paths):
            return super().leap(state, k, ticks, generator)
        where: dict[str, Any] = {"key": _unsigned(key), "first_path": int(paths[0]), "first_step": k * self.substeps, "steps": ticks * self.substeps}
        F, s, G = (part.to(state.theta) for part in (step.F, step.s, step.G * self.dt**0.5))
        if step.diagonal:
            from sgdsde.kernels.fused import linear_steps

            return state._replace(theta=linear_steps(state.theta, F.diagonal(), s, G.diagonal(), **where))
        from sgdsde.kernels.fused_dense import dense_steps

        return state._replace(theta=dense_steps(state.theta, F, s, G, **where))

    def increments(self, state: State, step: int, generator: Generator) -> Tensor:
        paths, key = state.memory
        return counter_normals(_unsigned(key), step, paths, self.noise_dim, dtype=state.theta.dtype, scale=self.dt**0.5)

    def _fusible(self, theta: Tensor) -> AffineStep | None:
        """The linear step, element-wise or small, where the points live on a device with Triton."""
        step = self.kernel._linear if isinstance(self.kernel, Integrator) else None
        small = step is not None and (step.diagonal or (self.noise_dim > 0 and max(self.dim, self.noise_dim) <= _REGISTERS))
        return step if small and theta.is_cuda and find_spec("triton") is not None else None


def _unsigned(key: Tensor) -> Key:
    """The key that each path carries, as two words."""
    first, second = key[0].tolist() if len(key) else (0, 0)
    return first % 2**64, second % 2**64
