"""An ensemble cut into blocks: where its paths start, and who runs its blocks.

A block of paths owns its random stream (seed, purpose, block), so the numbers depend on the block size (part of the recipe) and not on which
worker runs a block, nor when. Shared by ``simulate`` and ``exit_times``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.kernel import Kernel
from sgdsde.rng import stream
from sgdsde.types import InputError, Tally, as_points, tallying

Start = Any  # [dim] | [P, dim] | sampler (paths, generator) -> [P, dim]
Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class StartPoints:
    """Start points as they were given; a sampler draws block by block from the block's own stream."""

    points: Tensor | None
    sampler: Callable[[int, torch.Generator], Tensor] | None
    paths: int
    probe: Tensor

    @property
    def itemsize(self) -> int:
        """Bytes a number."""
        return self.probe.element_size()

    def cuts(self, size: int) -> list[tuple[int, int]]:
        """The blocks [first, last)."""
        return [(first, min(first + size, self.paths)) for first in range(0, self.paths, size)]

    def piece(self, first: int, last: int) -> Any:
        """What block [first, last) starts from."""
        if self.points is None:
            return self.sampler
        return self.points.expand(self.paths, -1)[first:last] if self.points.shape[0] == 1 else self.points[first:last]

    def check(self, kernel: Kernel) -> Tally:
        """Let the kernel refuse, at (some of) the start points; what it reports of its domain there, without the counts, belongs to the result."""
        with tallying() as tally:
            kernel.check(kernel.expand(self.probe))
        return Tally(worst=tally.worst)


def start_points(kernel: Kernel, theta0: Start, paths: int | None) -> StartPoints:
    """The start of an ensemble of ``paths`` paths.

    Raises:
        InputError: the points do not fit the kernel or the number of paths, or a sampler is given without one.
    """
    if paths is not None and not is_whole(paths, 1):
        raise InputError(f"paths = {paths!r}; wanted an integer ≥ 1.")
    if callable(theta0):
        if paths is None:
            raise InputError("theta0 is a sampler; give the number of paths: paths=…")
        probe = as_points(theta0(1, stream(0, "probe")), kernel.start_dim, name="theta0 sampler")
        if probe.shape[0] != 1:
            raise InputError(f"The theta0 sampler returned {probe.shape[0]} points for 1 path; wanted one each: (paths, generator) -> [paths, dim].")
        return StartPoints(None, theta0, int(paths), probe)
    points = as_points(theta0, kernel.start_dim, name="theta0")
    count = points.shape[0]
    if paths is not None and count not in (1, paths):
        raise InputError(f"theta0 holds {count} points and paths = {paths}; give one point, or as many as paths.")
    return StartPoints(points, None, int(paths or count), points)


def begin(kernel: Kernel, piece: Any, paths: int, *, seed: int, purpose: str, block: int, first: int | None = None) -> tuple[Tensor, torch.Generator]:
    """The points at which a block starts, as the kernel keeps them, and the block's stream; ``first`` is the place of its first path in the ensemble.

    Raises:
        InputError: a sampler returned another number of points than paths.
    """
    device = piece.device if isinstance(piece, Tensor) else torch.device("cpu")
    generator = stream(seed, purpose, block, device)
    generator.first_path = first
    if isinstance(piece, Tensor):
        theta = piece
    else:
        theta = as_points(piece(paths, generator), kernel.start_dim, name="theta0 sampler")
        if theta.shape[0] != paths:
            raise InputError(f"The theta0 sampler returned {theta.shape[0]} points for {paths} paths; wanted one each: (paths, generator) -> [paths, dim].")
    return kernel.expand(theta.clone()), generator


def checked_block_size(block_size: int) -> int:
    """The block size as an int.

    Raises:
        InputError: it is no integer ≥ 1.
    """
    if not is_whole(block_size, 1):
        raise InputError(f"block_size = {block_size!r}; wanted an integer ≥ 1, or None.")
    return int(block_size)


def run_jobs(function: Callable[[Job], Result], jobs: Sequence[Job], executor: Executor | None, done: Callable[[Job, Result], Any]) -> list[Result]:
    """``function`` of every job, in the order of the jobs; ``done(job, result)`` is told as each one ends."""
    if executor is None:
        results = []
        for job in jobs:
            results.append(function(job))
            done(job, results[-1])
        return results
    futures = {executor.submit(function, job): job for job in jobs}
    try:
        for future in as_completed(futures):
            done(futures[future], future.result())
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    return [future.result() for future in futures]  # in the order of the jobs


def enough_memory(wanted: int) -> None:
    """Refuse what would not fit.

    Raises:
        InputError: ``wanted`` bytes, twice (while blocks are joined), exceed the machine's memory.
    """
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if wanted * 2 > 0.9 * available:
        raise InputError(
            f"The saved states would take {wanted / 2**30:.1f} GiB (twice that while blocks are joined), of {available / 2**30:.1f} GiB. "
            "Save fewer times, or keep_states=False with observables."
        )
