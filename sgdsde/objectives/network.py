"""Any network: ℓᵢ(θ) = loss(module_θ(inputᵢ), targetᵢ) for a ``torch.nn.Module``, a per-sample loss and tensors.

An ensemble of networks is one tensor θ ``[P, dim]``: the trainable parameters of each, flattened in the order of ``named_parameters``. One forward pass
runs them all: chains of linear layers and activations through batched matrix products differentiated by hand, everything else through
``torch.func.functional_call`` under ``vmap``. Both are cut into pieces that fit the machine.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sgdsde.objective import Facts, Objective
from sgdsde.objectives.network_batched import Batched
from sgdsde.objectives.network_checks import checked_samples, mode_of, per_sample_loss, probe, refuse_modules
from sgdsde.objectives.network_layers import chain_of
from sgdsde.objectives.network_losses import DifferentiatedLoss, output_loss
from sgdsde.objectives.network_start import redraw
from sgdsde.objectives.network_vmap import Vmapped
from sgdsde.objectives.resident import Resident
from sgdsde.types import InputError


class Network(Objective):
    """A network on data, as an objective.

    Args:
        module: any module that maps ``[B, ...]`` to ``[B, ...]`` sample by sample. It is copied; training the original later changes nothing
            here. Parameters with ``requires_grad=False`` stay as they are and are no part of θ.
        loss: ``loss(output, target) -> [B]``, one number per sample; or ``"cross_entropy"``; or ``"mse"``, the squared error averaged over each
            sample's outputs, whose mean over samples is ``torch.nn.functional.mse_loss``.
        inputs: ``[n, ...]``.
        targets: ``[n, ...]``; integer classes for cross-entropy, the output's shape for ``"mse"``.

    ``method`` computes: :class:`Batched` where the module is a ``Sequential`` of ``Linear`` and the activations Tanh, Sigmoid, ReLU, SiLU, GELU (after an
    optional ``Flatten``), else :class:`Vmapped`; ``vmapped`` is the general one in any case. dtype: the module's copy is used in θ's.

    Raises:
        InputError: dropout (p > 0) or BatchNorm in training mode (``module.eval()`` freezes both, by name), no parameters, empty data, NaN,
            inputs and targets of different lengths, labels outside the classes, a loss that returns a mean.

    Example:
        >>> digits = sg.data.digits(count=20)
        >>> module = torch.nn.Linear(64, 10).double()
        >>> network = sg.objectives.Network(module, "cross_entropy", digits.x, digits.y)
        >>> network.dim, network.n, round(network.loss(0 * network.flatten()[None]).item() / math.log(10), 9)
        (650, 20, 1.0)
    """

    def __init__(self, module: nn.Module, loss: str | Callable[[Tensor, Tensor], Tensor], inputs: Any, targets: Any) -> None:
        refuse_modules(module)
        self.mode = mode_of(module)
        self.module = copy.deepcopy(module).requires_grad_(True)
        trainable = [(name, part) for name, part in module.named_parameters() if part.requires_grad]
        if not trainable:
            raise InputError(f"{type(module).__name__} has no trainable parameters; wanted at least one with requires_grad=True.")
        self.names = tuple(name for name, _ in trainable)
        self.shapes = tuple(tuple(part.shape) for _, part in trainable)
        self.sizes = tuple(part.numel() for _, part in trainable)
        self.dim = sum(self.sizes)
        self.loss_function = per_sample_loss(loss)
        x, y = checked_samples(inputs, targets)
        self.n = x.shape[0]
        self.inputs, self.targets = Resident(x), Resident(y)
        fixed = {name: part for name, part in module.named_parameters() if name not in set(self.names)} | dict(module.named_buffers())
        self.constants = {name: Resident(part.clone()) for name, part in fixed.items()}
        probe(self.module, loss, self.loss_function, x, y)
        self.vmapped = Vmapped(self.module, self.names, self.loss_function, self.inputs, self.targets, constants=self.constants, unflatten=self.unflatten)
        chain = chain_of(module, tuple(x.shape[1:]))
        self.method: Batched | Vmapped = self.vmapped if chain is None else Batched(chain, output_loss(self.loss_function), self.inputs, self.targets)
        # a loss that autograd differentiates at the outputs is not differentiated twice more
        thirds = self.method if isinstance(self.method, Batched) and not isinstance(self.method.loss, DifferentiatedLoss) else None
        self.facts = Facts(
            grad=self._grad,
            weighted_grad=self.method.weighted_grad,
            sample_grads=self.method.sample_grads,
            hvp_at=self.method.hvp_at,
            third=None if thirds is None else thirds.third,
            third_trace=None if thirds is None else thirds.third_trace,
            descend=self.method.descend if isinstance(self.method, Batched) else None,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """A classifier, a regression with two outputs, a convolution with frozen BatchNorm."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)  # modules draw their weights from the global state only; the fork gives it back as it was
            classifier = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
            regression = nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 2)).double()
            convolution = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2)).double().eval()
            x, y, images = torch.randn(7, 3).double(), torch.randn(6, 2).double(), torch.randn(5, 1, 3, 3).double()
        return [
            cls(classifier, "cross_entropy", x, torch.arange(7) % 3),
            cls(regression, "mse", x[:6, :2], y),
            cls(convolution, nn.CrossEntropyLoss(reduction="none"), images, torch.arange(5) % 2),
        ]

    def unflatten(self, theta: Float[Tensor, "paths dim"]) -> dict[str, Float[Tensor, "paths ..."]]:
        """θ as named parameters, each ``[P, *shape]`` (views)."""
        pieces = theta.split(self.sizes, dim=1)
        return {name: piece.reshape(theta.shape[0], *shape) for name, shape, piece in zip(self.names, self.shapes, pieces, strict=True)}

    def flatten(self, parameters: nn.Module | Mapping[str, Tensor] | None = None) -> Tensor:
        """The inverse: ``[P, dim]`` from named parameters ``[P, *shape]``; ``[dim]`` from a module, by default the one given at the start.

        Raises:
            InputError: a parameter is missing or has another shape.
        """
        source = self.module if parameters is None else parameters
        stacked = not isinstance(source, nn.Module)
        named: Mapping[str, Tensor] = source if stacked else dict(source.named_parameters())  # type: ignore[assignment, union-attr]
        pieces = []
        for name, shape in zip(self.names, self.shapes, strict=True):
            found = named.get(name)
            if found is None or tuple(found.shape[1:] if stacked else found.shape) != shape:
                came = "nothing" if found is None else f"shape {tuple(found.shape)}"
                raise InputError(f"parameter {name!r}: {came} came; wanted {'[paths, ...] of ' if stacked else ''}shape {shape}.")
            pieces.append(found.detach().flatten(1) if stacked else found.detach().flatten())
        return torch.cat(pieces, -1)

    def module_at(self, theta: Float[Tensor, " dim"]) -> nn.Module:
        """A copy of the module with one path's parameters, in their dtype and on their device."""
        module = copy.deepcopy(self.module).to(theta)
        named = dict(module.named_parameters())
        for name, value in self.unflatten(theta[None]).items():
            named[name].data.copy_(value[0])
        return module

    def initial(self, paths: int, generator: torch.Generator) -> Float[Tensor, "paths dim"]:
        """θ ``[P, dim]`` drawn from the module's own initial distribution (each submodule's ``reset_parameters``), in the module's dtype.

        Global random state is left as it was. Serves as ``theta0`` of ``simulate``.

        Raises:
            InputError: a submodule with parameters does not say how to draw them.
        """
        return redraw(self.module, self.flatten, paths, generator)

    def outputs(self, theta: Float[Tensor, "paths dim"], inputs: Tensor | None = None) -> Float[Tensor, "paths n ..."]:
        """What each network answers on ``inputs [n, ...]`` (None: the data)."""
        x = self.inputs.at(theta) if inputs is None else inputs.to(self.inputs.at(theta))
        return self.method.outputs(theta, x)

    def grad_with_targets(self, theta: Float[Tensor, "paths dim"], batch: Tensor, targets: Tensor) -> Float[Tensor, "paths dim"]:
        """∇(1/B)Σ_{i∈batch} loss(outputᵢ, targetᵢ) with targets ``[P, B, …]`` of the caller's (labels drawn anew), batch ``[P, B]``."""
        return self.method.weighted_grad(theta.detach(), None, batch, targets)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return self.method.sample_loss(theta, batch)

    def _grad(self, theta: Tensor) -> Tensor:
        return self.method.weighted_grad(theta.detach(), None, None)
