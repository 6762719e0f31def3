"""Operators that are means over samples, through the graph of one evaluation a piece of the data and backward passes, several vectors at once.

Where all data are one piece its graph is kept, so that a product costs one backward pass; else each piece is evaluated anew for each block of vectors.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.curvature.graph_memory import Memory, plan, sample_bytes, saved_bytes
from sgdsde.curvature.operator import Operator
from sgdsde.curvature.source import Loaded, OwnData, OwnPiece, Piece, Source, mode_of
from sgdsde.given import is_whole
from sgdsde.objective import Objective, as_objective
from sgdsde.types import InputError, as_points

Batches = Iterable[tuple[Tensor, Tensor]]


class SampleOperator(Operator):
    """(1/n)Σ over samples at θ; ``memory`` is the plan of its products, ``source`` its data, ``mode`` the modes of the layers.

    Raises:
        InputError: θ does not fit the objective or gives losses that are not finite; mode or data change between calls; too large for the machine.
    """

    def __init__(self, objective: Objective, theta: Float[Tensor, " dim"], *, label: str, data: Batches | None = None, piece: int | None = None) -> None:
        if piece is not None and not is_whole(piece, 1):
            raise InputError(f"piece = {piece!r}; wanted a number of samples ≥ 1, or None to fit the memory.")
        self.objective = as_objective(objective)
        self.theta = as_points(theta, objective.dim)[:1].clone()
        self.dim, self.dtype, self.device, self.label = objective.dim, self.theta.dtype, self.theta.device, label
        self.mode = mode_of(objective)
        self.source, self.memory = sources(objective, self.theta, data, piece)
        self.chunk = self.memory.vectors
        self.source.check(self.theta)
        self._kept: tuple[Tensor, ...] | None = None

    @abstractmethod
    def record(self, point: Float[Tensor, "1 dim"], piece: Piece) -> tuple[Tensor, ...]:
        """Build the graph at ``point`` for one piece."""

    @abstractmethod
    def multiply(self, point: Tensor, graph: tuple[Tensor, ...], rows: Float[Tensor, "k dim"]) -> Float[Tensor, "k dim"]:
        """The products of this piece's mean with k vectors."""

    def apply(self, block: Tensor) -> Tensor:
        rows = block.T.contiguous()
        total = torch.zeros_like(rows)
        for piece in self.source.pieces(self.theta):
            point, *graph = self._graph(piece)
            total += (piece.count / self.source.n) * self.multiply(point, tuple(graph), rows)
        return total.T

    def _graph(self, piece: Piece) -> tuple[Tensor, ...]:
        if self._kept is not None:
            return self._kept
        with torch.enable_grad():
            point = self.theta.clone().requires_grad_(True)
            graph = (point, *self.record(point, piece))
        if self.source.single:
            self._kept = graph
        return graph


def sources(objective: Objective, theta: Tensor, data: Batches | None, piece: int | None) -> tuple[Source, Memory]:
    """The data of an operator and the plan of its products: memory is looked at before graphs are made."""
    if data is not None:
        loaded = Loaded(objective, data)  # type: ignore[arg-type] # it refuses what is no network
        one, two = (loaded.trial(count, theta) for count in (1, 2))
        each = sample_bytes(one, two, theta) if two.count == 2 else saved_bytes(one, theta)
        memory = plan(each, loaded.largest, theta, separable=True, asked=piece)
        loaded.size = memory.samples
        return loaded, memory
    n = objective.n
    if not objective.separable and piece is not None and piece < n:
        raise InputError(f"piece = {piece}, but the loss is one of all its samples together ({objective.mode}); it cannot be cut. Leave piece out.")
    if n == 1 or not objective.separable:
        each = max(1, saved_bytes(OwnPiece(objective, None), theta) // n)
    else:
        indices = torch.arange(2, device=theta.device)[None]
        each = sample_bytes(OwnPiece(objective, indices[:, :1]), OwnPiece(objective, indices), theta)
    memory = plan(each, n, theta, separable=objective.separable, asked=piece)
    return OwnData(objective, memory.samples), memory


def pull(outputs: Tensor, inputs: Tensor, cotangents: Tensor) -> Tensor:
    """Cotangents ``[k, *outputs]`` pulled back to ``[k, *inputs]`` in one batched backward pass."""
    if not outputs.requires_grad:
        return inputs.new_zeros(cotangents.shape[0], *inputs.shape)
    if cotangents.shape[0] == 1:  # without vmap's cost
        (single,) = torch.autograd.grad(outputs, inputs, cotangents[0], retain_graph=True, allow_unused=True)
        return torch.zeros_like(inputs)[None] if single is None else single.detach()[None]
    (result,) = torch.autograd.grad(outputs, inputs, cotangents, retain_graph=True, is_grads_batched=True, allow_unused=True)
    return inputs.new_zeros(cotangents.shape[0], *inputs.shape) if result is None else result.detach()
