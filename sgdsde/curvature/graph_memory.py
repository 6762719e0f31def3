"""What a curvature product takes, estimated before anything is made: numbers that autograd keeps for one sample, times samples, graphs and vectors.

Autograd's own hooks for saved tensors count what a forward pass through one and through two samples keeps (nothing of it is held meanwhile); the difference
is one sample's. The gradient's graph keeps about three times as much, a block of k vectors about k times as much again while it goes through. From
these follow how many samples are differentiated at a time and how many vectors; what does not fit even one by one is refused with its size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsde.curvature.source import Piece
from sgdsde.objectives.memory import available_bytes
from sgdsde.types import InputError

#: bytes that the graphs and blocks of a product may take, where the machine has four times as much
BUDGET = 2**30
#: the gradient's graph over the loss's
GRAPHS = 3
MOST_VECTORS = 32
#: bytes of graphs of one block of vectors, by type of device: a block saves calls, but once it leaves a core's cache it costs more than it saves
BLOCK_BYTES = {"cpu": 2**24, "cuda": 2**30}


@dataclass(frozen=True)
class Memory:
    """The plan of a product: ``samples`` at a time (None: all in one piece, whose graph is kept), ``vectors`` at a time, and ``bytes`` that it takes."""

    sample_bytes: int
    samples: int | None
    vectors: int
    bytes: int

    def __str__(self) -> str:
        how = "all samples in one piece" if self.samples is None else f"{self.samples} samples at a time"
        return f"{how}, {self.vectors} vectors at a time, about {self.bytes / 2**20:.3g} MiB ({self.sample_bytes / 2**10:.3g} KiB a sample)"


def saved_bytes(piece: Piece, point: Tensor) -> int:
    """Bytes that autograd keeps for a backward pass through the losses of a piece, θ itself not counted."""
    total = 0

    def pack(saved: Tensor) -> None:
        nonlocal total
        total += 0 if saved.data_ptr() == point.data_ptr() else saved.numel() * saved.element_size()

    def unpack(_: None) -> Tensor:
        raise AssertionError("a trial pass is never differentiated")

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        piece.sample_loss(point.detach().requires_grad_(True))
    return total


def sample_bytes(one: Piece, two: Piece, point: Tensor) -> int:
    """What one more sample costs."""
    return max(1, saved_bytes(two, point) - saved_bytes(one, point))


def plan(each: int, n: int, point: Tensor, *, separable: bool, asked: int | None = None, budget: int | None = None) -> Memory:
    """How many samples and vectors at a time, for ``n`` samples of ``each`` bytes; ``asked``: the user's own number of samples.

    Raises:
        InputError: not even one piece with one vector fits the machine.
    """
    free = available_bytes(point.device)
    limit = min(BUDGET, free // 4) if budget is None else budget
    least = n if not separable else (1 if asked is None else min(asked, n))
    if (GRAPHS + 1) * least * each > 0.8 * free:
        raise InputError(
            f"A Hessian product over {least} samples at once would take {(GRAPHS + 1) * least * each / 2**30:.1f} GiB of {free / 2**30:.1f} GiB free. "
            + ("Use fewer samples." if not separable else "Give a smaller piece." if asked else "Use a smaller network, float32, or another machine.")
        )
    together = n if not separable or asked is None else least  # samples in a piece, if all fit
    vectors = max(1, min(MOST_VECTORS, BLOCK_BYTES.get(point.device.type, BLOCK_BYTES["cuda"]) // (each * together)))
    if asked is not None or not separable:
        return Memory(each, None if least >= n else least, vectors, (GRAPHS + vectors) * least * each)
    whole = limit // (each * n) - GRAPHS  # vectors that fit beside the graph of all samples
    if whole >= 1:
        vectors = min(vectors, whole)
        return Memory(each, None, vectors, (GRAPHS + vectors) * n * each)
    vectors = max(1, min(MOST_VECTORS // 4, limit // each - GRAPHS))  # several, for each piece is evaluated anew for each block of them
    samples = max(1, limit // (each * (GRAPHS + vectors)))
    return Memory(each, samples, vectors, (GRAPHS + vectors) * samples * each)
