"""The one loop: it knows only kernels, advances a block of paths tick by tick, and notices what becomes of each path.

Time is an integer number of ticks. Finished paths leave the block at the tick at which they finish, which the block's own data decide, so
that the numbers a block consumes from its stream depend on nothing outside it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sgdsde.heap import keep_freed
from sgdsde.kernel import Kernel, State
from sgdsde.types import InputError, Status, Tally, real, tallying

#: (before, after, live, k, generator) -> status codes of the live paths (bool or int8; 0: goes on), or None: all go on
Watch = Callable[[Tensor, Tensor, Tensor, int, torch.Generator], Tensor | None]

#: numbers a block, at most and, where more workers could be fed, at least; paths a block at most
_CACHE_ELEMENTS, _FEW_ELEMENTS, _MOST_PATHS = 2**17, 2**16, 2**15
#: blocks into which an ensemble is cut, if they stay that large
_WORKERS_FED = 4


def default_block_size(kernel: Kernel, paths: int) -> int:
    """Paths a block, a multiple of 64 that cuts an ensemble of ``paths`` into blocks of about one size.

    As many as keep a block's arrays in a core's cache; fewer where the ensemble would make less than four blocks and the Python of a step would still cost
    little beside it. The kernel and the number of paths alone decide, never who runs the blocks.
    """
    largest = max(64, min(_MOST_PATHS, _CACHE_ELEMENTS // kernel.width))
    smallest = max(64, min(_MOST_PATHS, _FEW_ELEMENTS // kernel.width))
    blocks = max(-(-paths // largest), min(_WORKERS_FED, -(-paths // smallest)))
    return -(-paths // blocks // 64) * 64


def describe(kernel: Kernel) -> str:
    """The kernel in words: its class, and its SDE's, or the kernels inside it."""
    sde = getattr(kernel, "sde", None)
    inner = (
        type(sde).__name__
        if sde is not None
        else ", ".join(describe(part) for part in (getattr(kernel, n, None) for n in ("a", "b", "kernel")) if isinstance(part, Kernel))
    )
    return f"{type(kernel).__name__}({inner})" if inner else type(kernel).__name__


def ticks(kernel: Kernel, time: float, name: str) -> int:
    """``time`` as a whole number of ticks of the kernel.

    Raises:
        InputError: it is negative, not finite, or no multiple of the tick.
    """
    time = real(time, name)
    if not np.isfinite(time) or time < 0:
        raise InputError(f"{name} = {time}; wanted a finite SDE time ≥ 0.")
    count = round(time / kernel.tick)
    if abs(count * kernel.tick - time) > 1e-9 * max(kernel.tick, time):
        raise InputError(f"{name} = {time} is no multiple of the tick {kernel.tick} (= eta for SGD and its models); nearest: {count * kernel.tick:.12g}.")
    return count


@dataclass
class Paused:
    """A block between two calls of :func:`run_block`, in tensors that travel to workers; with its stream's state it goes on as if it had never stopped."""

    state: State
    live: Tensor
    full: Tensor
    status: Tensor
    status_tick: Tensor
    k: int

    @staticmethod
    def at_start(kernel: Kernel, theta: Tensor, generator: torch.Generator) -> Paused:
        """Before the first tick; a kernel with a memory draws from the stream here."""
        count, device = theta.shape[0], theta.device
        status, status_tick = torch.zeros(count, dtype=torch.int8, device=device), torch.zeros(count, dtype=torch.long, device=device)
        full = theta.clone()
        return Paused(kernel.init(theta, generator), torch.arange(count, device=device), full, status, status_tick, 0)

    def wake(self, kernel: Kernel) -> None:
        """The kernel may have run other blocks since: what it remembers of them is forgotten, with numbers from no one's stream."""
        kernel.init(self.state.theta, torch.Generator(device=self.full.device))


