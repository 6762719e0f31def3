"""When a path is done: at a share of right answers on the training data, or at a training loss, both in evaluation mode and over all training samples.

Published protocols stop at 99 % training accuracy. The rule is asked every epoch (at least ten steps apart), so a path may run past it by that much.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.training.trainable import Evaluation, Trainable
from sgdsde.types import InputError, positive, real

#: steps between two questions, at least
FEWEST_BETWEEN = 10


@dataclass(frozen=True)
class StopRule(ABC):
    """Asked every ``every`` steps; None: every epoch, at least ten steps."""

    every: int | None = None

    def __post_init__(self) -> None:
        if self.every is not None and not is_whole(self.every, 1):
            raise InputError(f"every = {self.every!r:.200}; wanted a number of steps ≥ 1.")

    @abstractmethod
    def met(self, found: Evaluation) -> Tensor:
        """Which paths are done, bool ``[P]``."""

    def between(self, epoch: int) -> int:
        """Steps between two questions."""
        return max(epoch, FEWEST_BETWEEN) if self.every is None else int(self.every)

    @abstractmethod
    def check(self, trainable: Trainable, theta: Tensor) -> None:
        """Refuse a rule that could never be met."""


@dataclass(frozen=True)
class TrainAccuracy(StopRule):
    """The share of right answers on the training data reaches ``share``."""

    share: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < real(self.share, "share") <= 1:
            raise InputError(f"share = {self.share}; wanted a share of right answers in (0, 1].")

    def met(self, found: Evaluation) -> Tensor:
        return found.accuracy >= self.share

    def check(self, trainable: Trainable, theta: Tensor) -> None:
        if bool(torch.isnan(trainable.evaluate(theta[:1]).accuracy).any()):
            raise InputError("This objective gives no classes, so it has no accuracy; stop at a loss: LossBelow(…).")


@dataclass(frozen=True)
class LossBelow(StopRule):
    """The training loss falls to ``level``."""

    level: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.level, "level")

    def met(self, found: Evaluation) -> Tensor:
        return found.loss <= self.level

    def check(self, trainable: Trainable, theta: Tensor) -> None:
        return None
