"""What the samples bring to a layer's block of the Gauss–Newton matrix, some of them at a time: inputs, and the curvature of the loss at the layer's outputs.

A layer that applies one weight W ``[out, in]`` at S positions (1 for a linear layer on vectors, the length of a sequence, the pixels of a convolution's output,
whose inputs are then patches) has, at one sample, outputs z_s = Wx_s and the block Σ_{st} M_{st} ⊗ x_s x_tᵀ with M_{st} = J_sᵀAJ_t, J_s = ∂o/∂z_s of the
network's answer o and A = ∂²ℓ/∂o². Nothing here holds more samples than one piece, so the data may come from a loader and need not fit in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from sgdsde.curvature.sample_operator import Batches
from sgdsde.curvature.source import Loaded, LoadedPiece
from sgdsde.objectives.network import Network
from sgdsde.types import InputError

#: numbers that one piece may hold, and that are kept between passes
_NUMBERS = 2**23


@dataclass(frozen=True)
class LayerPiece:
    """m samples: x ``[m, in, S]``, J ``[m, c, out, S]``, AJ likewise."""

    x: Float[Tensor, "m in positions"]
    J: Float[Tensor, "m c out positions"]
    AJ: Float[Tensor, "m c out positions"]


class LayerSamples:
    """The pieces of one layer at θ. ``n`` samples, ``positions`` S, weight ``[out, size]``, ``source`` in words.

    Raises:
        InputError: data that are no batches or change between passes, losses that are not finite, a layer used twice in a pass.
    """

    def __init__(self, network: Network, theta: Float[Tensor, "1 dim"], layer: str, data: Batches | None) -> None:
        self.network, self.theta, self.layer = network, theta, layer
        self.module = network.module_at(theta[0])
        part = self.module.get_submodule(layer)
        assert isinstance(part, (nn.Linear, nn.Conv2d))  # checked where the report is made
        self.part = part
        self.loaded: Loaded | None = None
        if data is None:
            self.n, self.source = network.n, f"{network.n} samples"
            first = network.inputs.at(theta)[:1]
        else:
            self.loaded = Loaded(network, data)
            self.loaded.check(theta)
            self.n, self.source = self.loaded.n, self.loaded.label
            trial = self.loaded.trial(1, theta)
            assert isinstance(trial, LoadedPiece)
            first = trial.x
        inputs, outputs, answers = input_and_output(self.module, self.part, first)
        x = positions_of(self.part, inputs)
        self.shape = tuple(outputs.shape[1:])  # one sample's z
        self.out, self.size, self.positions = int(part.weight.shape[0]), x.shape[1], x.shape[2]
        self.answers = answers.flatten(1).shape[1]
        each = max(self.answers * self.out, self.size, self.positions) * self.positions
        self.some = max(1, min(256, _NUMBERS // each))
        self._kept: list[LayerPiece] | None = [] if each * self.n <= _NUMBERS else None
        self._complete = False

    def pieces(self) -> Iterator[LayerPiece]:
        """One pass; where all of it is small, it is kept for the next."""
        if self._complete:
            assert self._kept is not None
            yield from self._kept
            return
        for x, y in self._batches():
            inputs = input_and_output(self.module, self.part, x)[0]
            J, A = jacobians(self.network, self.module, self.layer, x, y, self.shape)
            J = _positions_last(self.part, J)
            piece = LayerPiece(positions_of(self.part, inputs), J, torch.einsum("mcd,mdos->mcos", A, J))
            if self._kept is not None:
                self._kept.append(piece)
            yield piece
        self._complete = self._kept is not None

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.loaded is None:
            yield from zip(self.network.inputs.at(self.theta).split(self.some), self.network.targets.at(self.theta).split(self.some), strict=True)
            return
        for piece in self.loaded.pieces(self.theta):
            assert isinstance(piece, LoadedPiece)
            yield from zip(piece.x.split(self.some), piece.y.split(self.some), strict=True)

    def block(self) -> Float[Tensor, "p p"]:
        """E Σ_{st} M_{st} ⊗ x_s x_tᵀ, formed in one pass."""
        p = self.out * self.size
        total = self.theta.new_zeros(p, p)
        for piece in self.pieces():
            rows, weighted = (torch.einsum("mcos,mis->mcoi", part, piece.x).flatten(0, 1).flatten(1) for part in (piece.J, piece.AJ))
            total.addmm_(rows.T, weighted)
        return (total + total.T) / (2 * self.n)

    def times(self, vectors: Float[Tensor, "k out in"]) -> Float[Tensor, "k out in"]:
        """The block times k vectors, one pass."""
        total = torch.zeros_like(vectors)
        for piece in self.pieces():
            some = max(1, _NUMBERS // (piece.x.shape[0] * self.out * self.positions))
            for start in range(0, len(vectors), some):
                moved = torch.einsum("koi,mis->mkos", vectors[start : start + some], piece.x)
                answer = torch.einsum("mcos,mkos->mkc", piece.J, moved)
                total[start : start + some] += torch.einsum("mkc,mcos,mis->koi", answer, piece.AJ, piece.x)
        return total / self.n

    def right_of(self, left: Float[Tensor, "out out"]) -> Float[Tensor, "in in"]:
        """Van Loan's rearrangement, transposed: E Σ_{st} tr(M_{st}ᵀ left)·x_s x_tᵀ."""
        total = left.new_zeros(self.size, self.size)
        for piece in self.pieces():
            weights = torch.einsum("mcos,op,mcpt->mst", piece.J, left, piece.AJ)
            total += torch.einsum("mis,mst,mjt->ij", piece.x, weights, piece.x)
        return total / self.n

    def left_of(self, right: Float[Tensor, "in in"]) -> Float[Tensor, "out out"]:
        """The rearrangement itself: E Σ_{st} (x_sᵀ right x_t)·M_{st}."""
        total = right.new_zeros(self.out, self.out)
        for piece in self.pieces():
            weights = torch.einsum("mis,ij,mjt->mst", piece.x, right, piece.x)
            total += torch.einsum("mcos,mst,mcpt->op", piece.J, weights, piece.AJ)
        return total / self.n


