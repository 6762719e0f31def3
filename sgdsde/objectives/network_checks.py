"""What a network must be so that f(θ) = (1/n)Σℓᵢ(θ) is meant: no randomness inside, no coupling between samples, one loss a sample.

Dropout makes ℓᵢ random and BatchNorm in training mode makes it depend on the other samples of the batch: neither has the Hessian or the Σ that the
SDE models speak of. In evaluation mode both are fixed functions. All of it is found out before any work starts, by type and by a trial of two samples.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.instancenorm import _InstanceNorm

from sgdsde.given import is_name, seen
from sgdsde.types import InputError, suggest

Loss = Callable[[Tensor, Tensor], Tensor]


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """Mean over each sample's outputs of (output − target)², ``[B]``."""
    return ((output - target) ** 2).flatten(1).mean(1) if output.ndim > 1 else (output - target) ** 2


def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """−log softmax(output)[target], ``[B]``."""
    return functional.cross_entropy(output, target, reduction="none")


LOSSES: dict[str, Loss] = {"mse": squared_error, "cross_entropy": cross_entropy}


def per_sample_loss(loss: str | Loss) -> Loss:
    """The loss that a name stands for; a callable as it is.

    Raises:
        InputError: unknown name, no callable, or a loss module that is set to reduce.
    """
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise InputError(f"loss = {loss!r} is unknown.{suggest(loss, LOSSES)}")
        return LOSSES[loss]
    if not callable(loss):
        raise InputError(f"loss = {loss!r}; wanted a name ({', '.join(LOSSES)}) or a callable (output, target) -> [B].")
    if getattr(loss, "reduction", "none") != "none":
        raise InputError(f"{type(loss).__name__} has reduction={loss.reduction!r}: wanted one loss per sample, reduction='none'.")  # type: ignore[attr-defined]
    return loss


def refuse_modules(module: nn.Module) -> None:
    """Refuse what is random or couples the samples of a batch.

    Raises:
        InputError: dropout, BatchNorm or tracking InstanceNorm in training mode; parameters without a shape yet; no module at all.
    """
    if not isinstance(module, nn.Module):
        raise InputError(f"module is a {type(module).__name__}; wanted a torch.nn.Module.")
    for name, part in module.named_modules():
        where = f"{type(part).__name__} ({name or 'the module itself'})"
        share = part.p if isinstance(part, _DropoutNd) else getattr(part, "dropout", 0.0)
        if part.training and isinstance(share, (int, float)) and share > 0:
            raise InputError(
                f"{where} has dropout p = {share} in training mode: its loss is random. "
                "Use p = 0, or module.eval() or sg.objectives.frozen(module, name), in which dropout does nothing."
            )
        if isinstance(part, _BatchNorm) and (part.training or part.running_mean is None):
            why = "in training mode" if part.training else "without running statistics"
            raise InputError(
                f"{where} is a BatchNorm {why}: a sample's loss depends on the others of its batch. "
                "Call module.eval() or sg.objectives.frozen(module, name) to freeze it at its running statistics, or use LayerNorm or GroupNorm."
            )
        if isinstance(part, _InstanceNorm) and part.training and part.track_running_stats:
            raise InputError(f"{where} tracks running statistics in training mode: evaluating the loss changes it. Call module.eval().")
    if any(isinstance(part, nn.parameter.UninitializedParameter) for part in module.parameters()):
        raise InputError("the module has lazy parameters without a shape; run it once on a batch of inputs first.")


def mode_of(module: nn.Module) -> str:
    """The modes of the layers that have one, in words: after :func:`refuse_modules` all of them are switched off or frozen."""
    norms = [name or type(part).__name__ for name, part in module.named_modules() if isinstance(part, _BatchNorm)]
    drops = [name or type(part).__name__ for name, part in module.named_modules() if isinstance(part, _DropoutNd)]
    said = [f"BatchNorm frozen at running statistics ({', '.join(norms)})"] if norms else []
    said += [f"dropout off ({', '.join(drops)})"] if drops else []
    return "evaluation mode: " + "; ".join(said) if said else "no layer has a mode"


