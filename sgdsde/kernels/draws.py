"""Where a tick takes its random numbers from: the block's stream, or counters of (key, tick, draw, path).

A :class:`DrawnKernel` is written once for both. Nothing in :class:`Counted` changes when it is asked, so blocks may share a kernel whoever runs them.

    counter of draw j of tick k:  step = k + 2⁴⁰·j,  k < 2⁴⁰, j < 2²⁴,  in the layout of :mod:`sgdsde.counter`

Ticks with one draw (j = 0) have the counters of plain SGD. A permutation is the order of n words; two of them tie with probability below n²/2⁶⁵ (3·10⁻⁸ for
n = 10⁶), and then keep the order of the samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from sgdsde.counter import Key, counter_normals, counter_words
from sgdsde.kernel import Kernel, State
from sgdsde.noise import CountedNoise, GaussianNoise, Noise
from sgdsde.noises.label_noise import FreshLabels
from sgdsde.noises.minibatch import Minibatch
from sgdsde.noises.minibatch_without_replacement import MinibatchWithoutReplacement
from sgdsde.objective import Points
from sgdsde.types import InputError

Batches = Minibatch | MinibatchWithoutReplacement

#: ticks of a run and draws of a tick that have counters of their own
TICKS, DRAWS = 2**40, 2**24
#: what draws from a generator, and what makes the same of given numbers
_TWINS = (("draw", "draw_of"), ("draw", "draw_from"), ("batches", "batches_of"), ("fresh", "fresh_of"), ("advance", "move"), ("leap", "moves"))


class Draws(ABC):
    """The random numbers of a block of paths, in tick ``k``."""

    @abstractmethod
    def gradient(self, noise: Noise, theta: Points, k: int, j: int = 0) -> Points:
        """A stochastic gradient at each path's point, the tick's draw number ``j``."""

    @abstractmethod
    def batches(self, noise: Batches, theta: Points, k: int) -> Int[Tensor, "paths batch"]:
        """The samples of which ``gradient`` would be made."""

    @abstractmethod
    def orders(self, theta: Points, n: int, k: int) -> Int[Tensor, "paths n"]:
        """A uniform permutation of 0 … n − 1 for each path."""


@dataclass(slots=True)
class Streamed(Draws):
    """Numbers from the block's generator, in the order in which they are asked for."""

    generator: Generator

    def gradient(self, noise: Noise, theta: Tensor, k: int, j: int = 0) -> Tensor:
        return noise.draw(theta, self.generator)

    def batches(self, noise: Batches, theta: Tensor, k: int) -> Tensor:
        return noise.batches(theta, self.generator)

    def orders(self, theta: Tensor, n: int, k: int) -> Tensor:
        return torch.rand(theta.shape[0], n, generator=self.generator, device=theta.device).argsort(1)


@dataclass(frozen=True)
class Counted(Draws):
    """Numbers of (key, tick, draw, path), in whatever order they are asked for."""

    key: Key
    paths: Int[Tensor, " P"]

    def gradient(self, noise: Noise, theta: Tensor, k: int, j: int = 0) -> Tensor:
        if isinstance(noise, CountedNoise):
            return noise.draw_of(theta, self._words(noise.words, k, j))
        assert isinstance(noise, GaussianNoise)  # refuse_uncounted has seen it
        return noise.draw_from(theta, counter_normals(self.key, step_of(k, j), self.paths, noise.root_dim, dtype=theta.dtype))

    def batches(self, noise: Batches, theta: Tensor, k: int) -> Tensor:
        return noise.batches_of(self._words(noise.words, k))

    def orders(self, theta: Tensor, n: int, k: int) -> Tensor:
        return self._words(n, k).argsort(dim=1, stable=True)

    def _words(self, count: int, k: int, j: int = 0) -> Tensor:
        return counter_words(self.key, step_of(k, j), self.paths, count)


class DrawnKernel(Kernel):
    """A kernel whose ticks take all their random numbers from :class:`Draws`."""

    #: stochastic gradients drawn in a tick
    draws: int = 1

    @abstractmethod
    def move(self, state: State, k: int, draws: Draws) -> State:
        """From tick k to tick k + 1."""

    def moves(self, state: State, k: int, ticks: int, draws: Draws) -> State:
        """From tick k to tick k + ``ticks``, where ``leaps``."""
        for j in range(ticks):
            state = self.move(state, k + j, draws)
        return state

    def advance(self, state: State, k: int, generator: Generator) -> State:
        return self.move(state, k, Streamed(generator))

    def leap(self, state: State, k: int, ticks: int, generator: Generator) -> State:
        return self.moves(state, k, ticks, Streamed(generator)) if self.leaps else super().leap(state, k, ticks, generator)


def step_of(k: int, j: int) -> int:
    """The counter's word of tick k, draw j.

    Raises:
        InputError: k ≥ 2⁴⁰.
    """
    if k >= TICKS:
        raise InputError(f"Tick {k} has no counter of its own: counter-based streams number 2^40 ticks a run.")
    return k + TICKS * j


def refuse_uncounted(kernel: DrawnKernel) -> None:
    """Refuses what cannot be made of counters.

    Raises:
        InputError: the kernel's noise is drawn from a generator only, or a subclass draws in a way of its own, or more than 2²⁴ times a tick.
    """
    noise = getattr(kernel, "noise", None)
    if noise is not None and not isinstance(noise, GaussianNoise | CountedNoise):
        raise InputError(
            f"{type(noise).__name__} is drawn from a generator only. Counter-based streams serve noises that are made of normals (GaussianNoise, draw_from) "
            "or of a fixed number of random words a path (CountedNoise, draw_of)."
        )
    if kernel.draws > DRAWS:
        raise InputError(f"{type(kernel).__name__} draws {kernel.draws} gradients a tick; counter-based streams number 2^24 of them.")
    for part in (kernel, noise, noise.noise if isinstance(noise, FreshLabels) else None):
        for drawn, made in _TWINS:
            _refuse_own_way(type(part), drawn, made)


def _refuse_own_way(kind: type, drawn: str, made: str) -> None:
    owner = next((each for each in kind.__mro__ if made in vars(each)), None)
    nearest = next((each for each in kind.__mro__ if drawn in vars(each)), None)
    if owner is not None and nearest is not None and issubclass(nearest, owner) and nearest is not owner:
        raise InputError(
            f"{nearest.__name__}.{drawn} is its own, and {made}, which counter-based streams use, is that of {owner.__name__}: they would make other numbers. "
            f"Write {nearest.__name__}.{made} too."
        )
