"""Steps recorded once and replayed: K ticks of an integrator as one launch on a CUDA device.

A step of a general model is ten to a hundred operations, each of which the host launches by itself; where they take the device less than a launch, it waits for
the host. A recording (CUDA graph) of K ticks is launched as a whole. The random numbers are drawn outside it, from the block's own stream, in the kernel's own
order and numbers, and the operations are the kernel's own: so are the points, bit for bit on the CPU, where the same buffers are stepped without a graph.
"""

from __future__ import annotations

import threading
from typing import Any, Self

import torch
from torch import Generator, Tensor

from sgdsde.given import is_whole
from sgdsde.kernel import Kernel, State
from sgdsde.kernels.driven import Around
from sgdsde.kernels.exact_ou import ExactOU
from sgdsde.kernels.heun import Heun
from sgdsde.kernels.recordable import refuse_unrecordable
from sgdsde.kernels.recording import Body, buffer_numbers
from sgdsde.kernels.sgd import SGD
from sgdsde.kernels.unseen import Timeless, Unseen
from sgdsde.rng import stream
from sgdsde.types import InputError, tallying


class Captured(Around):
    """``kernel`` (an integrator, or SGD with a Gaussian noise) in recordings of ``ticks`` ticks.

    What it costs: ``ticks``·substeps·noise_dim + 3·dim numbers a path (:meth:`buffer_numbers`), beside what one step holds; one recording for each number of
    paths, dtype and run, made when such a block comes back for its second ``ticks`` ticks. It gains where the host's launches are what takes the time; on the
    CPU there is nothing to record, the same buffers are stepped without (docs/speed.md).

    Numbers are the kernel's own. Ticks that do not fill a recording, and all ticks where each is looked at (``exit_times``, ``stop=``, saves less than
    ``ticks`` ticks apart), are stepped by the kernel itself. So are, a second time, the ticks in which a path fails: there a model says what it met.

    Refused, before a run: models whose step reads its own numbers on the host (domain policies do not count, they were written so that they need not look),
    brings numbers from there, reads the time, remembers something from step to step, or needs eigenvectors from a library
    (:mod:`sgdsde.kernels.recordable`).

    Raises:
        InputError: the kernel takes no Brownian increments, or ticks is no integer ≥ 1; when a run begins, its step cannot be recorded.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.04)
        >>> kernel = sg.kernels.Heun(sg.sdes.HASME(noise, 0.1), 0.025)
        >>> captured = sg.kernels.Captured(kernel, ticks=4)
        >>> runs = [sg.simulate(k, [1.0], horizon=1.0, paths=100, seed=1).states for k in (kernel, captured)]
        >>> torch.equal(*runs), captured.buffer_numbers(paths=100)  # 16 increments, 3 points
        (True, 1900)
    """

    leaps = True

    def __init__(self, kernel: Kernel, *, ticks: int = 8) -> None:
        super().__init__(kernel)
        if not is_whole(ticks, 1):
            raise InputError(f"ticks = {ticks!r:.200}; wanted an integer ≥ 1, the ticks of one recording.")
        self.ticks = int(ticks)
        self._forget()

    @classmethod
    def examples(cls) -> list[Self]:
        """An integrator with substeps, exact steps, SGD; two ticks a recording, three, one."""
        return [cls(Heun.examples()[0], ticks=2), cls(ExactOU.examples()[1], ticks=3), cls(SGD.examples()[0], ticks=1)]

    def buffer_numbers(self, paths: int) -> int:
        """Numbers that the buffers of a block of ``paths`` paths hold."""
        return buffer_numbers(self.kernel, paths, self.ticks)

    def advance(self, state: State, k: int, generator: Generator) -> State:
        return self.kernel.advance(state, k, generator)

    def leap(self, state: State, k: int, ticks: int, generator: Generator) -> State:
        passes = ticks // self.ticks if ticks > 1 else 0  # a tick that is looked at by itself
        if passes:
            state = State(self._body(state.theta).run(state.theta, generator, passes))
        for j in range(passes * self.ticks, ticks):
            state = self.kernel.advance(state, k + j, generator)
        return state

    def check(self, theta: Tensor) -> None:
        self.kernel.check(theta)
        self._forget()
        probe = self.kernel.init(theta[:64], stream(0, "probe", device=theta.device)).theta
        refuse_unrecordable(self.kernel, probe, owner=self._owner)
        self._rehearse(probe)

    @property
    def _owner(self) -> str:
        inner = getattr(self.kernel, "sde", getattr(self.kernel, "noise", None))
        return f"{type(self.kernel).__name__} of {type(inner).__name__}"

    def _body(self, theta: Tensor) -> Body:
        """The body for so many paths: this thread's last one, if it fits and belongs to this run."""
        run, body = getattr(self._own, "body", (None, None))
        if body is None or run is not self._run or not body.fits(theta):
            body = self._own.body = None  # its memory first
            body = Body(self.kernel, theta, self.ticks, owner=self._owner)
            self._own.body = (self._run, body)
        return body

    def _forget(self) -> None:
        """A run begins: what was recorded belongs to the constants of another."""
        self._run, self._own = object(), threading.local()

    def _rehearse(self, probe: Tensor) -> None:
        """Refuse a kernel whose ``advance`` is not made of its ``draw`` and ``follow``, or whose ``follow`` hangs on what went before."""
        generators = [stream(0, "probe", device=probe.device) for _ in range(2)]
        with tallying():
            wanted = self.kernel.advance(State(probe), 0, generators[0]).theta
        drawn, ends = [self.kernel.draw(probe, generators[1]) for _ in range(self.substeps)], [probe]
        with tallying(Unseen()):
            for part in drawn:
                ends.append(self._follow(ends[-1], part))
            self._follow(ends[-1], drawn[0])
            again = self._follow(probe, drawn[0])
        if not _same(again, ends[1]):
            raise InputError(
                f"{self._owner} remembers something from step to step: the same step, made again after others, ends elsewhere. A recording is replayed with "
                "what it met when it was made. Run the kernel itself."
            )
        if not _same(ends[-1], wanted) or not torch.equal(*(generator.get_state() for generator in generators)):
            raise InputError(
                f"{self._owner}: advance gives other numbers than its steps do (draw, then follow, {self.substeps} times) where they may not look at their "
                "numbers, so recorded steps would not be its own. Override draw and follow beside advance, take a model that does not end its work by what it "
                "has reached, or run the kernel itself."
            )

    def _follow(self, point: Tensor, drawn: Tensor) -> Tensor:
        return self.kernel.follow(point, Timeless(self._owner), drawn)  # type: ignore[arg-type]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_run", "_own")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()


def _same(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)
