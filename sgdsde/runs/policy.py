"""How much a run puts up with, what it tells while it goes on, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from sgdsde.runs.product import Garbled, NotFinite, Product
from sgdsde.types import SgdsdeError


@dataclass(frozen=True)
class Policy:
    """Attempts and patience.

    Attributes:
        attempts: how often a block may fail before it has failed for good.
        pause: seconds before the second attempt, doubled before each further one.
        deadline: seconds a block may run, doubled at each attempt; None: 20 times the longest block so far, at least ``patience``.
        patience: see ``deadline``; before the first block has ended there is no deadline.
        failures: blocks failed for good after which the rest is given up.
        renewals: how often workers are started anew without a block having ended in between.
        straggler: how many times the median a block must have run before an idle worker starts it a second time; None: never.
    """

    attempts: int = 3
    pause: float = 0.5
    deadline: float | None = None
    patience: float = 600.0
    failures: int = 10
    renewals: int = 6
    straggler: float | None = 2.0

    def deadline_of(self, attempts: int, longest: float | None) -> float:
        """Seconds that a block may run at its attempt number ``attempts`` + 1, ``longest`` being the longest block so far."""
        base = self.deadline
        if base is None:
            base = float("inf") if longest is None else max(self.patience, 20 * longest)
        return base * 2**attempts


class Watcher:
    """Told what happens; this one keeps silent."""

    def block(self, key: str, product: Product) -> None:
        """A block ended well and is stored."""

    def say(self, text: str) -> None:
        """Something a person should know, in a sentence."""

    def beat(self, running: int, waiting: int) -> None:
        """Once a round, with the blocks in the hands of workers and those not handed out."""


@dataclass
class Outcome:
    """How a drive ended.

    Attributes:
        stored: blocks acknowledged by this drive.
        failed: blocks that failed for good, with the reason.
        stopped: it was asked to stop before everything was handed out.
        changed: blocks that came out differently from an earlier time.
        unsure: workers may still be busy with blocks that nobody waits for.
    """

    stored: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    changed: list[str] = field(default_factory=list)
    unsure: bool = False


class WorkerDied(SgdsdeError):
    """The process that ran a block is gone."""


class Hanging(SgdsdeError):
    """A block ran past its deadline."""


def may_pass(error: BaseException) -> bool:
    """Whether another attempt may help: not where the input itself is wrong."""
    return not isinstance(error, SgdsdeError) or isinstance(error, (WorkerDied, Hanging, NotFinite, Garbled))
