"""Layers whose training mode is a function of explicit arguments: BatchNorm by the statistics of the batch at hand, dropout by a given mask.

BatchNorm (Ioffe, Szegedy, arXiv 1502.03167): y = w·(x − m)/√(v + ε) + b, m and v the mean and (biased) variance of each channel over the batch. Dropout:
y = x·mask, mask = Bernoulli(1 − p)/(1 − p), one a sample (one a channel for ``Dropout2d``). PyTorch's own layers change buffers and draw from global
random state while they are evaluated; these do neither, so the loss of a minibatch is a function of (θ, batch, masks) that can be differentiated twice,
for many θ at once.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from sgdsde.types import InputError

Statistics = dict[str, tuple[Tensor, Tensor]]


class BatchStatistics(nn.Module):
    """BatchNorm by the batch's own statistics, under the parameter names of the layer it stands for. It leaves them in ``sink`` where there is one."""

    def __init__(self, layer: _BatchNorm, name: str) -> None:
        super().__init__()
        self.name, self.eps = name, layer.eps
        self.weight, self.bias = layer.weight, layer.bias
        self.sink: Statistics | None = None

    def forward(self, x: Tensor) -> Tensor:
        over = [axis for axis in range(x.ndim) if axis != 1]
        mean = x.mean(over)
        centred = x - _channels(mean, x)
        variance = (centred * centred).mean(over)
        if self.sink is not None:
            self.sink[self.name] = (mean, variance)
        y = centred * _channels((variance + self.eps).rsqrt(), x)
        return y if self.weight is None else y * _channels(self.weight, x) + _channels(self.bias, x)


class GivenMask(nn.Module):
    """Dropout by the mask in its buffer ``mask``, which the caller replaces at every evaluation."""

    mask: Tensor

    def __init__(self, share: float, whole_channels: bool) -> None:
        super().__init__()
        self.share, self.whole_channels = share, whole_channels
        self.register_buffer("mask", torch.ones(()))
        self.seen: tuple[int, ...] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.seen is None:  # the trial evaluation: what shape masks have, without the axis of samples
            self.seen = (x.shape[1], *(1 if self.whole_channels else size for size in x.shape[2:]))
        return x * self.mask

    def draw(self, samples: int, generator: torch.Generator, like: Tensor) -> Tensor:
        """A mask for each sample, ``[samples, *shape]``, in the dtype of ``like``."""
        kept = torch.rand((samples, *(self.seen or ())), generator=generator, device=like.device, dtype=torch.float32) >= self.share
        return kept.to(like.dtype) / (1 - self.share)


def explicit(module: nn.Module) -> nn.Module:
    """A copy in which every BatchNorm and dropout in training mode is replaced by the layer above; those in evaluation mode stay as they are.

    Raises:
        InputError: dropout of everything (p = 1), or the module itself is a BatchNorm or dropout.
    """
    copied = copy.deepcopy(module)
    for name, layer in list(copied.named_modules()):
        replacement: nn.Module | None = None
        if layer.training and isinstance(layer, _BatchNorm):
            replacement = BatchStatistics(layer, name)
        elif layer.training and isinstance(layer, _DropoutNd) and layer.p > 0 and not isinstance(layer, (nn.AlphaDropout, nn.FeatureAlphaDropout)):
            if layer.p >= 1:
                raise InputError(f"dropout ({name}) with p = {layer.p} leaves nothing; wanted p < 1.")
            replacement = GivenMask(layer.p, isinstance(layer, (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)))
        if replacement is not None:
            if not name:
                raise InputError(f"the module itself is a {type(layer).__name__}; wanted a network that holds it as a layer.")
            parent, _, child = name.rpartition(".")
            setattr(copied.get_submodule(parent), child, replacement)
    return copied


def modes(module: nn.Module) -> tuple[str, ...]:
    """What each replaced layer does in training mode, in words."""
    found = []
    for name, layer in module.named_modules():
        if isinstance(layer, BatchStatistics):
            found.append(f"{name}: BatchNorm by its batch's statistics")
        elif isinstance(layer, GivenMask):
            found.append(f"{name}: dropout p = {layer.share:g}, a mask a {'channel' if layer.whole_channels else 'unit'} and sample")
    return tuple(found)


def _channels(values: Tensor, x: Tensor) -> Tensor:
    """``[channels]`` along axis 1 of x."""
    return values.reshape(1, -1, *([1] * (x.ndim - 2)))
