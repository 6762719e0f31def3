"""What is still to be handed out: fresh blocks in order, blocks that wait for another attempt, and suspects that must run alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: deaths of workers beside which a block was running, after which it runs alone
MARKS = 2


@dataclass(eq=False)
class Task:
    """A block to be computed: failed attempts so far, and how often a worker died while it and others ran."""

    key: str
    attempts: int = 0
    marks: int = 0

    @property
    def suspect(self) -> bool:
        """Whether it must run alone."""
        return self.marks >= MARKS


class Agenda:
    """Blocks to hand out; those given back come first."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._fresh, self._left = iter(keys), len(keys)
        self._again: deque[Task] = deque()
        self._alone: deque[Task] = deque()
        self._paused: list[tuple[float, Task]] = []

    def __len__(self) -> int:
        return self._left + len(self._again) + len(self._alone) + len(self._paused)

    @property
    def exhausted(self) -> bool:
        """Whether nothing can be handed out now or later without something coming back."""
        return not len(self)

    def give_back(self, tasks: Iterable[Task]) -> None:
        """Blocks that lost their worker through no fault of theirs: first in line, in their old order."""
        for task in reversed(list(dict.fromkeys(tasks))):
            (self._alone if task.suspect else self._again).appendleft(task)

    def pause(self, task: Task, until: float) -> None:
        """Another attempt, not before ``until``."""
        self._paused.append((until, task))

    def take(self, now: float, *, quiet: bool) -> Task | None:
        """The next block, or None. ``quiet`` says that nothing else runs: a suspect is handed out only then, and nothing else while one waits."""
        if self._paused:
            due = [task for until, task in self._paused if until <= now]
            self._paused = [(until, task) for until, task in self._paused if until > now]
            self.give_back(due)
        if self._alone:
            return self._alone.popleft() if quiet else None
        if self._again:
            return self._again.popleft()
        if self._left:
            self._left -= 1
            return Task(next(self._fresh))
        return None

    def soonest(self) -> float:
        """When the next pause ends; infinity where none waits."""
        return min((until for until, _ in self._paused), default=float("inf"))
