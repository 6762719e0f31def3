"""K ticks of a driven kernel as one pass over buffers that stay where they are: recorded once as a CUDA graph, then replayed.

    buffers ← the points, and what K ticks take from the stream, drawn outside the pass in the kernel's own order
    pass:     end ← the K·substeps steps of the start
    points  ← end

A replay launches the whole pass at once and runs no Python, so the pass may not look at its numbers (:mod:`sgdsde.kernels.recordable` refuses one that does).
On the CPU the pass itself is run each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sgdsde.kernel import DrivenKernel
from sgdsde.kernels.unseen import Timeless, Unseen
from sgdsde.objectives.memory import LARGE, require
from sgdsde.types import tallying

#: recordings of one process are made one after the other
_one_at_a_time = Lock()


class Graph:
    """A pass recorded on a CUDA device; a call launches it. The pass must have run once before, on a stream of its own (:func:`aside`)."""

    def __init__(self, run: Callable[[], None], device: torch.device) -> None:
        self._graph, self._device = torch.cuda.CUDAGraph(), device
        with _one_at_a_time, torch.cuda.device(device), torch.cuda.graph(self._graph, stream=torch.cuda.Stream(), capture_error_mode="thread_local"):
            run()

    def __call__(self) -> None:
        with torch.cuda.device(self._device):
            self._graph.replay()


def record(run: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """What does again what ``run`` does: its graph on a CUDA device, itself elsewhere."""
    return Graph(run, device) if device.type == "cuda" else run


@contextmanager
def aside(device: torch.device) -> Iterator[None]:
    """On a CUDA device work goes to another stream meanwhile, as the libraries want it before they are recorded."""
    if device.type != "cuda":
        yield
        return
    with torch.cuda.device(device):
        here, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(here)
        with torch.cuda.stream(side):
            yield
        here.wait_stream(side)


class Body:
    """``ticks`` ticks of ``kernel`` on as many paths as ``theta`` has.

    The first pass warms up (conversions of constants, libraries), the second is recorded.

    Raises:
        InputError: the buffers would take more memory than is free.
    """

    def __init__(self, kernel: DrivenKernel, theta: Tensor, ticks: int, *, owner: str) -> None:
        self._kernel, self._steps, self._clock = kernel, ticks * kernel.substeps, Timeless(owner)
        numbers = buffer_numbers(kernel, theta.shape[0], ticks)
        if numbers > LARGE:
            what = f"The buffers of {self._steps} recorded steps of {theta.shape[0]} paths, {kernel.noise_dim} numbers a step,"
            require(numbers, theta, what=what, instead="Use fewer ticks, or a smaller block_size.")
        self._start, self._end = torch.empty_like(theta), torch.empty_like(theta)
        self._drawn: list[Tensor] = []
        self._tally = Unseen()
        self._warm = False
        self._replay: Callable[[], None] | None = None
        self._held: list[Tensor] = []

    def fits(self, theta: Tensor) -> bool:
        """Whether these points fill the buffers."""
        start = self._start
        return theta.shape == start.shape and theta.dtype == start.dtype and theta.device == start.device

    def run(self, theta: Tensor, generator: Generator, passes: int) -> Tensor:
        """The points after ``passes`` passes, in memory of their own; what models report goes to the tally in force."""
        self._tally.forget()
        self._start.copy_(theta)
        for left in reversed(range(passes)):
            self._draw(generator)
            self._once_more()
            if left:
                self._start.copy_(self._end)
        self._tally.report(passes)
        return self._end.clone()

    def _draw(self, generator: Generator) -> None:
        if not self._drawn:
            self._drawn = [self._kernel.draw(self._start, generator) for _ in range(self._steps)]
            return
        for drawn in self._drawn:
            self._kernel.draw(self._start, generator, out=drawn)

    def _once_more(self) -> None:
        device = self._start.device
        if self._replay is not None:
            self._replay()
        elif not self._warm:
            with aside(device):
                self._pass()
            self._warm = True
        else:
            with _Finds() as finds:
                self._replay = record(self._pass, device)
            self._held = finds.found()
            self._replay()

    def _pass(self) -> None:
        self._tally.begin_pass()
        point = self._start
        with tallying(self._tally):
            for drawn in self._drawn:
                point = self._kernel.follow(point, self._clock, drawn)  # type: ignore[arg-type]
        self._end.copy_(point)


def buffer_numbers(kernel: DrivenKernel, paths: int, ticks: int) -> int:
    """Numbers that the buffers of a body hold, the end's copy included."""
    return paths * (ticks * kernel.substeps * kernel.noise_dim + 3 * kernel.dim)


class _Finds(TorchDispatchMode):
    """Keeps the tensors that a pass meets but does not make: a recording knows their addresses only, and must not outlive them."""

    def __init__(self) -> None:
        super().__init__()
        self._met: dict[int, Tensor] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        for tensor in tensors((args, kwargs)):
            if getattr(tensor, "_made_in", None) is not self:
                self._met[id(tensor)] = tensor
        result = func(*args, **(kwargs or {}))
        for tensor in tensors(result):
            if id(tensor) not in self._met:
                tensor._made_in = self  # type: ignore[attr-defined]
        return result

    def found(self) -> list[Tensor]:
        """These tensors."""
        return list(self._met.values())


def tensors(values: Any) -> Iterator[Tensor]:
    """The tensors in the arguments or the result of an operation."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from tensors(value)
    elif isinstance(values, dict):
        yield from tensors(list(values.values()))
