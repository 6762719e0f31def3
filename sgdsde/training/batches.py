"""Which samples a step sees, one stream a path: a path's batches do not depend on how many others run beside it, or on when those stop.

``epoch`` (the default, the usual data loader): a fresh permutation each epoch, cut into ⌊n/B⌋ batches, the rest left out of that epoch. ``with replacement``
and ``without replacement``: independent batches. B = n without replacement or by epochs is full-batch gradient descent and draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from sgdsde.given import is_name, is_whole
from sgdsde.types import InputError, suggest

#: the name that a result carries for each way of sampling
SAMPLING = {"epoch": "epoch shuffling", "with replacement": "minibatch with replacement", "without replacement": "minibatch without replacement"}


class Batches:
    """The batches of all paths, step by step.

    Raises:
        InputError: unknown sampling, or a batch size outside ``smallest``…n.
    """

    def __init__(self, n: int, batch_size: int, sampling: str, generators: Sequence[Generator], *, smallest: int = 1) -> None:
        if not is_name(sampling, SAMPLING):
            raise InputError(f"sampling = {sampling!r} is unknown.{suggest(sampling, SAMPLING)}")
        if not is_whole(batch_size, smallest, n):
            why = " (BatchNorm needs two samples)" if smallest > 1 else ""
            raise InputError(f"batch_size = {batch_size!r}; wanted an integer in {smallest}…{n}, the number of samples{why}.")
        self.n, self.size, self.sampling = n, int(batch_size), sampling
        self.generators = list(generators)
        self.full = self.size == n and sampling != "with replacement"
        self.epoch = n // self.size
        self._order = torch.empty(len(self.generators), 0, dtype=torch.long)

    def at(self, step: int) -> Tensor | None:
        """The indices ``[P, B]`` of this step; None for all samples. Steps are asked for in turn."""
        if self.full:
            return None
        if self.sampling == "with replacement":
            return torch.stack([torch.randint(self.n, (self.size,), generator=g, device=g.device) for g in self.generators])
        if self.sampling == "without replacement":
            return self._permutations()[:, : self.size]
        position = step % self.epoch
        if position == 0:
            self._order = self._permutations()
        return self._order[:, position * self.size : (position + 1) * self.size]

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the paths only (indices among those that run)."""
        self.generators = [self.generators[int(row)] for row in rows]
        if self._order.shape[1]:
            self._order = self._order[rows]

    def _permutations(self) -> Tensor:
        return torch.stack([torch.randperm(self.n, generator=g, device=g.device) for g in self.generators])
