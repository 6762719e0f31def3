"""Many replicas of any module: ``torch.func.functional_call`` under ``vmap``, differentiated by autograd, in pieces of replicas and samples.

Replicas do not interact and a mean over samples is a sum, so both can be cut. What one replica keeps for a backward pass through one sample is counted once, by
autograd's own hooks for saved tensors; pieces are chosen from it before anything is computed. This is the general way, and the test of the batched one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.func import grad as gradient_of

from sgdsde.objectives.memory import PIECE_NUMBERS, replicas_in_a_piece, require
from sgdsde.objectives.network_batched import KEPT_NUMBERS
from sgdsde.objectives.network_checks import Loss
from sgdsde.objectives.resident import Resident

#: a vmapped pass costs about a millisecond before it computes anything, so its pieces are this much larger
LARGER = 16
#: a Hessian product keeps the graph of the gradient besides that of the loss
_GRAPHS = 3


@dataclass(frozen=True)
class Piece:
    """Some replicas, and the samples of them that go together (None: all of the given batch)."""

    replicas: slice
    samples: slice | None


class Vmapped:
    """Losses, gradients, per-sample gradients and Hessian products of ``module`` on data, at named parameters ``[P, *shape]``."""

    def __init__(
        self,
        module: nn.Module,
        names: tuple[str, ...],
        loss: Loss,
        inputs: Resident,
        targets: Resident,
        *,
        constants: Mapping[str, Resident],
        unflatten: Callable[[Tensor], dict[str, Tensor]],
    ) -> None:
        self.module, self.names, self.loss, self.inputs, self.targets = module, names, loss, inputs, targets
        self.constants, self._unflatten = constants, unflatten
        self.saved = saved_numbers(module, loss, inputs.original[:1], targets.original[:1])

    def outputs(self, theta: Tensor, x: Tensor) -> Tensor:
        """What each network answers on inputs ``[B, …]``: ``[P, B, …]``; differentiable."""
        return vmap(self._forward, in_dims=(0, None))(self._unflatten(theta), x)

    def sample_loss(self, theta: Tensor, batch: Tensor | None, targets: Tensor | None = None) -> Tensor:
        """ℓᵢ ``[P, B]``; differentiable; ``targets`` ``[P, B, …]`` in the place of the samples' own."""
        parameters = self._unflatten(theta)
        if targets is not None:
            x = self.inputs.rows(theta, batch)
            return vmap(self._losses, in_dims=(0, None if batch is None else 0, 0))(parameters, x, targets)
        if batch is None:
            return vmap(self._losses, in_dims=(0, None, None))(parameters, self.inputs.at(theta), self.targets.at(theta))
        if batch.shape[0] == 1 or batch.stride(0) == 0:  # one batch for all paths: its samples are fetched once
            x, y = self.inputs.rows(theta, batch[0]), self.targets.rows(theta, batch[0])
            return vmap(self._losses, in_dims=(0, None, None))(parameters, x, y)
        return vmap(self._losses)(parameters, self.inputs.rows(theta, batch), self.targets.rows(theta, batch))

    def weighted_grad(self, theta: Tensor, weights: Tensor | None, batch: Tensor | None, targets: Tensor | None = None) -> Tensor:
        """∇Σᵢwᵢℓᵢ ``[P, dim]``; weights None: the mean; ``targets`` ``[P, B, …]`` in the place of the samples' own."""
        count = self.inputs.shape[0] if batch is None else batch.shape[1]
        result = torch.zeros_like(theta)
        for piece in self.pieces(theta, count):
            with torch.enable_grad():
                point = theta[piece.replicas].detach().requires_grad_(True)
                cut = (piece.replicas, piece.samples or slice(None))
                losses = self.sample_loss(point, self._cut(piece, batch, theta), None if targets is None else targets[cut])
                total = losses.sum() / count if weights is None else (losses * weights[cut]).sum()
                result[piece.replicas] += torch.autograd.grad(total, point)[0]
        return result

    def sample_grads(self, theta: Tensor, batch: Tensor | None) -> Tensor:
        """gᵢ ``[P, B, dim]``, each sample's differentiated without copying the weights for it."""
        paths, dim = theta.shape
        count = self.inputs.shape[0] if batch is None else batch.shape[1]
        require(2 * paths * count * dim, theta, what=f"Per-sample gradients of {paths} replicas × {count} samples × {dim} parameters",
                instead="Use fewer replicas at once, or a weighted backward pass (noise.root), which needs none of them.")  # fmt: skip
        shared = None if batch is None else 0
        each = vmap(gradient_of(self._one_loss), in_dims=(None, 0, 0))
        found: list[Tensor] = []
        for rows in theta.detach().split(replicas_in_a_piece(count * (dim + self.saved) // LARGER, theta.device)):
            some = None if batch is None else batch[sum(part.shape[0] for part in found) :][: rows.shape[0]]
            grads = vmap(each, in_dims=(0, shared, shared))(self._unflatten(rows), self.inputs.rows(theta, some), self.targets.rows(theta, some))
            found.append(torch.cat([grads[name].flatten(2) for name in self.names], 2))  # [paths, batch, dim]
        return found[0] if len(found) == 1 else torch.cat(found)

    def hvp_at(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """v ↦ H(θ)v of ``[P, dim]`` or ``[P, k, dim]``, through graphs of the gradient that are kept if they are not too large."""
        n = self.inputs.shape[0]
        pieces = list(self.pieces(theta, n))
        kept = _GRAPHS * theta.shape[0] * n * self.saved <= KEPT_NUMBERS.get(theta.device.type, KEPT_NUMBERS["cuda"])
        made = [self._slope(theta, piece) for piece in pieces] if kept else None

        def product(v: Tensor) -> Tensor:
            rows = v if v.ndim == 3 else v[:, None]
            result = torch.zeros_like(rows)
            for i, piece in enumerate(pieces):
                point, slope = made[i] if made is not None else self._slope(theta, piece)
                if not slope.requires_grad:  # the gradient is a constant
                    continue
                for j in range(rows.shape[1]):
                    (found,) = torch.autograd.grad(slope, point, rows[piece.replicas, j], retain_graph=True, allow_unused=True)
                    if found is not None:
                        result[piece.replicas, j] += found
            return result if v.ndim == 3 else result[:, 0]

        return product

    def pieces(self, theta: Tensor, count: int) -> Iterator[Piece]:
        """How the work over ``count`` samples of each replica is cut: by replicas, and by samples where one replica alone is too much."""
        budget = LARGER * PIECE_NUMBERS.get(theta.device.type, PIECE_NUMBERS["cuda"])
        size = max(1, budget // (count * self.saved + 2 * theta.shape[1]))
        most = max(1, budget // max(1, self.saved))
        for first in range(0, theta.shape[0], size):
            replicas = slice(first, min(first + size, theta.shape[0]))
            if size > 1 or count <= most:
                yield Piece(replicas, None)
            else:
                for begin in range(0, count, most):
                    yield Piece(replicas, slice(begin, min(begin + most, count)))

    def _slope(self, theta: Tensor, piece: Piece) -> tuple[Tensor, Tensor]:
        """A point and the gradient there, with its graph."""
        with torch.enable_grad():
            point = theta[piece.replicas].detach().requires_grad_(True)
            total = self.sample_loss(point, self._cut(piece, None, theta)).sum() / self.inputs.shape[0]
            return point, torch.autograd.grad(total, point, create_graph=True)[0]

    def _cut(self, piece: Piece, batch: Tensor | None, theta: Tensor) -> Tensor | None:
        if batch is None:
            return None if piece.samples is None else torch.arange(piece.samples.start, piece.samples.stop, device=theta.device)[None]
        rows = batch if batch.shape[0] == 1 else batch[piece.replicas]
        return rows if piece.samples is None else rows[:, piece.samples]

    def _forward(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        beside = next(iter(parameters.values()))
        constants = {name: part.at(beside) for name, part in self.constants.items()}
        return functional_call(self.module, {**constants, **parameters}, (x,))

    def _losses(self, parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Float[Tensor, " batch"]:
        return self.loss(self._forward(parameters, x), y)

    def _one_loss(self, parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Float[Tensor, ""]:
        return self._losses(parameters, x[None], y[None])[0]


def saved_numbers(module: nn.Module, loss: Loss, x: Tensor, y: Tensor) -> int:
    """How many numbers autograd keeps for a backward pass through one sample ``x [1, …]``, the parameters themselves not counted."""
    own = {part.data_ptr() for part in module.parameters()}
    first = next(module.parameters())
    x = x.to(first) if x.is_floating_point() else x.to(first.device)
    y = y.to(first) if y.is_floating_point() else y.to(first.device)
    total = 0

    def pack(saved: Tensor) -> Tensor:
        nonlocal total
        total += 0 if saved.data_ptr() in own else saved.numel()
        return saved

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        loss(module(x), y)
    return max(1, total)
