"""Exit times: how long paths of a kernel stay in a region, watched in a named way, with right-censoring.

τ = inf{t : outside} over the looks of the monitor. Blocks, streams and the loop are those of ``simulate``; a path that left is taken out of its
block at once, so that the cost is the time that paths spend inside.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor
from tqdm import tqdm

from sgdsde.ensemble import Start, StartPoints, begin, checked_block_size, run_jobs, start_points
from sgdsde.exit_result import ExitTimes
from sgdsde.forecast import expected_exit, never_moves
from sgdsde.kernel import Kernel
from sgdsde.loop import default_block_size, describe, one_thread, run_block
from sgdsde.monitor import Monitor
from sgdsde.monitors import as_monitor
from sgdsde.power import exits_for_rate
from sgdsde.region import Region
from sgdsde.regions import as_region
from sgdsde.rng import seed_sequence
from sgdsde.types import InputError, Status, Tally, positive, warn


def exit_times(
    kernel: Kernel,
    theta0: Start,
    *,
    region: Any,
    horizon: float,
    monitor: str | Monitor = "iterates",
    paths: int | None = None,
    seed: int,
    precision: float | None = None,
    block_size: int | None = None,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> ExitTimes:
    """Watch paths until they leave a region.

    Args:
        kernel: SGD, or an integrator of an SDE.
        theta0: one start point ``[dim]``, one per path ``[P, dim]``, or a sampler ``(paths, generator) -> [P, dim]`` (for example
            :class:`sgdsde.quasi_stationary.QuasiStationary`), all inside.
        region: a :class:`sgdsde.region.Region`, or a function ``[P, dim]`` → bool ``[P]`` that is true inside.
        horizon: SDE time after which a path is censored; rounded up to a multiple of ``kernel.tick``.
        monitor: ``iterates`` (looks at t = kη; what SGD is compared by), ``bridge`` or ``shift`` (continuous watch of an SDE),
            ``shift outward`` (iterates predicted from a continuous watch); see :mod:`sgdsde.monitors`.
        precision: stop before the horizon, once enough paths have left for ``rate()`` to be known within ± this fraction. Each block stops
            at its share of the exits, so that results still depend on nothing outside the block.
        paths, seed, block_size, executor, progress: as in :func:`sgdsde.simulate`.

    Raises:
        InputError: a start outside the region, a monitor unfit for the kernel or region, wrong shapes, more exits wanted than paths.
        DomainError: the model is known not to exist for this problem before the run starts.

    Where no path left, a warning tells the mean exit that an oracle expects, if one covers the problem. From a point where neither gradient nor
    noise moves anything no path ever leaves: that is said at once.
    """
    region, monitor = as_region(region), as_monitor(monitor)
    start = start_points(kernel, theta0, paths)
    last = _ticks_up(positive(horizon, "horizon") / kernel.tick)
    seed_sequence(seed, "exit_times")  # refuses a seed that no block could use
    size = default_block_size(kernel) if block_size is None else checked_block_size(block_size)
    clock = monitor.clock(kernel, region)
    known = start.check(kernel)
    _refuse_start(kernel, region, start)
    wanted = _exits_wanted(precision, start.paths)
    per_tick = round(kernel.tick / clock.tick)
    recipe = {"seed": seed, "paths": start.paths, "block_size": size, "kernel": describe(kernel), "region": type(region).__name__, "precision": precision}
    if start.points is not None and never_moves(kernel, kernel.expand(start.points)):
        warn("No path will ever leave: gradient and noise both vanish at the start, which is the exact answer. All paths are censored; none was run.")
        return _collect(kernel, start, monitor, last, [_still(kernel, start, last)], known, recipe)
    jobs = [
        _Job(clock, start.piece(a, b), region, monitor, last * per_tick, per_tick, kernel.tick, seed, index, b - a, _share(wanted, a, b, start.paths))
        for index, (a, b) in enumerate(start.cuts(size))
    ]
    with tqdm(total=start.paths, unit="path", unit_scale=True, leave=False, disable=None if progress is None else not progress) as bar:
        seen = _Running()
        blocks = run_jobs(_run_job, jobs, executor, lambda job, block: (bar.set_postfix_str(seen.add(block), refresh=False), bar.update(job.paths)))
    result = _collect(kernel, start, monitor, last, blocks, known, recipe)
    if bool(result.censored.all()) and bool((result.status == int(Status.CENSORED)).any()):
        warn(_nobody(kernel, start, region, monitor, result))
    return result


@dataclass(frozen=True)
class _Job:
    """One block, with all it needs to run anywhere."""

    clock: Kernel
    start: Any
    region: Region
    monitor: Monitor
    last: int
    per_tick: int
    tick: float
    seed: int
    block: int
    paths: int
    exits: int | None


@dataclass(frozen=True)
class _Block:
    """What one block returns, a row per path."""

    times: Tensor
    steps: Tensor
    states: Tensor
    directions: Tensor
    sides: Tensor
    status: Tensor
    tally: Tally


class _Watch:
    """The monitor at work on one block: it keeps what is known better than "at the end of the move", and counts exits."""

    def __init__(self, job: _Job, theta: Tensor) -> None:
        self.job, self.exits = job, 0
        self.when = torch.ones(theta.shape[0], dtype=torch.float64, device=theta.device)
        self.side = torch.zeros(theta.shape[0], dtype=torch.long, device=theta.device)
        self.where: Tensor | None = None

    def __call__(self, before: Tensor, after: Tensor, live: Tensor, k: int, generator: Generator) -> Tensor | None:
        job = self.job
        sight = job.monitor.look(job.clock, job.region, before, after, generator)
        left, gone = sight.left, live[sight.left]
        if sight.side is not None:
            self.side[gone] = sight.side
        if sight.when is not None:
            self.when[gone] = sight.when.to(torch.float64)
        if sight.where is not None:
            self.where = torch.full_like(after[:1], torch.nan).repeat(self.when.shape[0], 1) if self.where is None else self.where
            self.where[gone] = sight.where
        if job.exits is None:
            return left
        self.exits += int(torch.isfinite(after[left]).all(1).sum())  # a broken path is no exit: the loop will say so
        return torch.where(left, int(Status.EXITED), int(Status.CENSORED) if self.exits >= job.exits else 0)


def _run_job(job: _Job) -> _Block:
    theta, generator = begin(job.clock, job.start, job.paths, seed=job.seed, purpose="exit_times", block=job.block)
    outside = ~job.region.inside(theta)
    if bool(outside.any()):
        raise InputError(f"The sampler drew {int(outside.sum())} of {job.paths} start points outside the region; it must draw inside.")
    watch = _Watch(job, theta)
    with one_thread(), torch.no_grad():
        states, status, moves, tally = run_block(job.clock, theta, generator, visits=(), visit=lambda k, full: None, watch=watch, last=job.last)
    status = torch.where(status == int(Status.OK), int(Status.CENSORED), status).to(torch.int8)
    exited = status == int(Status.EXITED)
    if watch.where is not None:
        states = torch.where((exited & torch.isfinite(watch.where).all(1))[:, None], watch.where, states)
    sides = torch.where(exited, torch.where(watch.side != 0, watch.side, job.region.side(states)), 0)
    arrow = torch.where(exited[:, None], states - theta, torch.nan)
    directions = arrow / arrow.norm(dim=1, keepdim=True)
    fraction = torch.where(exited, watch.when, 1.0)
    times = (moves.to(torch.float64) - 1 + fraction) * (job.tick / job.per_tick)
    steps = (moves + job.per_tick - 1) // job.per_tick
    return _Block(times, steps, states, directions, sides, status, tally)


def _collect(kernel: Kernel, start: StartPoints, monitor: Monitor, last: int, blocks: list[_Block], tally: Tally, recipe: dict[str, Any]) -> ExitTimes:
    for block in blocks:
        tally.merge(block.tally)
    status = torch.cat([block.status for block in blocks])
    return ExitTimes(
        times=torch.cat([block.times for block in blocks]),
        steps=torch.cat([block.steps for block in blocks]),
        censored=status != int(Status.EXITED),
        states=torch.cat([block.states for block in blocks]),
        directions=torch.cat([block.directions for block in blocks]),
        sides=torch.cat([block.sides for block in blocks]),
        status=status,
        horizon=last * kernel.tick,
        monitor=monitor.name,
        conventions=replace(kernel.conventions(), dtype=str(start.probe.dtype).removeprefix("torch."), device=str(start.probe.device)),
        tally=tally,
        recipe=recipe,
    )


def _still(kernel: Kernel, start: StartPoints, last: int) -> _Block:
    """All paths where they started, censored."""
    assert start.points is not None
    theta = kernel.expand(start.points.expand(start.paths, -1)).clone()
    ones = torch.ones(start.paths, dtype=torch.long, device=theta.device)
    times = torch.full((start.paths,), last * kernel.tick, dtype=torch.float64, device=theta.device)
    status = (ones * int(Status.CENSORED)).to(torch.int8)
    return _Block(times, ones * last, theta, torch.full_like(theta, torch.nan), ones * 0, status, Tally())


class _Running:
    """The running estimate that the progress bar shows."""

    def __init__(self) -> None:
        self.paths, self.exits, self.time = 0, 0, 0.0

    def add(self, block: _Block) -> str:
        """The line after one more block."""
        exited = block.status == int(Status.EXITED)
        self.paths, self.exits, self.time = self.paths + len(block.status), self.exits + int(exited.sum()), self.time + float(block.times.sum())
        return f"{self.exits} of {self.paths} left, total time / exits {self.time / self.exits:.4g}" if self.exits else f"0 of {self.paths} left"


def _refuse_start(kernel: Kernel, region: Region, start: StartPoints) -> None:
    if region.dim is not None and region.dim != kernel.dim:
        raise InputError(f"The region has dimension {region.dim} and the kernel {kernel.dim}; wanted equal ones.")
    points = kernel.expand(start.probe if start.points is None else start.points)
    outside = ~region.inside(points)
    if bool(outside.any()):
        first = points[outside][0]
        raise InputError(
            f"{int(outside.sum())} of {points.shape[0]} start points lie outside the region, the first at {first[:8].tolist()}. "
            "Start inside (a function given as region must be true inside)."
        )


def _ticks_up(ratio: float) -> int:
    """The next whole number, but the nearest one where the difference is rounding."""
    nearest = round(ratio)
    return nearest if abs(ratio - nearest) <= max(1e-9, 4e-16 * ratio) else math.ceil(ratio)


def _exits_wanted(precision: float | None, paths: int) -> int | None:
    if precision is None:
        return None
    wanted = exits_for_rate(precision)
    if wanted > paths:
        raise InputError(f"precision = {precision} takes {wanted:,} exits and there are {paths:,} paths; use more paths or a coarser precision.")
    return wanted


def _share(wanted: int | None, first: int, last: int, paths: int) -> int | None:
    return None if wanted is None else math.ceil(wanted * (last - first) / paths)


def _nobody(kernel: Kernel, start: StartPoints, region: Region, monitor: Monitor, result: ExitTimes) -> str:
    """The warning where no path left, with what theory expects."""
    expected = expected_exit(kernel, start.probe, region, monitor=monitor)
    said = str(expected) if expected else "No oracle covers this problem."
    return f"None of {start.paths} paths left within t = {result.horizon:g}. {said} Use a longer horizon, or sg.rare_exit_time for rare exits."
