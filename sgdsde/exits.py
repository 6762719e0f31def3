"""Exit times: how long paths of a kernel stay in a region, watched in a named way, with right-censoring.

τ = inf{t : outside} over the looks of the monitor. Blocks, streams and the loop are those of ``simulate``; a path that left is taken out of its
block at once, so that the cost is the time that paths spend inside.

With ``precision`` the whole run stops at one time for all paths: the first look at which enough of them have left. The next look is placed where memoryless
exits would reach that number, at most at twice the time; it follows from the exits counted so far over all blocks, so that neither workers nor
their order matter. A stop that depends on the past alone leaves the likelihood as it is: ``rate()`` = exits / total time watched stays the maximum-likelihood
estimate. Stopped at the r-th exit it is too high by the factor r/(r − 1) on average (.3 % at ±10 %, where r = 402), its inverse, the mean, is unbiased, and the
interval covers at least its level; looks that come a little late only add exits.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

import torch
from tqdm import tqdm

from sgdsde.ensemble import Start, StartPoints, checked_block_size, run_jobs, start_points
from sgdsde.exit_blocks import Block, Job, Leg, block_of, run_leg, still
from sgdsde.exit_result import ExitTimes
from sgdsde.forecast import never_moves
from sgdsde.kernel import Kernel, as_kernel, refuse_weak
from sgdsde.loop import default_block_size, describe
from sgdsde.monitor import Monitor
from sgdsde.monitors import as_monitor
from sgdsde.outlook import outlook
from sgdsde.power import exits_for_rate
from sgdsde.region import Region, checked_inside
from sgdsde.regions import as_region
from sgdsde.rng import seed_sequence
from sgdsde.types import InputError, Status, Tally, positive, warn

_ADVICE = "Use a longer horizon, or sg.rare_exit_time for rare exits."


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
        precision: stop before the horizon, at the first look at which enough paths have left for ``rate()`` to be known within ± this fraction.
            All paths are then watched up to that time, which is the result's ``horizon``.
        paths, seed, block_size, executor, progress: as in :func:`sgdsde.simulate`.

    Raises:
        InputError: a start outside the region, a monitor unfit for the kernel or region, wrong shapes, more exits wanted than paths.
        DomainError: the model is known not to exist for this problem before the run starts.

    Before the run a warning says so where theory expects that hardly a path will leave (:func:`sgdsde.outlook.outlook`, in a fraction of a second); after
    it, where none left although nothing foretold it. From a point where neither gradient nor noise moves anything no path ever leaves: that is
    said at once, and nothing is run.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> exits = sg.exit_times(
        ...     sg.kernels.SGD(noise, 1.0), [0.0], region=sg.regions.Interval(-1.0, 1.0), horizon=100.0, paths=2000, seed=1
        ... )
        >>> exact = 1 / (1 - math.erf(1 / math.sqrt(2)))  # ηλ = 1: every iterate is a fresh N(0, 1)
        >>> bool(abs(exits.mean().value - exact) < 4 * exits.mean().stderr)
        True
    """
    region, monitor = as_region(region), as_monitor(monitor)
    start = start_points(as_kernel(kernel), theta0, paths)
    last = _ticks_up(positive(horizon, "horizon") / kernel.tick)
    seed_sequence(seed, "exit_times")  # refuses a seed that no block could use
    size = default_block_size(kernel, start.paths) if block_size is None else checked_block_size(block_size)
    refuse_weak(kernel, "an exit")
    clock = monitor.clock(kernel, region)
    known = start.check(kernel)
    _refuse_start(kernel, region, start)
    wanted = _exits_wanted(precision, start.paths)
    per_tick = round(kernel.tick / clock.tick)
    recipe = {"seed": seed, "paths": start.paths, "block_size": size, "kernel": describe(kernel), "region": type(region).__name__, "precision": precision}
    if start.points is not None and never_moves(kernel, kernel.expand(start.points)):
        warn("No path will ever leave: gradient and noise both vanish at the start, which is the exact answer. All paths are censored; none was run.")
        motionless = still(kernel.expand(start.points), start.paths, steps=last, tick=kernel.tick)
        return _collect(kernel, start, monitor, last, [motionless], known, recipe)
    foreseen = outlook(kernel, start.probe[0], region, monitor, horizon=last * kernel.tick, paths=start.paths)
    exits = math.inf if foreseen is None else start.paths * foreseen.share(last * kernel.tick)
    if exits < min(1.0, start.paths / 2):
        warn(f"Hardly a path will leave within t = {last * kernel.tick:g}: {foreseen} Of {start.paths} paths {exits:.2g} are expected to leave. {_ADVICE}")
    jobs = [
        Job(clock, start.piece(a, b), region, monitor, per_tick, kernel.tick, seed, index, a, b - a, last * per_tick)
        for index, (a, b) in enumerate(start.cuts(size))
    ]
    unit, hidden = "exit" if wanted else "path", None if progress is None else not progress
    with tqdm(total=wanted or start.paths, unit=unit, unit_scale=True, leave=False, disable=hidden) as bar:
        legs, last = _watch_until(jobs, last, per_tick, wanted, executor, _Running(bar, by_exits=wanted is not None))
    result = _collect(kernel, start, monitor, last, [block_of(job, leg) for job, leg in zip(jobs, legs, strict=True)], known, recipe)
    if exits >= min(1.0, start.paths / 2) and bool(result.censored.all()) and bool((result.status == int(Status.CENSORED)).any()):
        told = str(foreseen) if foreseen is not None else "No oracle covers this problem at a small cost."
        warn(f"None of {start.paths} paths left within t = {result.horizon:g}. {told} {_ADVICE}")
    return result


