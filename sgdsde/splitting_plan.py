"""The pilot run of a splitting: how long the process takes to settle, where its core ends, and levels that one excursion in five passes.

Its choices decide how precise the answer is, not what it is: the estimate is unbiased for any core and levels that do not depend on the replicas' own random
numbers, and the pilot has a stream of its own. Work times variance goes like (1−p)/(p·ln²p), whose minimum is at p = .2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from sgdsde.splitting_cycles import Problem, Walkers, excursions
from sgdsde.splitting_pieces import Book, Pieces, resampled
from sgdsde.types import InputError, OracleRefusal

#: the share of excursions that should pass the next level
PASS = 0.2
MAX_LEVELS = 200
#: walkers of the pilot, and the fewest and most ticks after which they may have settled
WALKERS = 1024
_SHORTEST, MAX_SETTLING = 8, 2**17
#: two samples of WALKERS points differ by more than this with probability .05 (Kolmogorov–Smirnov)
_SAME = 1.36 * math.sqrt(2 / WALKERS)
#: burn-in, in units of the time at which the laws at half of it and at it look alike
_SAFETY = 4
#: the core holds this share of the settled scores, and beyond the first level there is this share
_CORE, _FIRST = 0.5, 0.2
#: an excursion may last so many burn-ins
PATIENCE = 10
#: a level is too far where fewer distinct points than these stand behind the pieces that passed it; good where they are this share
FEWEST, GOOD = 16, 0.15


class StepsTooLarge(OracleRefusal):
    """Levels cannot be placed between single moves."""


@dataclass(frozen=True)
class Plan:
    """What the replicas do: scores (core, λ₁ > λ₂ > …); moves before and while passages are counted; moves an excursion may last.

    ``fresh`` is the smallest share, over the levels, of distinct points among the pieces that passed.
    """

    levels: tuple[float, ...]
    burn_in: int
    window: int
    cap: int
    fresh: float


def settling_time(problem: Problem, generator: Generator, book: Book) -> int:
    """Ticks until the laws of the score and of the distance from the start, at half that time and at it, look alike.

    Raises:
        OracleRefusal: nothing moves, or the process does not settle.
    """
    group = Walkers(problem, torch.zeros(WALKERS, dtype=torch.long, device=problem.pool.device), generator, book)
    start = group.pieces.state.theta

    def seen() -> list[Tensor]:
        away = (group.pieces.state.theta - start).double().norm(dim=1)
        return [group.score.double().sort().values, away.sort().values]

    period = problem.clock.period // problem.clock.moves  # laws are compared at the same place in an epoch
    done, target, before = 0, math.ceil(_SHORTEST / period) * period, seen()
    while True:
        for _ in range((target - done) * problem.clock.moves):
            group.move()
        done, now = target, seen()
        if not bool((group.pieces.state.theta != group.pieces.state.theta[:1]).any()):
            raise OracleRefusal(f"All {WALKERS} paths stand at the same point after {done} ticks: there is no noise, so no path leaves by chance.")
        if all(_distance(a, b) <= _SAME for a, b in zip(before, now, strict=True)):
            return _SAFETY * done
        if done >= MAX_SETTLING:
            raise OracleRefusal(f"The law inside the region does not settle within {done} ticks; is it metastable? Give burn_in if you know it.")
        before, target = now, 2 * done


def make_plan(problem: Problem, *, levels: Sequence[float] | None, burn_in: int, effort: int, walkers: int, generator: Generator, book: Book) -> Plan:
    """Run the pilot; ``burn_in`` is in ticks.

    Raises:
        InputError: given levels between which the paths do not move.
        OracleRefusal: paths linger, or (:class:`StepsTooLarge`) levels cannot be placed between single moves.
    """
    burn, cap, period = burn_in * problem.clock.moves, PATIENCE * burn_in * problem.clock.moves, problem.clock.period
    group = Walkers(problem, torch.zeros(WALKERS, dtype=torch.long, device=problem.pool.device), generator, book)
    if levels is None:
        for _ in range(burn):
            group.move()
        scores = group.score.double()
        core, first = (float(torch.quantile(scores, share)) for share in (1 - _CORE, _FIRST))
        if not first < core:
            raise OracleRefusal(f"The score takes the value {core:g} on most of the settled paths, so no levels can be placed; give another score.")
        group.armed = group.score >= core
    else:
        core, first = levels[0], levels[1]
        group.passages(core=core, first=first, moves=burn, keep=False)
    found = group.passages(core=core, first=first, moves=burn)
    passed = 0 if found is None else found.size
    if found is None or passed < FEWEST:
        low, high = float(group.score.min()), float(group.score.max())
        raise InputError(
            f"{passed} paths came from the core (score ≥ {core:g}) past the first level ({first:g}) within {burn_in} ticks of {WALKERS} paths, whose scores "
            f"lie between {low:.4g} and {high:.4g}. Give levels that begin inside that range, or a longer burn_in."
        )
    window = math.ceil(effort * WALKERS * burn / (found.size * walkers * period)) * period
    if levels is not None:
        return Plan(tuple(levels), burn, window, cap, 1.0)
    further, fresh = _further(problem, found, core=core, effort=max(effort, 512), cap=cap, generator=generator, book=book)
    return Plan((core, first, *further), burn, window, cap, fresh)


def _distance(a: Tensor, b: Tensor) -> float:
    """The Kolmogorov–Smirnov distance of two sorted samples of equal size."""
    points = torch.cat([a, b])
    gap = torch.searchsorted(a, points, right=True) - torch.searchsorted(b, points, right=True)
    return float(gap.abs().max()) / a.shape[0]


def _further(problem: Problem, found: Pieces, *, core: float, effort: int, cap: int, generator: Generator, book: Book) -> tuple[list[float], float]:
    """Levels beyond the first, each the score below which a share PASS of the excursions from the level before gets; the smallest share of distinct points."""
    levels: list[float] = []
    pieces, worst = resampled(found, effort, 1, generator), 1.0
    while True:
        lowest = pieces.state.theta.new_full((pieces.size,), torch.inf)
        excursions(problem, pieces.named(), level=None, core=core, cap=cap, generator=generator, book=book, lowest=lowest)
        level = float(lowest.double().sort().values[math.ceil(PASS * pieces.size) - 1])
        if level == -math.inf:
            return levels, worst
        passed = excursions(problem, pieces, level=level, core=core, cap=cap, generator=generator, book=book)
        distinct = int(passed.point.unique().shape[0])
        if distinct < FEWEST or len(levels) >= MAX_LEVELS:
            raise StepsTooLarge(
                f"Near the score {level:.4g} levels are not separated by the size of a step: {distinct} distinct points stand behind {passed.size} pieces "
                "that passed. Exits come in single jumps of a noise that cannot be divided, which splitting does not make likelier; use an oracle."
            )
        worst = min(worst, distinct / passed.size)
        levels.append(level)
        pieces = resampled(passed, effort, 1, generator)
