"""Splitting done wrongly is seen: a clock that is late, passages that are lost or dropped, cycles taken for steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from splitting_cases import agrees, quadratic, run
from torch import Generator

from sgdsde import splitting, splitting_cycles
from sgdsde.kernel import State
from sgdsde.splitting_cycles import Moved, Problem, Walkers
from sgdsde.splitting_pieces import Pieces, resampled
from sgdsde.stats import CheckFailed


class Late(Walkers):
    """A mutant: a path is put back one move after it left (an exit costs Eτ + 1)."""

    def move(self) -> Moved:
        moved = super().move()
        self.gone = getattr(self, "gone", torch.zeros_like(moved.pieces.left)) & ~moved.pieces.left
        home = self.problem.fresh(self.pieces.owner, self.generator)
        theta = torch.where(self.gone[:, None], home.state.theta, self.pieces.state.theta)
        self.pieces = self.pieces._replace(state=State(theta))
        self.gone = moved.pieces.left
        return moved


class Unarmed(Walkers):
    """A mutant: every move that ends beyond the first level is taken for a cycle."""

    def passages(self, *, core: float, first: float, moves: int, keep: bool = True) -> Pieces | None:
        return super().passages(core=-math.inf, first=first, moves=moves, keep=keep)


def stopped_at_the_level(problem: Problem, pieces: Pieces, **options: Any) -> Pieces:
    """A mutant: pieces that jumped past the next level already are dropped."""
    level = -math.inf if options["level"] is None else options["level"]
    short = pieces.take(torch.nonzero((problem.scores(pieces) > level) | pieces.left)[:, 0])
    return splitting_cycles.excursions(problem, short, **options)


def lost_copies(pieces: Pieces, count: int, owners: int, generator: Generator) -> Pieces:
    """A mutant: only the nearer half of the passages is copied."""
    some = [torch.nonzero(pieces.owner == owner)[:, 0] for owner in range(owners)]
    kept = torch.cat([mine[pieces.state.theta[mine, 0].abs().argsort()][: max(1, len(mine) // 2)] for mine in some])
    return resampled(pieces.take(kept), count, owners, generator)


def test_mutants_of_the_clock_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The late clock makes 6.6 steps of 5.6, nine standard errors at 2,048 replicas."""
    case = quadratic(0.3, 1.5)
    for mutant in (Late, Unarmed):
        with monkeypatch.context() as patch:
            patch.setattr(splitting, "Walkers", mutant)
            result = run(case, effort=64, replicas=2048)
        with pytest.raises(CheckFailed):
            agrees(result, case[3])


def test_mutants_of_the_weights_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    case = quadratic(0.1, 8.0)
    levels = np.linspace(6.4, 0.2, 25)  # a quarter of a step apart
    agrees(run(case, levels=levels, effort=256), case[3])
    for name, mutant in (("excursions", stopped_at_the_level), ("resampled", lost_copies)):
        with monkeypatch.context() as patch:
            patch.setattr(splitting, name, mutant)
            patch.setattr(splitting, "_TRUSTED", 0)  # the dropped passages leave so few points that a run would be warned of
            result = run(case, levels=levels, effort=256)
        with pytest.raises(CheckFailed):
            agrees(result, case[3])


def test_forgetting_the_length_of_a_cycle_is_seen() -> None:
    """1/Πp counts cycles, not steps."""
    case = quadratic(0.1, 8.0)
    result = run(case, effort=256)
    cycles = 1 / math.prod(p.value for p in result.probabilities)
    assert result.flux.value * result.tick / cycles == pytest.approx(1 / result.steps.value, rel=1e-9)
    with pytest.raises(CheckFailed):
        agrees(result, cycles)