def _watch_until(jobs: list[Job], last: int, per_tick: int, wanted: int | None, executor: Executor | None, running: _Running) -> tuple[list[Leg], int]:
    """All blocks watched up to the same tick: ``last``, or the look at which ``wanted`` paths have left; and that tick."""
    if wanted is None:
        return run_jobs(run_leg, jobs, executor, running.block), last
    look, paths = 1, sum(job.paths for job in jobs)
    jobs = [replace(job, last=look * per_tick) for job in jobs]
    while True:
        legs = run_jobs(run_leg, jobs, executor, running.block)
        exits, watched = sum(leg.exits for leg in legs), sum(leg.paused.live.numel() for leg in legs)
        running.leg(exits)
        if exits >= wanted or look == last or watched == 0:
            return legs, look
        look = min(_next_look(look, exits, wanted, paths), last)
        jobs = [job.onward(leg, look * per_tick) for job, leg in zip(jobs, legs, strict=True)]


def _next_look(look: int, exits: int, wanted: int, paths: int) -> int:
    """Where memoryless exits would reach ``wanted``: t·log(1 − wanted/paths)/log(1 − exits/paths), but at most at 2t."""
    factor = math.log1p(-wanted / paths) / math.log1p(-exits / paths) if exits > 0 and wanted < paths else 2.0
    return max(look + 1, math.ceil(look * min(factor, 2.0)))


def _collect(kernel: Kernel, start: StartPoints, monitor: Monitor, last: int, blocks: list[Block], tally: Tally, recipe: dict[str, Any]) -> ExitTimes:
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


class _Running:
    """The progress bar and the running estimate that it shows."""

    def __init__(self, bar: Any, *, by_exits: bool) -> None:
        self.bar, self.by_exits = bar, by_exits
        self.blocks: dict[int, tuple[int, int, float]] = {}

    def block(self, job: Job, leg: Leg) -> None:
        """A block has reached the end of its leg."""
        ticks = leg.paused.status_tick.to(torch.float64).sum().item()
        self.blocks[job.block] = (job.paths, leg.exits, ticks * job.tick / job.per_tick)
        paths, exits, time = (sum(column) for column in zip(*self.blocks.values(), strict=True))
        estimate = f", total time / exits {time / exits:.4g}" if exits else ""
        self.bar.set_postfix_str(f"{exits} of {paths} left{estimate}", refresh=False)
        if not self.by_exits:
            self.bar.update(job.paths)

    def leg(self, exits: int) -> None:
        """All blocks have."""
        if self.by_exits:
            self.bar.update(min(exits, self.bar.total) - self.bar.n)


def _refuse_start(kernel: Kernel, region: Region, start: StartPoints) -> None:
    if region.dim is not None and region.dim != kernel.dim:
        raise InputError(f"The region has dimension {region.dim} and the kernel {kernel.dim}; wanted equal ones.")
    points = kernel.expand(start.probe if start.points is None else start.points)
    outside = ~checked_inside(region, points)
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
