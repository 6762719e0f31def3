"""One block of an exit problem: paths watched by a monitor from tick to tick, in one go or in legs, on any worker.

A leg takes a block from where it paused to a later tick; what it carries is plain tensors and the state of the block's own stream, so that the numbers do not
depend on where the legs are cut, nor on who runs them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from sgdsde.ensemble import begin
from sgdsde.kernel import Kernel
from sgdsde.loop import Paused, one_thread, run_block
from sgdsde.monitor import Monitor
from sgdsde.region import Region
from sgdsde.rng import stream
from sgdsde.types import InputError, Status, Tally


@dataclass
class Seen:
    """What the monitor knows better than "at the end of the move", a row per path of the block."""

    when: Tensor
    side: Tensor
    where: Tensor | None = None


@dataclass
class Leg:
    """Where a block stands: its start, its paths, its stream, what was seen, what the models reported."""

    begun: Tensor
    paused: Paused
    numbers: Tensor
    seen: Seen
    tally: Tally

    @property
    def exits(self) -> int:
        """How many paths have left."""
        return int((self.paused.status == int(Status.EXITED)).sum())


@dataclass(frozen=True)
class Job:
    """One block up to tick ``last`` of the clock, with all it needs to run anywhere; ``leg`` is None at the start."""

    clock: Kernel
    start: Any
    region: Region
    monitor: Monitor
    per_tick: int
    tick: float
    seed: int
    block: int
    first: int
    paths: int
    last: int
    leg: Leg | None = None

    def onward(self, leg: Leg, last: int) -> Job:
        """The next leg."""
        return replace(self, leg=leg, last=last)


@dataclass(frozen=True)
class Block:
    """What one block returns, a row per path."""

    times: Tensor
    steps: Tensor
    states: Tensor
    directions: Tensor
    sides: Tensor
    status: Tensor
    tally: Tally


def run_leg(job: Job) -> Leg:
    """Watch the block up to the job's last tick, or until every path has finished.

    Raises:
        InputError: a sampler drew a start outside the region.
    """
    with one_thread(), torch.no_grad():
        leg, generator = _begin(job) if job.leg is None else _again(job)

        def watch(before: Tensor, after: Tensor, live: Tensor, k: int, numbers: Generator) -> Tensor:
            sight = job.monitor.look(job.clock, job.region, before, after, numbers)
            gone, seen = live[sight.left], leg.seen
            if sight.side is not None:
                seen.side[gone] = sight.side
            if sight.when is not None:
                seen.when[gone] = sight.when.to(torch.float64)
            if sight.where is not None:
                seen.where = torch.full_like(leg.begun, torch.nan) if seen.where is None else seen.where
                seen.where[gone] = sight.where
            return sight.left

        _, _, _, tally = run_block(job.clock, leg.begun, generator, visits=(), visit=lambda k, full: None, watch=watch, last=job.last, paused=leg.paused)
    leg.tally.merge(tally)
    leg.numbers = generator.get_state()
    return leg


def _begin(job: Job) -> tuple[Leg, Generator]:
    theta, generator = begin(job.clock, job.start, job.paths, seed=job.seed, purpose="exit_times", block=job.block, first=job.first)
    outside = ~job.region.inside(theta)
    if bool(outside.any()):
        raise InputError(f"The sampler drew {int(outside.sum())} of {job.paths} start points outside the region; it must draw inside.")
    seen = Seen(
        when=torch.ones(job.paths, dtype=torch.float64, device=theta.device),
        side=torch.zeros(job.paths, dtype=torch.long, device=theta.device),
    )
    return Leg(theta, Paused.at_start(job.clock, theta, generator), generator.get_state(), seen, Tally()), generator


def _again(job: Job) -> tuple[Leg, Generator]:
    assert job.leg is not None
    generator = stream(job.seed, "exit_times", job.block, job.leg.begun.device)
    generator.set_state(job.leg.numbers)
    job.leg.paused.wake(job.clock)
    return job.leg, generator


def block_of(job: Job, leg: Leg) -> Block:
    """The rows of a block as it stands: what has not left is censored where its watch ended."""
    paused, seen = leg.paused, leg.seen
    states, moves = paused.full, paused.status_tick
    status = torch.where(paused.status == int(Status.OK), int(Status.CENSORED), paused.status).to(torch.int8)
    exited = status == int(Status.EXITED)
    if seen.where is not None:
        states = torch.where((exited & torch.isfinite(seen.where).all(1))[:, None], seen.where, states)
    sides = torch.where(exited, torch.where(seen.side != 0, seen.side, job.region.side(states)), 0)
    arrow = torch.where(exited[:, None], states - leg.begun, torch.nan)
    directions = arrow / arrow.norm(dim=1, keepdim=True)
    fraction = torch.where(exited, seen.when, 1.0)
    times = (moves.to(torch.float64) - 1 + fraction) * (job.tick / job.per_tick)
    steps = (moves + job.per_tick - 1) // job.per_tick
    return Block(times, steps, states, directions, sides, status, leg.tally)


def still(theta: Tensor, paths: int, *, steps: int, tick: float) -> Block:
    """All paths where they started, censored after so many steps: nothing moves them."""
    theta = theta.expand(paths, -1).clone()
    ones = torch.ones(paths, dtype=torch.long, device=theta.device)
    times = torch.full((paths,), steps * tick, dtype=torch.float64, device=theta.device)
    return Block(times, ones * steps, theta, torch.full_like(theta, torch.nan), ones * 0, (ones * int(Status.CENSORED)).to(torch.int8), Tally())
