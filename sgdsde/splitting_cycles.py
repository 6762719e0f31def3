"""Cycles of a path that is put back to its start each time it leaves: out of a core, past a first level, then back into the core or out of the region.

A score falls from the core {score ≥ core} to the border. Every exit belongs to exactly one passage of the first level by a path that came from the core (or
from a fresh start), however far its step jumps. So, with q(x) the chance to leave before coming back from where the passage ended,

    exits a move, in the long run = E Σ_{passages in a move} q(x).

:class:`Walkers` find passages; :func:`excursions` continues copies of them until they pass a deeper level, leave, or come back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from sgdsde.kernel import Kernel
from sgdsde.monitor import Monitor
from sgdsde.objective import Points
from sgdsde.region import Region
from sgdsde.splitting_moves import Clock, Score
from sgdsde.splitting_pieces import Book, Pieces, exchanged, joined
from sgdsde.types import InputError, OracleRefusal, Status


class Moved(NamedTuple):
    """Pieces after a move, their scores (−∞ outside), and which of them broke."""

    pieces: Pieces
    score: Float[Tensor, " P"]
    broken: Bool[Tensor, " P"]


@dataclass(frozen=True)
class Problem:
    """What moves, what it leaves, who watches, how progress is measured, and the pool of start points ``[S, dim]``."""

    kernel: Kernel
    clock: Clock
    region: Region
    monitor: Monitor
    score: Score
    pool: Points

    def scores(self, pieces: Pieces) -> Float[Tensor, " P"]:
        """How near pieces are to leaving: −∞ for those that have.

        Raises:
            InputError: it has the wrong shape, or is NaN at a finite point.
        """
        theta = pieces.state.theta
        value = self.clock.outlook(self.score, pieces.state, pieces.place)
        if not isinstance(value, Tensor) or value.shape != theta.shape[:1] or not value.is_floating_point():
            got = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"The score returned {got} for {theta.shape[0]} points; wanted floating numbers [{theta.shape[0]}], falling towards the border.")
        if bool(torch.isnan(value).any()) and bool((torch.isnan(value) & torch.isfinite(theta).all(1)).any()):
            raise InputError("The score is NaN at a finite point; it must order all points that paths can reach.")
        return torch.where(pieces.left, -torch.inf, value.detach())

    def fresh(self, owner: Int[Tensor, " P"], generator: Generator) -> Pieces:
        """Paths at start points drawn from the pool."""
        pick = torch.randint(self.pool.shape[0], owner.shape, generator=generator, device=self.pool.device)
        zero = torch.zeros_like(owner)
        return Pieces(self.clock.begin(self.pool[pick], generator), zero, owner, zero.bool(), zero)

    def move(self, pieces: Pieces, generator: Generator, book: Book) -> Moved:
        """One move of every piece."""
        clock, tally = self.clock, book.tally
        tally.flagged = None
        state = clock.move(pieces.state, pieces.place, generator)
        book.moves += pieces.size
        place = (pieces.place + 1) % clock.period if clock.period > 1 else pieces.place
        broken = ~torch.isfinite(state.theta).all(1)
        left = self.monitor.look(self.kernel, self.region, pieces.state.theta, state.theta, generator).left & ~broken
        if clock.moves > 1:
            left &= place % clock.moves == 0
        if bool(broken.any()):
            known = tally.flagged is not None and tally.flagged.shape == broken.shape
            flagged = tally.flagged if known and tally.flagged is not None else torch.zeros_like(broken)
            book.add(Status.OUT_OF_DOMAIN.name.lower(), int((broken & flagged).sum()))
            book.add(Status.DIVERGED.name.lower(), int((broken & ~flagged).sum()))
        moved = Pieces(state, place, pieces.owner, left, pieces.point)
        return Moved(moved, self.scores(moved), broken)


class Walkers:
    """Paths that are put back to the start, within the move, whenever they leave or break.

    ``armed`` are those whose next passage of the first level counts: since their last one they have been in the core, or put back.
    """

    def __init__(self, problem: Problem, owner: Int[Tensor, " P"], generator: Generator, book: Book) -> None:
        self.problem, self.generator, self.book = problem, generator, book
        self.pieces = problem.fresh(owner, generator)
        self.score = problem.scores(self.pieces)
        self.armed = torch.ones_like(owner, dtype=torch.bool)

    def move(self) -> Moved:
        """One move; what is returned is as it was before any path was put back."""
        moved = self.problem.move(self.pieces, self.generator, self.book)
        self.pieces, self.score = moved.pieces, moved.score
        gone = moved.pieces.left | moved.broken
        if bool(gone.any()):
            rows = torch.nonzero(gone)[:, 0]
            fresh = self.problem.fresh(self.pieces.owner[rows], self.generator)
            self.score = self.score.index_put((rows,), self.problem.scores(fresh))
            state = exchanged(self.pieces.state, rows, fresh.state)
            self.pieces = self.pieces._replace(state=state, place=self.pieces.place.masked_fill(gone, 0), left=torch.zeros_like(gone))
        return moved

    def passages(self, *, core: float, first: float, moves: int, keep: bool = True) -> Pieces | None:
        """Where armed paths passed the first level within ``moves`` moves."""
        found: list[Pieces] = []
        for _ in range(moves):
            pieces, score, broken = self.move()
            passed = self.armed & (score <= first) & ~broken
            if keep and bool(passed.any()):
                found.append(pieces.take(torch.nonzero(passed)[:, 0]))
            self.armed = (self.armed & ~passed) | (score >= core) | pieces.left | broken
        return joined(found).named() if found else None


def excursions(
    problem: Problem, pieces: Pieces, *, level: float | None, core: float, cap: int, generator: Generator, book: Book, lowest: Tensor | None = None
) -> Pieces:
    """Continue pieces until they pass ``level`` (None: until they leave) or come back into the core; returns those that passed.

    A piece that stands beyond the level already has passed it. ``lowest``, where given, collects the lowest score of each piece, at its ``point``.

    Raises:
        OracleRefusal: a piece does neither within ``cap`` moves.
    """
    score = problem.scores(pieces)
    passed = pieces.left if level is None else score <= level
    if lowest is not None:
        lowest[pieces.point] = score
    done, live = [pieces.take(passed)], pieces.take(~passed)
    names, k = int(pieces.point.max()) + 1 if pieces.size else 0, 0
    while live.size:
        if k == cap:
            raise OracleRefusal(
                f"{live.size} of {pieces.size} excursions neither left nor came back into the core within {cap} moves: paths linger somewhere else in the "
                "region, or the core is not where they come back to. Take a region without such a place, another score or levels, or a longer burn_in."
            )
        k += 1
        live, score, broken = problem.move(live, generator, book)
        if lowest is not None:
            lowest[live.point] = torch.minimum(lowest[live.point], torch.where(broken, torch.inf, score))
        passed = (live.left if level is None else score <= level) & ~broken
        home = (score >= core) & ~broken
        over = passed | home | broken
        if bool(over.any()):
            fresh = live.take(torch.nonzero(passed)[:, 0])
            done.append(fresh._replace(point=torch.arange(names, names + fresh.size, device=fresh.point.device)))
            names += fresh.size
            book.add("returned", int(home.sum()))
            live = live.take(torch.nonzero(~over)[:, 0])
    book.longest = max(book.longest, k)
    return joined(done)
