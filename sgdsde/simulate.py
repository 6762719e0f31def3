"""Ensembles: start points, saves and streamed observables around the one loop of :mod:`sgdsde.loop`.

An ensemble is cut into blocks; each block owns its random stream (seed, purpose, block) and its clock, an integer number of ticks. So
results depend on the block size (part of the recipe) and not on which worker runs a block, nor when.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from sgdsde.ensemble import Start, StartPoints, begin, checked_block_size, enough_memory, run_jobs, start_points
from sgdsde.kernel import Kernel, as_kernel, refuse_weak
from sgdsde.loop import default_block_size, describe, one_thread, run_block, ticks
from sgdsde.rng import seed_sequence
from sgdsde.trajectory import Trajectory
from sgdsde.types import Conventions, Estimate, InputError, Tally, numbers, positive, untouched


def simulate(
    kernel: Kernel,
    theta0: Start,
    *,
    horizon: float,
    save: Sequence[float] | None = None,
    observe: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    paths: int | None = None,
    seed: int,
    stop: Callable[[Tensor], Tensor] | None = None,
    keep_states: bool = True,
    block_size: int | None = None,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> Trajectory:
    """Run an ensemble of paths of a kernel.

    Args:
        kernel: SGD or an integrator of an SDE.
        theta0: one start point ``[dim]``, one per path ``[P, dim]``, or a sampler ``(paths, generator) -> [P, dim]``. Its dtype and
            device are the run's; Python numbers and NumPy arrays become float64 on the CPU.
        horizon, save: SDE times, multiples of ``kernel.tick``; ``save`` (default: the horizon) may hold 0.
        observe: functions of the state, ``[P, dim]`` → ``[P]`` or ``[P, k]``; their means are streamed at the saved times.
        paths: number of paths, where ``theta0`` does not tell.
        seed: non-negative integer.
        stop: ``[P, dim]`` → bool ``[P]``; a path where it is true after a tick is frozen there with status EXITED. The start is not looked at.
        keep_states: False keeps the observables only; then memory does not grow with the number of saves.
        block_size: paths a block; part of the recipe (default: from the kernel's width and the number of paths).
        executor: any ``concurrent.futures.Executor`` to run blocks on; the results do not depend on it.
        progress: True/False forces the bar; None shows it on a terminal only.

    Raises:
        InputError: wrong shapes, times off the grid of ticks, unusable seed or block size, an observable or ``stop`` of the wrong shape, not enough memory.
        DomainError: the model is known not to exist for this problem before the run starts.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 0.01)
        >>> run = sg.simulate(
        ...     sg.kernels.SGD(noise, 0.5), [8.0], horizon=1.0, paths=1000, seed=1, observe={"loss": noise.objective.loss}
        ... )
        >>> found = run.observed["loss"]
        >>> bool(found.low[-1] < ((8 * 0.25) ** 2 + 0.01 * 0.25 * 1.25) / 2 < found.high[-1])  # ½E θ₂²
        True
    """
    times = _ticks_of(as_kernel(kernel), horizon, save)
    start = start_points(kernel, theta0, paths)
    observe = {} if observe is None else _named(observe)
    seed_sequence(seed, "simulate")  # refuses a seed that no block could use
    size = default_block_size(kernel, start.paths) if block_size is None else checked_block_size(block_size)
    if keep_states:
        enough_memory(len(times.ticks) * start.paths * kernel.dim * start.itemsize)
    if stop is not None:
        refuse_weak(kernel, "a path that stops at its own time")
    known = start.check(kernel)
    _refuse_functions(observe, stop, kernel.expand(start.probe[:2]))
    jobs = [_Job(kernel, start.piece(a, b), times, observe, seed, index, a, b - a, stop, keep_states) for index, (a, b) in enumerate(start.cuts(size))]
    with tqdm(total=start.paths * times.last, unit="path-tick", unit_scale=True, leave=False, disable=None if progress is None else not progress) as bar:
        blocks = run_jobs(_run_job, jobs, executor, lambda job, _: bar.update(job.paths * times.last))
    return _collect(kernel, start, times, blocks, known, {"seed": seed, "paths": start.paths, "block_size": size, "kernel": describe(kernel)})


@dataclass(frozen=True)
class _Times:
    """The saves as ticks."""

    last: int
    ticks: tuple[int, ...]
    tick: float


@dataclass(frozen=True)
class _Job:
    """One block, with all it needs to run anywhere."""

    kernel: Kernel
    start: Any
    times: _Times
    observe: dict[str, Callable[[Tensor], Tensor]]
    seed: int
    block: int
    first: int
    paths: int
    stop: Callable[[Tensor], Tensor] | None
    keep_states: bool


@dataclass(frozen=True)
class _Block:
    """What one block returns: saves, moments (count, mean, sum of squared deviations) per observable and save, fates."""

    states: Tensor | None
    moments: dict[str, list[tuple[int, np.ndarray, np.ndarray]]]
    status: Tensor
    status_tick: Tensor
    tally: Tally


def _run_job(job: _Job) -> _Block:
    kernel = job.kernel
    theta, generator = begin(kernel, job.start, job.paths, seed=job.seed, purpose="simulate", block=job.block, first=job.first)
    saved: list[Tensor] = []
    moments: dict[str, list[tuple[int, np.ndarray, np.ndarray]]] = {name: [] for name in job.observe}

    def visit(k: int, full: Tensor) -> None:
        if job.keep_states:
            saved.append(full.clone())
        for name, function in job.observe.items():
            moments[name].append(_moments_of(name, function(full), full.shape[0]))

    stop = job.stop
    watch = None if stop is None else lambda before, after, live, k, generator: stop(after)
    with one_thread():
        _, status, status_tick, tally = run_block(kernel, theta, generator, visits=job.times.ticks, visit=visit, watch=watch, last=job.times.last)
    states = torch.stack(saved) if job.keep_states else None
    return _Block(states, moments, status, status_tick, tally)


def _moments_of(name: str, values: Tensor, paths: int) -> tuple[int, np.ndarray, np.ndarray]:
    if not isinstance(values, Tensor) or values.ndim not in (1, 2) or values.shape[0] != paths:
        got = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise InputError(f"observable {name!r} returned {got} for {paths} paths; wanted a tensor [paths] or [paths, k].")
    if values.is_complex():
        raise InputError(f"observable {name!r} returned {values.dtype}; wanted real numbers, for example .real or .abs() of them.")
    numbers = values.detach().to(torch.float64)
    mean = numbers.mean(0)
    return paths, mean.cpu().numpy(), ((numbers - mean) ** 2).sum(0).cpu().numpy()


def _named(observe: Any) -> dict[str, Callable[[Tensor], Tensor]]:
    if not isinstance(observe, Mapping):
        raise InputError(f"observe is of type {type(observe).__name__}; wanted functions of the points, by name: {{'loss': objective.loss}}.")
    return dict(observe)


def _refuse_functions(observe: Mapping[str, Callable[[Tensor], Tensor]], stop: Callable[[Tensor], Tensor] | None, points: Tensor) -> None:
    """Try the given functions on start points, so that what they return wrongly is said before the run and not at its end."""
    if not all(callable(function) for function in observe.values()):
        raise InputError(f"observe = {dict(observe)!r:.200}; wanted functions of the points, by name: {{'loss': objective.loss}}.")
    for name, function in observe.items():
        with untouched(points, f"observable {name!r}"):
            _moments_of(name, function(points), points.shape[0])
    if stop is not None:
        if not callable(stop):
            raise InputError(f"stop = {stop!r:.200}; wanted a function of the points, [P, dim] -> bool [P].")
        with untouched(points, "stop"):
            mask = stop(points)
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool or tuple(mask.shape) != (points.shape[0],):
            got = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
            raise InputError(f"stop returned {got} for {points.shape[0]} points; wanted torch.bool [paths].")


def _collect(kernel: Kernel, start: StartPoints, times: _Times, blocks: list[_Block], tally: Tally, recipe: dict[str, Any]) -> Trajectory:
    for block in blocks:
        tally.merge(block.tally)
    kept = [block.states for block in blocks if block.states is not None]
    states = torch.cat(kept, 1) if kept else start.probe.new_zeros(0, start.paths, kernel.dim)
    observed = {name: _estimate([block.moments[name] for block in blocks]) for name in blocks[0].moments}
    conventions: Conventions = replace(kernel.conventions(), dtype=str(start.probe.dtype).removeprefix("torch."), device=str(start.probe.device))
    return Trajectory(
        times=torch.tensor([k * times.tick for k in times.ticks], dtype=torch.float64),
        states=states,
        observed=observed,
        status=torch.cat([block.status for block in blocks]),
        status_tick=torch.cat([block.status_tick for block in blocks]),
        conventions=conventions,
        tally=tally,
        recipe=recipe,
    )


def _estimate(blocks: list[list[tuple[int, np.ndarray, np.ndarray]]]) -> Estimate:
    """Merge the blocks' moments pairwise (Chan, Golub, LeVeque), in block order."""
    means, errors, total = [], [], 0
    for saves in zip(*blocks, strict=True):
        total, mean, squares = saves[0]
        for count, other_mean, other_squares in saves[1:]:
            delta = other_mean - mean
            squares = squares + other_squares + delta**2 * (total * count / (total + count))
            mean = mean + delta * (count / (total + count))
            total += count
        means.append(mean)
        errors.append(np.sqrt(squares / max(total - 1, 1) / total) if total > 1 else np.full_like(mean, np.nan))
    return Estimate.normal(np.stack(means), np.stack(errors), total)


def _ticks_of(kernel: Kernel, horizon: float, save: Sequence[float] | None) -> _Times:
    last = ticks(kernel, positive(horizon, "horizon"), "horizon")
    marks = [last] if save is None else [ticks(kernel, float(time), "save") for time in np.atleast_1d(numbers(save, "save"))]
    if not marks or sorted(set(marks)) != marks:
        raise InputError(f"save = {save!r}; wanted increasing SDE times, at least one.")
    if marks[-1] > last:
        raise InputError(f"save holds {marks[-1] * kernel.tick:g}, beyond the horizon {horizon:g}.")
    return _Times(last, tuple(marks), kernel.tick)