def input_and_output(module: nn.Module, layer: nn.Module, data: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The layer's input and output on the data, and the network's answers.

    Raises:
        InputError: it is used more than once in a forward pass, or not at all.
    """
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _, inputs, output: seen.extend((inputs[0].detach(), output.detach())))
    try:
        with torch.no_grad():
            answers = module(data)
    finally:
        handle.remove()
    if len(seen) != 2:
        times = "not used" if not seen else "used more than once"
        raise InputError(f"The layer is {times} in a forward pass; its block is then no single Kronecker mean.")
    return seen[0], seen[1], answers


def positions_of(layer: nn.Module, inputs: Tensor) -> Float[Tensor, "m in positions"]:
    """What the weight ``[out, in]`` multiplies at each position: the vectors themselves, or the patches under a convolution's kernel."""
    if isinstance(layer, nn.Conv2d):
        return nn.functional.unfold(_padded(layer, inputs), layer.kernel_size, dilation=layer.dilation, stride=layer.stride)
    return inputs.reshape(len(inputs), -1, inputs.shape[-1]).transpose(1, 2)


def jacobians(network: Network, module: nn.Module, layer: str, data: Tensor, targets: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """∂o/∂z ``[m, c, *shape]`` by the layer's output z, and A = ∂²ℓ/∂o² ``[m, c, c]``, sample by sample; answers are flattened."""
    parameters = {name: part.detach() for name, part in (*module.named_parameters(), *module.named_buffers())}
    shift: list[Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(lambda _, inputs, output: output + shift[-1])
    zero = next(iter(parameters.values())).new_zeros(shape)

    def answer(delta: Tensor, x: Tensor) -> Tensor:
        shift.append(delta)
        try:
            return functional_call(module, parameters, (x[None],))[0]
        finally:
            shift.pop()

    def both(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        output = answer(zero, x)

        def loss(o: Tensor) -> Tensor:
            return network.loss_function(o.reshape(1, *output.shape), y[None])[0]

        return jacrev(lambda delta: answer(delta, x).flatten())(zero), jacrev(jacrev(loss))(output.flatten())

    try:
        J, A = vmap(both)(data, targets)
    finally:
        handle.remove()
    return J.detach(), A.detach()


def _positions_last(layer: nn.Module, J: Tensor) -> Float[Tensor, "m c out positions"]:
    if isinstance(layer, nn.Conv2d):
        return J.flatten(3)
    return J.flatten(2, -2).transpose(2, 3) if J.ndim > 3 else J[..., None]


def _padded(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """The input with the border that the convolution adds itself."""
    if layer.padding == "valid":
        return x
    if layer.padding == "same":
        totals = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        sides = [(total // 2, total - total // 2) for total in totals]
    else:
        sides = [(int(size), int(size)) for size in layer.padding]
    border = [size for side in reversed(sides) for size in side]  # the last axis first
    return nn.functional.pad(x, border, mode="constant" if layer.padding_mode == "zeros" else layer.padding_mode)