def frozen(module: nn.Module, *names: str) -> nn.Module:
    """A copy in which the named submodules (all of them, if no name is given) are in evaluation mode: dropout off, BatchNorm at its running statistics.

    Raises:
        InputError: a name that is no submodule's, with a suggestion.

    Example:
        >>> module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
        >>> [part.training for part in sg.objectives.frozen(module, "1")]
        [True, False]
    """
    copied = copy.deepcopy(module)
    parts = dict(copied.named_modules())
    for name in names or ("",):
        if not is_name(name, parts):
            raise InputError(f"the module has no part {name!r}." + suggest(name, [known for known in parts if known]))
        parts[name].eval()
    return copied


def checked_samples(inputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
    """Inputs and targets as tensors of one length; NumPy floats become float64.

    Raises:
        InputError: empty data, mismatched lengths, NaN.
    """
    x, y = seen(inputs, "inputs"), seen(targets, "targets")
    if x.ndim == 0 or x.numel() == 0:
        raise InputError(f"inputs have shape {tuple(x.shape)}: empty data; wanted [n, ...] with n ≥ 1.")
    if y.ndim == 0 or y.shape[0] != x.shape[0]:
        raise InputError(f"inputs and targets have mismatched lengths: {x.shape[0]} samples and targets of shape {tuple(y.shape)}; wanted one each.")
    for name, part in (("inputs", x), ("targets", y)):
        if part.is_floating_point() and not bool(torch.isfinite(part).all()):
            raise InputError(f"{name} hold NaN or infinity; clean the data first.")
    return x, y


def probe(module: nn.Module, given: str | Loss, loss: Loss, x: Tensor, y: Tensor) -> None:
    """Try the module and the loss on one and on two samples, without touching gradients or global random state.

    Raises:
        InputError: labels outside the classes, shapes that do not fit, a loss that is not per sample, a module that is random or couples samples.
    """
    first = next(module.parameters())
    x, y = x[:2].to(first.device), y.to(first.device)
    x = x.to(first.dtype) if x.is_floating_point() else x
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        output = module(x)
        _refuse_targets(given, output, y)
        y = y[:2].to(first.dtype) if y.is_floating_point() else y[:2]
        values = loss(output, y)
        if tuple(values.shape) != (x.shape[0],):
            reduced = "a single number, so it is mean-reduced" if values.ndim == 0 else f"shape {tuple(values.shape)}"
            raise InputError(f"loss(output, target) of {x.shape[0]} samples gave {reduced}; wanted one number per sample, [B] (reduction='none').")
        again, alone = loss(module(x), y), torch.cat([loss(module(x[i : i + 1]), y[i : i + 1]) for i in range(x.shape[0])])
    if not bool(torch.equal(values, again)):
        raise InputError(f"{type(module).__name__} gives another loss on the same samples each time: it is random (dropout?). Call module.eval().")
    scale = float(values.abs().max()) + 1e-30
    if float((values - alone).abs().max()) > 1e4 * torch.finfo(values.dtype).eps * scale:
        raise InputError(f"{type(module).__name__} gives a sample another loss in company than alone: it couples the samples of a batch.")


def _refuse_targets(given: str | Loss, output: Tensor, y: Tensor) -> None:
    if given == "mse" and output.shape[1:] != y.shape[1:]:
        raise InputError(f"outputs of shape [n, {', '.join(map(str, output.shape[1:]))}] and targets {tuple(y.shape)}; 'mse' wants equal shapes: reshape one.")
    if (given == "cross_entropy" or isinstance(given, nn.CrossEntropyLoss)) and not y.is_floating_point():
        if output.ndim < 2:
            raise InputError(f"outputs have shape {tuple(output.shape)}; cross-entropy wants one column per class, [n, classes].")
        low, high, classes = int(y.min()), int(y.max()), output.shape[1]
        if low < 0 or high >= classes:
            raise InputError(f"labels outside the classes: they run from {low} to {high}; the module has {classes} outputs, wanted 0…{classes - 1}.")
