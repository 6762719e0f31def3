"""A network as it is trained: BatchNorm and dropout in training mode, with everything that its loss depends on made explicit.

f(θ; batch, masks) = mean over the batch of loss(module_θ(x), y), BatchNorm by the statistics of that batch, dropout by the given masks. It is no mean of
losses of single samples, so it is no :class:`~sgdsde.objectives.Network`. In evaluation mode dropout does nothing and BatchNorm uses the mean and
variance of the *whole training set* at θ, layer after layer (the limit that running averages stand for): a function of θ alone, with no state beside it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.batchnorm import _BatchNorm

from sgdsde.given import is_whole
from sgdsde.objective import Objective
from sgdsde.objectives.network import Network
from sgdsde.objectives.network_checks import refuse_modules
from sgdsde.rng import stream
from sgdsde.training.layers import BatchStatistics, GivenMask, Statistics, explicit, modes
from sgdsde.training.trainable import Evaluation, Masks, Trainable, checked_data, judged, pieces
from sgdsde.types import InputError, as_points


class TrainingNetwork(Trainable):
    """A module with BatchNorm or dropout in training mode, on data. Layers that are in evaluation mode stay frozen.

    Args:
        module, loss, inputs, targets: as for :class:`~sgdsde.objectives.Network`.

    ``mode`` lists the layers in training mode. ``frozen`` is the network in evaluation mode at the module's own running statistics: it flattens θ, draws
    starts (``initial``) and holds the data.

    Raises:
        InputError: random or coupling layers of other kinds in training mode, or what :class:`~sgdsde.objectives.Network` refuses.
    """

    def __init__(self, module: nn.Module, loss: str | Callable[[Tensor, Tensor], Tensor], inputs: Any, targets: Any) -> None:
        if not isinstance(module, nn.Module):
            raise InputError(f"module is a {type(module).__name__}; wanted a torch.nn.Module.")
        self.batchwise = explicit(module)
        self.modes = modes(self.batchwise)
        refuse_modules(self.batchwise)
        still = copy.deepcopy(module).eval()
        for _, layer in still.named_modules():
            if isinstance(layer, _BatchNorm) and layer.running_mean is None:
                beside = next(module.parameters())
                layer.running_mean, layer.running_var = (beside.new_full((layer.num_features,), value) for value in (0.0, 1.0))
        self.frozen = Network(still, loss, inputs, targets)
        self.dim, self.n = self.frozen.dim, self.frozen.n
        self.mode = "; ".join(self.modes) or "no layer has a mode"
        self.normalised = [name for name, layer in self.batchwise.named_modules() if isinstance(layer, BatchStatistics)]
        self.masked = {name: layer for name, layer in self.batchwise.named_modules() if isinstance(layer, GivenMask)}
        self.smallest_batch = 2 if self.normalised else 1
        self._try()

    def draw(self, theta: Tensor, size: int, generators: Sequence[Generator]) -> Masks:
        return {f"{name}.mask": torch.stack([layer.draw(size, g, theta) for g in generators]) for name, layer in self.masked.items()}

    def losses(self, theta: Float[Tensor, "paths dim"], batch: Tensor, masks: Masks) -> Float[Tensor, "paths batch"]:
        """Each sample's loss in its company, in training mode; ``batch [P, B]``, masks ``[P, B, …]``."""
        x, y = self.frozen.inputs.rows(theta, batch), self.frozen.targets.rows(theta, batch)
        return vmap(self._batch_losses)(self.frozen.unflatten(theta), masks, x, y)

    def grad(self, theta: Tensor, batch: Tensor | None, masks: Masks) -> Tensor:
        if batch is None:
            batch = torch.arange(self.n, device=theta.device).expand(theta.shape[0], self.n)
        with torch.enable_grad():
            point = theta.detach().requires_grad_(True)
            return torch.autograd.grad(self.losses(point, batch, masks).mean(1).sum(), point)[0]

    def statistics(self, theta: Float[Tensor, "paths dim"]) -> dict[str, Tensor]:
        """Mean and variance of every BatchNorm in training mode over the training set, as buffers ``[P, channels]`` of the frozen module."""
        if not self.normalised:
            return {}
        x = self.frozen.inputs.at(theta)
        with torch.no_grad():
            rows = [vmap(self._collected, in_dims=(0, None))(self.frozen.unflatten(point[None]), x) for point in theta]  # one path at a time: memory
        found = {name: [torch.cat([row[name][part] for row in rows]) for part in (0, 1)] for name in self.normalised}
        return {f"{name}.{what}": value for name, both in found.items() for what, value in zip(("running_mean", "running_var"), both, strict=True)}

    def outputs(self, theta: Float[Tensor, "paths dim"], inputs: Tensor | None = None) -> Float[Tensor, "paths n ..."]:
        """Answers in evaluation mode: no dropout, BatchNorm at the statistics of the training set."""
        x = self.frozen.inputs.at(theta) if inputs is None else inputs.to(self.frozen.inputs.at(theta))
        with torch.no_grad():
            given = {**self.frozen.unflatten(theta), **self.statistics(theta)}
            return torch.cat([vmap(self._answers, in_dims=(0, None))(given, part) for part in pieces(x, theta)], 1)

    def frozen_at(self, theta: Float[Tensor, " dim"]) -> Network:
        """The network in evaluation mode with BatchNorm frozen at the statistics of the training set at this θ, dropout off.

        Its samples stand apart, so it has what a loss in training mode has not: gradients and curvatures of one sample. It is the same function as
        :meth:`outputs` at θ only; elsewhere the statistics would be others.

        Raises:
            InputError: θ of another shape.
        """
        point = as_points(theta, self.dim)[:1]
        module = copy.deepcopy(self.frozen.module)
        buffers = dict(module.named_buffers())
        for name, value in self.statistics(point).items():
            buffers[name].copy_(value[0])
        return Network(module, self.frozen.loss_function, self.frozen.inputs.original, self.frozen.targets.original)

    def evaluate(self, theta: Tensor, inputs: Tensor | None = None, targets: Tensor | None = None) -> Evaluation:
        x, y = checked_data(self.frozen, theta, inputs, targets)
        return judged(self.outputs(theta, x), y, self.frozen)

    def objective(self, samples: int | None = None, *, seed: int = 0) -> Objective:
        return InTrainingMode(self, self.n if samples is None else min(samples, self.n), seed)

    def _constants(self, beside: dict[str, Tensor]) -> dict[str, Tensor]:
        some = next(iter(beside.values()))
        return {name: part.at(some) for name, part in self.frozen.constants.items()}

    def _batch_losses(self, parameters: dict[str, Tensor], masks: Masks, x: Tensor, y: Tensor) -> Tensor:
        own = dict(self.batchwise.named_buffers())
        constants = {name: part for name, part in self._constants(parameters).items() if name in own}
        return self.frozen.loss_function(functional_call(self.batchwise, {**constants, **parameters, **masks}, (x,)), y)

    def _collected(self, parameters: dict[str, Tensor], x: Tensor) -> Statistics:
        """The statistics that one pass over all samples leaves in the normalising layers; dropout does nothing."""
        sink: Statistics = {}
        layers = [self.batchwise.get_submodule(name) for name in self.normalised]
        for layer in layers:
            layer.sink = sink  # type: ignore[assignment]
        own = dict(self.batchwise.named_buffers())
        constants = {name: part for name, part in self._constants(parameters).items() if name in own}
        try:
            functional_call(self.batchwise, {**constants, **parameters, **{f"{name}.mask": x.new_ones(()) for name in self.masked}}, (x,))
        finally:
            for layer in layers:
                layer.sink = None  # type: ignore[assignment]
        return sink

    def _answers(self, given: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(self.frozen.module, {**self._constants(given), **given}, (x,))

    def _try(self) -> None:
        """One evaluation in training mode: it finds the shapes of masks, and refuses what is random in spite of them."""
        some = next(iter(self.batchwise.parameters()))
        x, y = self.frozen.inputs.at(some)[:2], self.frozen.targets.at(some)[:2]
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            first, again = (self.frozen.loss_function(self.batchwise(x), y) for _ in range(2))
        if not torch.equal(first, again):
            raise InputError("The module is random in training mode in spite of given masks (functional dropout?): use nn.Dropout layers.")


class InTrainingMode(Objective):
    """The mean loss over the first ``count`` samples in training mode: BatchNorm by the statistics of these samples, dropout by masks drawn once.

    What published λmax "in training mode" are measured of. Its sample losses depend on all samples, so parts of the data are refused: curvature
    operators must take all samples in one piece.
    """

    def __init__(self, network: TrainingNetwork, count: int, seed: int) -> None:
        if not is_whole(count, network.smallest_batch, network.n):
            raise InputError(f"count = {count!r}; wanted an integer in {network.smallest_batch}…{network.n}.")
        self.network, self.dim, self.n, self.seed = network, network.dim, int(count), seed
        self.mode, self.separable = network.mode, False

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        if batch is not None:
            raise InputError("A loss in training mode is one of all its samples together; it cannot be asked for some of them. Use all in one piece.")
        masks = {name: mask.expand(theta.shape[0], *mask.shape[1:]) for name, mask in self._masks(theta).items()}
        return self.network.losses(theta, torch.arange(self.n, device=theta.device).expand(theta.shape[0], self.n), masks)

    def _masks(self, theta: Tensor) -> Masks:
        return self.network.draw(theta[:1], self.n, [stream(self.seed, "masks of a measurement", device=theta.device)])
