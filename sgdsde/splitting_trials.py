"""The two kinds of runs that splitting is made of: paths at home that pass the first level, and trials from one level to the next or back home."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from sgdsde.kernel import State
from sgdsde.region import Region
from sgdsde.splitting_clock import Clock
from sgdsde.types import DomainError

#: pieces of ticks after which a trial that neither comes home nor gets on shows that "home" is none
_PATIENCE = 10_000_000


@dataclass(frozen=True)
class Walkers:
    """What every run shares."""

    clock: Clock
    region: Region
    score: Callable[[Tensor], Tensor]
    start: Tensor

    def move(self, state: State, generator: Generator) -> tuple[State, Tensor, Tensor]:
        """One piece of a tick: the state, its scores, and who stands outside at a whole tick.

        Raises:
            DomainError: a path became non-finite.
        """
        state = self.clock.step(state, generator)
        score = self.score(state.theta)
        if not bool(torch.isfinite(score.sum())) and not bool(torch.isfinite(state.theta).all()):
            raise DomainError("A path became non-finite inside the region: it diverged, or its model does not exist there.")
        return state, score, self.clock.whole(state) & ~self.region.inside(state.theta)

    def begin(self, count: int, generator: Generator) -> State:
        """``count`` paths at the start."""
        return self.clock.begin(self.start.expand(count, -1).clone(), generator)


class Schedule(Protocol):
    """The score below which a path is home, the levels, and the ticks of burn-in and of watching."""

    @property
    def home(self) -> float: ...
    @property
    def levels(self) -> tuple[float, ...]: ...
    @property
    def burn_in(self) -> int: ...
    @property
    def watch(self) -> int: ...


class AtHome(NamedTuple):
    """First-level crossings a tick and path, the states at the crossings, and which of those were outside already."""

    flux: float
    crossings: State
    out: Tensor
    cost: float


class Trials(NamedTuple):
    """Which trials passed the target, the states where each ended, which of them are outside, and the highest score of each."""

    passed: Tensor
    states: State
    out: Tensor
    highest: Tensor
    cost: float


def run_home(coarse: Walkers, walkers: Walkers, paths: int, schedule: Schedule, generator: Generator) -> AtHome:
    """Paths in the stationary state of "put back to the start on leaving", watched for passages from home over the first level.

    They settle on the ``coarse`` clock, which has the same law at whole ticks, and the last fifth of that time on the fine one.
    """
    state = coarse.begin(paths, generator)
    home = torch.ones(paths, dtype=torch.bool, device=coarse.start.device)  # has been home since its last passage
    caught: list[State] = []
    caught_out: list[Tensor] = []
    last_part = schedule.burn_in // 5
    for moving, ticks, watching in ((coarse, schedule.burn_in - last_part, False), (walkers, last_part, False), (walkers, schedule.watch, True)):
        for _ in range(ticks * moving.clock.pieces):
            state, score, out = moving.move(state, generator)
            crossed = home & ((score > schedule.levels[0]) | out)
            if watching and bool(crossed.any()):
                rows = torch.nonzero(crossed)[:, 0]
                caught.append(state.take(rows))
                caught_out.append(out[rows])
            home = (home & ~crossed) | (score <= schedule.home)
            if bool(out.any()):
                state, home = put_back(moving, state, out, generator), home | out
    if not caught:
        empty = torch.zeros(0, dtype=torch.long, device=walkers.start.device)
        return AtHome(0.0, state.take(empty), home[empty], paths * (schedule.burn_in + schedule.watch))
    joined = State(torch.cat([s.theta for s in caught]), tuple(torch.cat(parts) for parts in zip(*(s.memory for s in caught), strict=True)))
    return AtHome(joined.theta.shape[0] / (paths * schedule.watch), joined, torch.cat(caught_out), paths * (schedule.burn_in + schedule.watch))


def run_trials(walkers: Walkers, state: State, out: Tensor, target: float, home: float, generator: Generator) -> Trials:
    """Run each path until its score exceeds ``target`` or it is outside (passed), or it is home again. Paths that start outside have passed.

    Raises:
        DomainError: a path became non-finite, or trials never end.
    """
    count = out.shape[0]
    final = State(state.theta.clone(), tuple(part.clone() for part in state.memory))
    final_out = out.clone()
    highest = walkers.score(state.theta).clone()
    passed = out | (highest > target)
    live = torch.nonzero(~passed)[:, 0]
    state, k, cost = state.take(live), 0, 0
    while live.numel():
        cost += live.numel()
        state, score, gone = walkers.move(state, generator)
        k += 1
        highest[live] = torch.maximum(highest[live], score)
        up = gone | (score > target)
        done = up | (score <= home)
        if bool(done.any()):
            rows = live[done]
            final.theta[rows] = state.theta[done]
            for kept, part in zip(final.memory, state.memory, strict=True):
                kept[rows] = part[done]
            final_out[rows], passed[rows] = gone[done], up[done]
            keep = torch.nonzero(~done)[:, 0]
            state, live = state.take(keep), live[keep]
        if k > _PATIENCE:
            raise DomainError(
                f"{live.numel()} of {count} trials neither came home nor got on in {k} pieces of ticks; the score does not separate home from the way out."
            )
    return Trials(passed, final, final_out, highest, cost / walkers.clock.pieces)


def put_back(walkers: Walkers, state: State, out: Tensor, generator: Generator) -> State:
    """Replace the paths that left by fresh ones at the start; all stand at a whole tick then."""
    fresh = walkers.begin(int(out.sum()), generator)
    theta, memory = state.theta.clone(), tuple(part.clone() for part in state.memory)
    theta[out] = fresh.theta
    for part, new in zip(memory, fresh.memory, strict=True):
        part[out] = new
    return State(theta, memory)
