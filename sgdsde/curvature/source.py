"""Where an operator's samples come from: an objective's own data in pieces, or batches that a loader brings and that need not fit in memory together.

A mean over samples is a sum over pieces, so products never need all data at once. Whatever the source, it must bring the same samples with the same losses
each time it is gone through; that is tried at the start, with all of it, because a Hessian of data that change is the Hessian of nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.objective import Objective
from sgdsde.objectives.network import Network
from sgdsde.objectives.network_checks import refuse_modules
from sgdsde.types import InputError


def mode_of(objective: Objective) -> str:
    """The modes of an objective's layers, in words.

    Raises:
        InputError: a network whose module has been switched to training mode since it was made.
    """
    if isinstance(objective, Network):
        refuse_modules(objective.module)
    return objective.mode


class Piece(ABC):
    """Some samples."""

    count: int

    @abstractmethod
    def sample_loss(self, point: Float[Tensor, "1 dim"]) -> Float[Tensor, "1 count"]:
        """Their losses; differentiable."""

    @abstractmethod
    def outputs(self, point: Float[Tensor, "1 dim"]) -> Float[Tensor, "1 count ..."]:
        """The network's answers; differentiable."""

    @abstractmethod
    def loss_of(self, outputs: Float[Tensor, "count ..."]) -> Float[Tensor, " count"]:
        """The losses of answers."""


class OwnPiece(Piece):
    """Samples ``batch [1, count]`` of an objective, or all of them (None)."""

    def __init__(self, objective: Objective, batch: Tensor | None) -> None:
        self.objective, self.batch = objective, batch
        self.count = objective.n if batch is None else batch.shape[1]

    def sample_loss(self, point: Tensor) -> Tensor:
        return self.objective.sample_loss(point, self.batch)

    def outputs(self, point: Tensor) -> Tensor:
        network = self._network()
        return network.outputs(point, None if self.batch is None else network.inputs.rows(point, self.batch[0]))

    def loss_of(self, outputs: Tensor) -> Tensor:
        network = self._network()
        return network.loss_function(outputs, network.targets.rows(outputs, None if self.batch is None else self.batch[0]))

    def _network(self) -> Network:
        assert isinstance(self.objective, Network)  # checked where the operator is made
        return self.objective


class LoadedPiece(Piece):
    """A batch (inputs, targets) on which a network is evaluated."""

    def __init__(self, network: Network, x: Tensor, y: Tensor, point: Tensor) -> None:
        self.network, self.count = network, len(x)
        self.x, self.y = (part.to(point) if part.is_floating_point() else part.to(point.device) for part in (x, y))

    def sample_loss(self, point: Tensor) -> Tensor:
        return self.loss_of(self.outputs(point)[0])[None]

    def outputs(self, point: Tensor) -> Tensor:
        return self.network.outputs(point, self.x)

    def loss_of(self, outputs: Tensor) -> Tensor:
        return self.network.loss_function(outputs, self.y)


class Source(ABC):
    """Pieces of data, brought anew at each pass. ``n`` samples in all; ``label`` says which."""

    n: int
    label: str
    #: whether there is one piece, whose graph may be kept
    single: bool

    @abstractmethod
    def pieces(self, point: Float[Tensor, "1 dim"]) -> Iterator[Piece]:
        """One pass."""

    def check(self, point: Float[Tensor, "1 dim"]) -> None:
        """Go through the data twice and compare.

        Raises:
            InputError: the losses differ, or are not finite.
        """
        first, again = (self._losses(point) for _ in range(2))
        if not bool(torch.isfinite(first).all()):
            raise InputError(f"{int((~torch.isfinite(first)).sum())} sample losses are NaN or infinite at this θ: there is no curvature to speak of.")
        if len(first) != len(again):
            raise InputError(f"The data brought {len(first)} samples, then {len(again)}: they change between passes. Give the same samples each time.")
        if float((first - again).abs().max()) > 1e3 * torch.finfo(point.dtype).eps * (float(first.abs().max()) + 1e-30):
            raise InputError(
                "The losses at one θ differ between two passes over the data: the module's mode (dropout, BatchNorm in training mode) or the data "
                "(augmentation, drop_last with shuffling) change between calls. Freeze them: module.eval(), no random transforms."
            )

    def _losses(self, point: Tensor) -> Tensor:
        """All sample losses in ascending order, so that the order of batches does not matter."""
        with torch.no_grad():
            return torch.cat([piece.sample_loss(point)[0].double() for piece in self.pieces(point)]).sort().values


class OwnData(Source):
    """The data of an objective, ``size`` samples at a time (None: in one piece)."""

    def __init__(self, objective: Objective, size: int | None) -> None:
        self.objective, self.n = objective, objective.n
        self.size = None if size is None or size >= objective.n else size
        self.single = self.size is None
        self.label = f"{self.n} samples"

    def pieces(self, point: Tensor) -> Iterator[Piece]:
        if self.size is None:
            yield OwnPiece(self.objective, None)
            return
        for some in torch.arange(self.n, device=point.device).split(self.size):
            yield OwnPiece(self.objective, some[None])


class Loaded(Source):
    """Batches (inputs, targets) from a ``DataLoader`` or any other iterable that starts anew each time, cut into pieces of at most ``size`` samples.

    Raises:
        InputError: an iterator that is used up after one pass, or batches that are no pairs of tensors of one length.

    ``largest``: samples of the largest batch.
    """

    single = False

    def __init__(self, network: Network, batches: Iterable[tuple[Tensor, Tensor]], size: int | None = None) -> None:
        if not isinstance(network, Network):
            raise InputError(f"data were given for a {type(network).__name__}; only sg.objectives.Network can be evaluated on other data than its own.")
        if not isinstance(batches, Iterable):
            raise InputError(f"data is of type {type(batches).__name__}; wanted a DataLoader, a list of batches (inputs, targets) or the like.")
        if iter(batches) is batches:
            raise InputError(
                "data is an iterator: it is used up after one pass, and every product needs one. Give a DataLoader, a list of batches or the like."
            )
        self.network, self.batches, self.size = network, batches, size
        self.n = self.largest = 0
        for x, y in self._checked():
            if self.n == 0:
                self.first = (x[:2], y[:2])
            self.n, self.largest = self.n + len(x), max(self.largest, len(x))
        if self.n == 0:
            raise InputError("data brought no batch: empty data; wanted (inputs, targets) pairs.")
        self.label = f"{self.n} samples of a loader"

    def pieces(self, point: Tensor) -> Iterator[Piece]:
        for x, y in self._checked():
            size = len(x) if self.size is None else self.size
            for some, wanted in zip(x.split(size), y.split(size), strict=True):
                yield LoadedPiece(self.network, some, wanted, point)

    def trial(self, count: int, point: Float[Tensor, "1 dim"]) -> Piece:
        """The first sample or two, to count what they cost."""
        return LoadedPiece(self.network, self.first[0][:count], self.first[1][:count], point)

    def _checked(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self.batches:
            pair = isinstance(batch, (tuple, list)) and len(batch) == 2 and all(isinstance(part, Tensor) and part.ndim > 0 for part in batch)
            if not pair or len(batch[0]) != len(batch[1]):
                raise InputError("A batch of data is no pair (inputs, targets) of tensors of one length.")
            yield batch[0], batch[1]
