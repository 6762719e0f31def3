"""Which modules are chains of linear layers: h ← σ(Wh + b), with σ element by element and its first two derivatives known.

Found by exact types, so that nothing is missed that a subclass, a hook or a parametrisation would change. Everything else goes the general way (``vmap``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


class Activation(ABC):
    """σ with σ′ and σ″, from the argument a and h = σ(a)."""

    @abstractmethod
    def value(self, a: Tensor) -> Tensor:
        """σ(a)."""

    @abstractmethod
    def slope(self, a: Tensor, h: Tensor) -> Tensor:
        """σ′(a)."""

    @abstractmethod
    def bend(self, a: Tensor, h: Tensor) -> Tensor | None:
        """σ″(a); None where it vanishes."""


class Tanh(Activation):
    """σ′ = 1 − h², σ″ = −2h(1 − h²)."""

    def value(self, a: Tensor) -> Tensor:
        return a.tanh()

    def slope(self, a: Tensor, h: Tensor) -> Tensor:
        return (h * h).neg_().add_(1)  # on large layers an array more costs as much as an operation

    def bend(self, a: Tensor, h: Tensor) -> Tensor | None:
        return (h * h).sub_(1).mul_(h).mul_(2)


class Sigmoid(Activation):
    """σ′ = h(1 − h), σ″ = h(1 − h)(1 − 2h)."""

    def value(self, a: Tensor) -> Tensor:
        return a.sigmoid()

    def slope(self, a: Tensor, h: Tensor) -> Tensor:
        return h * (1 - h)

    def bend(self, a: Tensor, h: Tensor) -> Tensor | None:
        return h * (1 - h) * (1 - 2 * h)


class ReLU(Activation):
    """σ′ = 1 where a > 0, else 0, as torch has it."""

    def value(self, a: Tensor) -> Tensor:
        return a.relu()

    def slope(self, a: Tensor, h: Tensor) -> Tensor:
        return (a > 0).to(a.dtype)

    def bend(self, a: Tensor, h: Tensor) -> Tensor | None:
        return None


class SiLU(Activation):
    """σ = a·s, s the logistic function: σ′ = s(1 + a(1 − s)), σ″ = s(1 − s)(2 + a(1 − 2s))."""

    def value(self, a: Tensor) -> Tensor:
        return functional.silu(a)

    def slope(self, a: Tensor, h: Tensor) -> Tensor:
        s = a.sigmoid()
        return s * (1 + a * (1 - s))

    def bend(self, a: Tensor, h: Tensor) -> Tensor | None:
        s = a.sigmoid()
        return s * (1 - s) * (2 + a * (1 - 2 * s))


class GELU(Activation):
    """σ = aΦ(a): σ′ = Φ + aφ, σ″ = φ(2 − a²), Φ and φ the normal distribution and density."""

    def value(self, a: Tensor) -> Tensor:
        return functional.gelu(a)

    def slope(self, a: Tensor, h: Tensor) -> Tensor:
        return torch.special.ndtr(a) + a * self._density(a)

    def bend(self, a: Tensor, h: Tensor) -> Tensor | None:
        return self._density(a) * (2 - a * a)

    @staticmethod
    def _density(a: Tensor) -> Tensor:
        return torch.exp(-a * a / 2) * 0.3989422804014327


_ACTIVATIONS: dict[type[nn.Module], type[Activation]] = {nn.Tanh: Tanh, nn.Sigmoid: Sigmoid, nn.ReLU: ReLU, nn.SiLU: SiLU, nn.GELU: GELU}
_NEUTRAL = (nn.Identity, nn.Dropout)  # dropout that came this far is switched off


@dataclass(frozen=True)
class Layer:
    """One h ← σ(Wh + b): where W (and b) stand in θ, and σ (None: the identity)."""

    first: int
    outputs: int
    inputs: int
    bias: bool
    activation: Activation | None

    @property
    def weights(self) -> slice:
        """W in θ, row by row."""
        return slice(self.first, self.first + self.outputs * self.inputs)

    @property
    def biases(self) -> slice:
        """b in θ (empty without one)."""
        return slice(self.weights.stop, self.weights.stop + self.outputs * self.bias)


@dataclass(frozen=True)
class Chain:
    """Layers one after the other; ``flattens``: the first thing done is ``nn.Flatten``."""

    layers: tuple[Layer, ...]
    flattens: bool

    @property
    def units(self) -> int:
        """Units of all layers."""
        return sum(layer.outputs for layer in self.layers)

    @property
    def widest(self) -> int:
        """The widest layer, inputs included."""
        return max(max(layer.outputs, layer.inputs) for layer in self.layers)


def chain_of(module: nn.Module, input_shape: Sequence[int]) -> Chain | None:
    """The module as a chain of linear layers on samples of ``input_shape``, or None where it is none.

    None for: any other type of part, hooks, tied or frozen parameters, parameters of several dtypes, empty layers,
    activations twice in a row or before the first layer.
    """
    parts = list(_parts(module))
    flattens = bool(parts) and type(parts[0]) is nn.Flatten and parts[0].start_dim == 1 and parts[0].end_dim == -1
    found: list[tuple[nn.Linear, Activation | None]] = []
    for part in parts[1:] if flattens else parts:
        if type(part) is nn.Linear:
            found.append((part, None))
        elif type(part) in _ACTIVATIONS and found and found[-1][1] is None and getattr(part, "approximate", "none") == "none":
            found[-1] = (found[-1][0], _ACTIVATIONS[type(part)]())
        elif type(part) not in _NEUTRAL:
            return None
    parameters = [part for linear, _ in found for part in linear.parameters()]
    named = list(module.named_parameters())
    if not found or [id(part) for part in parameters] != [id(part) for _, part in named] or not all(part.requires_grad for part in parameters):
        return None
    if not all(linear.in_features and linear.out_features for linear, _ in found):  # empty layers
        return None
    if _hooked(module) or len({part.dtype for part in parameters}) > 1 or (not flattens and len(input_shape) != 1):
        return None
    layers, first = [], 0
    for linear, activation in found:
        layers.append(Layer(first, linear.out_features, linear.in_features, linear.bias is not None, activation))
        first = layers[-1].biases.stop
    return Chain(tuple(layers), flattens)


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    if type(module) is nn.Sequential:
        for part in module:
            yield from _parts(part)
    else:
        yield module


def _hooked(module: nn.Module) -> bool:
    return any(part._forward_hooks or part._forward_pre_hooks or part._backward_hooks or part._backward_pre_hooks for part in module.modules())