def run_block(
    kernel: Kernel,
    theta: Tensor,
    generator: torch.Generator,
    *,
    visits: Sequence[int],
    visit: Callable[[int, Tensor], None],
    watch: Watch | None,
    last: int,
    paused: Paused | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tally]:
    """Advance one block to tick ``last``: the heart of the package, used by ``simulate`` and ``exit_times``.

    ``visit(k, full)`` sees all paths of the block at each tick of ``visits``. ``watch(before, after, live, k, generator)`` sees the live paths at
    every tick, with their places ``live`` in the block, and says which are finished: EXITED (or True) or CENSORED. A path that failed in the
    same tick has failed. Returns the final points, the status, its tick, and the models' tally (of this call).

    With ``paused`` the block goes on from there, and ``paused`` holds its new place afterwards.
    """
    place = Paused.at_start(kernel, theta, generator) if paused is None else paused
    full, status, status_tick, live, state = place.full, place.status, place.status_tick, place.live, place.state
    status_tick[live] = last
    due = sorted(set(visits))
    if due and due[0] == 0:
        visit(0, full)
        due = due[1:]
    with tallying() as tally:
        k, careful = place.k, 0
        while k < last and live.numel():
            before = state.theta
            target = (due[0] if due else last) if kernel.leaps and watch is None and k >= careful else k + 1
            tally.flagged = None
            mark = (state, generator.get_state(), tally.copy()) if target - k > 1 else None
            state = kernel.leap(state, k, target - k, generator) if kernel.leaps else kernel.advance(state, k, generator)
            _refuse_shape(kernel, before, state)
            finished = _failures(before, state.theta, tally)
            if finished is not None and mark is not None:  # again, tick by tick: the tick and the last good point are wanted
                state, numbers, counters = mark
                generator.set_state(numbers)
                tally.counts, tally.worst = counters.counts, counters.worst
                careful = target
                continue
            k = target
            if watch is not None:
                leaving = watch(before, state.theta, live, k, generator)
                if leaving is not None and bool(leaving.any()):
                    leaving = leaving.to(torch.int8)
                    finished = leaving if finished is None else torch.where(finished == 0, leaving, finished)
            if finished is not None:
                state, live = _retire(state, before, finished, live, full, status, status_tick, k)
            if due and k == due[0]:
                full[live] = state.theta
                visit(k, full)
                due = due[1:]
        for k in due:
            visit(k, full)
        full[live] = state.theta
    place.state, place.live, place.k = state, live, last
    return full, status, status_tick, tally


def _refuse_shape(kernel: Kernel, before: Tensor, state: State) -> None:
    if not isinstance(state, State) or state.theta.shape != before.shape:
        came = f"theta of shape {tuple(state.theta.shape)}" if isinstance(state, State) else type(state).__name__
        raise InputError(f"{type(kernel).__name__}.advance returned {came} for {tuple(before.shape)}; wanted a State whose theta keeps its shape.")


def _failures(before: Tensor, after: Tensor, tally: Tally) -> Tensor | None:
    """Status codes (0: fine) of paths that became non-finite; None where all are fine. One sum tells, in the usual case."""
    if bool(torch.isfinite(after.sum())):
        return None
    bad = ~torch.isfinite(after).all(1)
    if not bool(bad.any()):
        return None  # a finite ensemble whose sum overflowed
    code = torch.where(bad, int(Status.DIVERGED), 0).to(torch.int8)
    if tally.flagged is not None and tally.flagged.shape == bad.shape:
        code[bad & tally.flagged] = int(Status.OUT_OF_DOMAIN)
    return code


def _retire(state: State, before: Tensor, code: Tensor, live: Tensor, full: Tensor, status: Tensor, status_tick: Tensor, k: int) -> tuple[State, Tensor]:
    """Take finished paths out of the block: NaN where diverged, the last good point where out of domain, the present one where exited."""
    gone = code > 0
    index, code = live[gone], code[gone]
    points = torch.where((code == int(Status.OUT_OF_DOMAIN))[:, None], before[gone], state.theta[gone])
    points[code == int(Status.DIVERGED)] = torch.nan
    full[index], status[index], status_tick[index] = points, code, k
    keep = torch.nonzero(~gone)[:, 0]
    return state.take(keep), live[keep]


class _Threads:
    """How many threads of this process are inside :func:`one_thread`, and the number that the first of them found."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.before = 1


_threads = _Threads()
_here = threading.local()


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra on one thread: results differ with the number of threads, and blocks are the parallelism.

    The number belongs to the calling thread for some of torch's libraries and to the process for others (MKL). Where blocks run on several threads
    of a process the last one out restores it; a thread that left earlier keeps 1 and remembers what it had. Memory that a step frees stays for the next one
    (:mod:`sgdsde.heap`).
    """
    keep_freed()
    with _threads.lock:
        if _threads.inside == 0:
            _threads.before = getattr(_here, "before", None) or torch.get_num_threads()
        _threads.inside += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _threads.lock:
            _threads.inside -= 1
            _here.before = _threads.before if _threads.inside else None
            if _threads.inside == 0:
                torch.set_num_threads(_threads.before)
