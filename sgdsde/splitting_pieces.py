"""Paths in flight, for splitting: pieces of paths that are copied, continued and counted, with the book that is kept on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Generator, Tensor

from sgdsde.kernel import State
from sgdsde.types import Tally


class Pieces(NamedTuple):
    """``place``: moves done in the clock's period; ``owner``: the replica; ``left``: gone from the region; ``point``: a name of the point at which the
    piece passed its last level, shared by its copies.
    """

    state: State
    place: Int[Tensor, " P"]
    owner: Int[Tensor, " P"]
    left: Bool[Tensor, " P"]
    point: Int[Tensor, " P"]

    @property
    def size(self) -> int:
        """How many."""
        return int(self.owner.shape[0])

    def take(self, index: Tensor) -> Pieces:
        """Some of them, by index or mask."""
        return Pieces(self.state.take(index), self.place[index], self.owner[index], self.left[index], self.point[index])

    def named(self) -> Pieces:
        """The same, each with a name of its own."""
        return self._replace(point=torch.arange(self.size, device=self.owner.device))


def joined(parts: list[Pieces]) -> Pieces:
    """All pieces in one."""
    memory = tuple(torch.cat(pieces) for pieces in zip(*(part.state.memory for part in parts), strict=True))
    state = State(torch.cat([part.state.theta for part in parts]), memory)
    return Pieces(
        state,
        torch.cat([part.place for part in parts]),
        torch.cat([part.owner for part in parts]),
        torch.cat([part.left for part in parts]),
        torch.cat([part.point for part in parts]),
    )


def exchanged(state: State, rows: Int[Tensor, " R"], fresh: State) -> State:
    """``state`` with some rows exchanged."""
    theta, memory = state.theta.clone(), tuple(part.clone() for part in state.memory)
    theta[rows] = fresh.theta
    for whole, part in zip(memory, fresh.memory, strict=True):
        whole[rows] = part
    return State(theta, memory)


def resampled(pieces: Pieces, count: int, owners: int, generator: Generator) -> Pieces:
    """``count`` copies for each owner that has any pieces: each of its pieces ⌊count/own⌋ times, and a random choice of them once more."""
    chosen = [pieces.owner.new_zeros(0)]
    for owner in range(owners):
        mine = torch.nonzero(pieces.owner == owner)[:, 0]
        if mine.shape[0]:
            shuffled = mine[torch.randperm(mine.shape[0], generator=generator, device=mine.device)]
            chosen.append(shuffled[torch.arange(count, device=mine.device) % mine.shape[0]])
    return pieces.take(torch.cat(chosen))


@dataclass
class Book:
    """Moves of single paths, the longest excursion in moves, how pieces ended, and the models' counters."""

    tally: Tally
    moves: int = 0
    longest: int = 0
    fates: dict[str, int] = field(default_factory=dict)

    def add(self, fate: str, count: int) -> None:
        """``count`` more pieces with this fate."""
        if count:
            self.fates[fate] = self.fates.get(fate, 0) + count

    def merge(self, other: Book) -> None:
        """Add another's numbers."""
        self.tally.merge(other.tally)
        self.moves, self.longest = self.moves + other.moves, max(self.longest, other.longest)
        for fate, count in other.fates.items():
            self.add(fate, count)
