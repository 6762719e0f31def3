"""What the loop advances: a Markov kernel on an ensemble, SGD and integrators of SDEs alike.

``tick`` is the SDE time between visits of the loop (η for SGD and for SDEs that know their η, else dt). The state is passed in and out.
A :class:`DrivenKernel` is one whose randomness is a Brownian motion that can be handed to it: two of them can share their increments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sgdsde.objective import Points
from sgdsde.rng import normals
from sgdsde.types import Conventions, InputError, expected, positive, whole


class State(NamedTuple):
    """θ ``[P, dim]`` and whatever else the kernel must remember, as tensors with a leading axis of paths."""

    theta: Tensor
    memory: tuple[Tensor, ...] = ()

    def take(self, index: Tensor) -> State:
        """The state of some of the paths."""
        return State(self.theta[index], tuple(part[index] for part in self.memory))


class Kernel(ABC):
    """A transition law. ``dim`` is the width of θ, ``tick`` the SDE time that one ``advance`` covers.

    Example:
        >>> sgd = sg.kernels.SGD(sg.noises.Gaussian(sg.objectives.Quadratic([2.0]), 1.0), 0.1)
        >>> isinstance(sgd, sg.Kernel), sgd.dim, sgd.tick
        (True, 1, 0.1)
    """

    dim: int
    tick: float
    #: the loop may ask for several ticks in one call of ``leap`` (a library that wants whole intervals)
    leaps: bool = False
    #: increments that are right in their moments only: expectations may be taken, exits and bridges may not
    weak: bool = False
    #: numbers that hang on a path's place in the ensemble: a copy of a path would move as the path does
    numbered: bool = False
    #: ticks after which the law of ``advance`` repeats: 1 where it does not depend on k, 0 where it never repeats (a learning-rate schedule)
    period: int = 1

    def init(self, theta: Points, generator: torch.Generator) -> State:
        """The state at the start points; kernels with a memory fill it here."""
        return State(theta)

    @abstractmethod
    def advance(self, state: State, k: int, generator: torch.Generator) -> State:
        """From tick k to tick k + 1."""

    def leap(self, state: State, k: int, ticks: int, generator: torch.Generator) -> State:
        """From tick k to tick k + ``ticks``."""
        for j in range(ticks):
            state = self.advance(state, k + j, generator)
        return state

    def expand(self, theta: Points) -> Points:
        """The start points as this kernel keeps them (:class:`Coupled` doubles them)."""
        return theta

    @property
    def start_dim(self) -> int:
        """The width of a start point."""
        return self.dim

    @property
    def width(self) -> int:
        """Numbers per path that one step touches: what decides how many paths fit a core's cache."""
        return self.dim

    def check(self, theta: Points) -> None:
        """Refuse before a run what is known to fail in it."""
        return None

    def conventions(self) -> Conventions:
        """What the numbers of this kernel presuppose."""
        return Conventions()


class DrivenKernel(Kernel):
    """A kernel of ``substeps`` equal steps per tick, each a deterministic function of a Brownian increment over dt = tick/substeps."""

    noise_dim: int
    substeps: int = 1

    @abstractmethod
    def step(self, theta: Points, t: float, dw: Tensor) -> Points:
        """One step of length dt from SDE time t with dw ~ N(0, dt·I), ``[P, noise_dim]``."""

    def draw(self, theta: Points, generator: torch.Generator, *, out: Tensor | None = None) -> Tensor:
        """What one step of ``advance`` takes from the stream: its increment, ``[P, noise_dim]``; written to ``out`` where it is given."""
        return normals(theta, self.noise_dim, generator, self.dt**0.5, out=out)

    def follow(self, theta: Points, t: float, drawn: Tensor) -> Points:
        """What ``advance`` makes of it, to the last digit: the step from SDE time t."""
        return self.step(theta, t, drawn)

    @property
    def dt(self) -> float:
        """The length of one step in SDE time."""
        return self.tick / self.substeps


def as_kernel(kernel: Any) -> Kernel:
    """The kernel as it is.

    Raises:
        InputError: it is none, or says not how wide it is and how long its tick.
    """
    found: Kernel = expected(kernel, Kernel, "kernel", "sg.kernels.SGD(noise, eta), or an integrator of an SDE as sg.kernels.Heun(sde, dt)")
    whole(found, "dim", 1)
    positive(getattr(found, "tick", None), f"{type(found).__name__}.tick")  # type: ignore[arg-type]
    return found


def refuse_weak(kernel: Kernel, what: str) -> None:
    """Refuse increments that are right in their moments only where the law of the path counts.

    Raises:
        InputError: the kernel's increments are weak.
    """
    if kernel.weak:
        raise InputError(
            f"{type(kernel).__name__} has increments that are right in their moments only; {what} needs the law of the path. Use the kernel inside."
        )


def substeps_in(tick: float, dt: float) -> int:
    """How many steps dt make a tick.

    Raises:
        InputError: dt ≤ 0, or dt does not divide the tick.
    """
    dt = positive(dt, "dt")
    count = round(tick / dt)
    if count < 1 or abs(count * dt - tick) > 1e-9 * tick:
        raise InputError(f"dt = {dt} does not divide the tick {tick} (= eta); use dt = eta/n with an integer n, for example {tick / max(count, 1)}.")
    return count
