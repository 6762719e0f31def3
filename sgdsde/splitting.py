"""Rare exits by multilevel splitting: mean exit times far beyond direct simulation, with an interval.

Put a path back to its start whenever it leaves: in the long run it leaves exactly once in Eτ (renewal theorem; Hill's relation). These exits are counted as

    1/Eτ = flux past a first level of paths from the core × P(pass the second | …) × … × P(leave | passed the last),

each factor from ``effort`` pieces of paths started where the level before was passed (Allen, Frenkel, ten Wolde, J. Chem. Phys. 124, 024102, 2006; fixed
effort: Garvels 2000). With levels fixed by a pilot the product is unbiased for 1/Eτ (Del Moral 2004, section 7.4), whatever the score and however far steps
jump; what is left is the burn-in, exponentially small. Independent replicas give the interval. Derivation: docs/theory/splitting.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from sgdsde.ensemble import Start, run_jobs
from sgdsde.kernel import Kernel, as_kernel
from sgdsde.loop import describe, one_thread
from sgdsde.monitor import Monitor
from sgdsde.monitors import Iterates, as_monitor
from sgdsde.regions import as_region
from sgdsde.rng import stream
from sgdsde.splitting_cycles import Problem, Walkers, excursions
from sgdsde.splitting_moves import Score, WholeTicks, clock_of
from sgdsde.splitting_pieces import Book, resampled
from sgdsde.splitting_plan import GOOD, Plan, StepsTooLarge, make_plan, settling_time
from sgdsde.splitting_result import RareExit, log_interval, ratio
from sgdsde.splitting_setup import checked_count, checked_levels, checked_score, start_pool
from sgdsde.types import OracleRefusal, positive, tallying, warn

#: into how many parts the noise of a step is divided, tried in this order
_DIVISIONS = (1, 8, 32)
#: pieces a level that are run together as one tensor: replicas times effort
_TOGETHER = 8192
#: fewer distinct points than these behind a level, over all replicas, are warned of
_TRUSTED = 200
#: one walker looks for passages of the first level where there are so many pieces a level
_PIECES_PER_WALKER = 8


def rare_exit_time(
    kernel: Kernel,
    theta0: Start,
    *,
    region: Any,
    score: Score | None = None,
    levels: Sequence[float] | None = None,
    monitor: str | Monitor = "iterates",
    effort: int = 1024,
    replicas: int = 32,
    burn_in: float | None = None,
    seed: int,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> RareExit:
    """The mean exit time from a region by splitting, for a kernel whose law does not depend on time (or only on the place in an epoch).

    Args:
        theta0: where a path starts (and is put back to): a point ``[dim]``, points ``[S, dim]`` or a sampler to draw it from, inside.
        region: a Region, or a function that is true inside (then ``score`` is needed).
        score: ``[P, dim]`` → ``[P]``, falling from the core to the border; default the signed distance to the nearest face. A poor one costs precision only.
        levels: falling scores: the core's border, then λ₁ > λ₂ > …; default by a pilot run.
        monitor: as in :func:`sgdsde.exit_times`. Between iterates an exit counts for the end of its substep.
        effort: pieces of paths a level and replica.
        replicas: independent repetitions, at least 8; the interval comes from their spread.
        burn_in: SDE time that paths take to settle inside; default measured by the pilot.
        seed, executor, progress: as in :func:`sgdsde.exit_times`; results do not depend on the executor.

    Raises:
        InputError: a start outside, a region without border where no score is given, levels that do not fall or that paths do not move between, wrong shapes.
        DomainError: the model is known not to exist at the start.
        OracleRefusal: no noise, no settling, paths that linger elsewhere in the region, exits by single jumps that cannot be divided, or no exit found.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> region = sg.regions.Interval(-1.2, 1.2)
        >>> found = sg.rare_exit_time(sg.kernels.SGD(noise, 0.2), [0.0], region=region, seed=1, effort=512, replicas=8)
        >>> exact = sg.oracles.sgd_mean_exit(noise, 0.2, [0.0], region).mean
        >>> bool(found.mean.low < exact < found.mean.high)
        True
    """
    region, monitor = as_region(region), as_monitor(monitor)
    score, levels = checked_score(region, score), checked_levels(levels)
    effort, replicas = checked_count(effort, "effort", 16), checked_count(replicas, "replicas", 8)
    watched = monitor.clock(as_kernel(kernel), region)
    burn = None if burn_in is None else max(1, math.ceil(positive(burn_in, "burn_in") / watched.tick * (1 - 1e-12)))
    pool = start_pool(kernel, theta0, region, seed)
    walkers = max(16, effort // _PIECES_PER_WALKER)
    problem, plan, book = _prepare(kernel, Problem(watched, WholeTicks(watched), region, monitor, score, pool), levels, burn, effort, walkers, seed)
    together = max(1, _TOGETHER // effort)
    cuts = [(first, min(first + together, replicas)) for first in range(0, replicas, together)]
    jobs = [_Job(problem, plan, effort, walkers, last - first, seed, block) for block, (first, last) in enumerate(cuts)]
    with tqdm(total=replicas, unit="replica", leave=False, disable=None if progress is None else not progress) as bar:
        blocks = run_jobs(_run_job, jobs, executor, lambda job, _: bar.update(job.replicas))
    for block in blocks:
        book.merge(block.book)
    flows = np.concatenate([block.flows for block in blocks]) / watched.tick  # [replicas, levels + 1]
    if not flows[:, -1].any():
        raise OracleRefusal(f"None of {replicas} replicas found a way out with effort {effort}; use more effort, or a score that falls until the exit.")
    distinct = tuple(int(n) for n in np.sum([block.distinct for block in blocks], axis=0))
    if min(distinct) < _TRUSTED:
        warn(f"Only {min(distinct)} distinct points stand behind a level in {replicas} replicas: the interval may be too narrow. Use more effort.")
    moves = problem.clock.moves
    return RareExit(
        replica_rates=flows[:, -1],
        tick=kernel.tick,
        levels=plan.levels,
        flux=log_interval(flows[:, 0]),
        probabilities=tuple(ratio(after, before) for before, after in zip(flows.T[:-1], flows.T[1:], strict=True)),
        distinct=distinct,
        fates=book.fates,
        evaluations=book.moves * problem.clock.cost * watched.tick / kernel.tick,
        burn_in=plan.burn_in / moves * watched.tick,
        longest=book.longest / moves * watched.tick,
        monitor=monitor.name,
        conventions=replace(kernel.conventions(), dtype=str(pool.dtype).removeprefix("torch."), device=str(pool.device)),
        tally=book.tally,
        recipe={"seed": seed, "effort": effort, "replicas": replicas, "kernel": describe(kernel), "region": type(region).__name__, "moves a tick": moves},
    )


def _prepare(
    kernel: Kernel, problem: Problem, levels: tuple[float, ...] | None, burn_in: int | None, effort: int, walkers: int, seed: int
) -> tuple[Problem, Plan, Book]:
    """The pilot, with the noise of a step divided more finely until levels lie between the moves."""
    with one_thread(), torch.no_grad(), tallying() as tally:
        book = Book(tally)
        if burn_in is None:
            burn_in = settling_time(problem, stream(seed, "rare_exit_time settling", 0, problem.pool.device), book)
        for attempt, divide in enumerate(_DIVISIONS):
            if isinstance(problem.monitor, Iterates):
                problem = replace(problem, clock=clock_of(kernel, divide=1 if levels is not None else divide))
            last = levels is not None or divide == _DIVISIONS[-1] or not problem.clock.divisible
            generator = stream(seed, "rare_exit_time pilot", attempt, problem.pool.device)
            try:
                plan = make_plan(problem, levels=levels, burn_in=burn_in, effort=effort, walkers=walkers, generator=generator, book=book)
            except StepsTooLarge:
                if last:
                    raise
                continue
            if last or plan.fresh >= GOOD:
                break
    book.fates.clear()
    return problem, plan, book


@dataclass(frozen=True)
class _Job:
    """Some replicas, with all they need to run anywhere."""

    problem: Problem
    plan: Plan
    effort: int
    walkers: int
    replicas: int
    seed: int
    block: int


@dataclass(frozen=True)
class _Block:
    """Passages of each level per watched tick, the exit last, ``[replicas, levels + 1]``; the distinct points behind each but the first."""

    flows: np.ndarray
    distinct: list[int]
    book: Book


def _run_job(job: _Job) -> _Block:
    problem, plan, device = job.problem, job.plan, job.problem.pool.device
    generator = stream(job.seed, "rare_exit_time", job.block, device)
    core, *levels = plan.levels
    with one_thread(), torch.no_grad(), tallying() as tally:
        book = Book(tally)
        group = Walkers(problem, torch.arange(job.replicas, device=device).repeat_interleave(job.walkers), generator, book)
        group.passages(core=core, first=levels[0], moves=plan.burn_in, keep=False)
        pieces = group.passages(core=core, first=levels[0], moves=plan.window)
        if pieces is None:
            return _Block(np.zeros((job.replicas, len(levels) + 1)), [0] * len(levels), book)
        started = _counts(pieces.owner, job.replicas)
        flows, distinct = [started * problem.clock.moves / (job.walkers * plan.window)], []
        for level in (*levels[1:], None):
            passed = excursions(problem, pieces, level=level, core=core, cap=plan.cap, generator=generator, book=book)
            flows.append(flows[-1] * _counts(passed.owner, job.replicas) / np.maximum(started, 1))
            distinct.append(int(torch.stack([passed.owner, passed.point]).unique(dim=1).shape[1]))
            if level is not None:
                pieces = resampled(passed, job.effort, job.replicas, generator)
                started = _counts(pieces.owner, job.replicas)
        book.add("exited", passed.size)
    return _Block(np.stack(flows, 1), distinct, book)


def _counts(owner: torch.Tensor, replicas: int) -> np.ndarray:
    return torch.bincount(owner, minlength=replicas).cpu().numpy().astype(float)
