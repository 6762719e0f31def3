"""What can be trained: something with a loss of a minibatch, f(θ; batch, masks), and an answer in evaluation mode.

For a plain objective the loss of a minibatch is the mean of its samples' losses. For a network with BatchNorm or dropout
(:class:`sgdsde.training.TrainingNetwork`) it is not: it depends on who else is in the batch and on random masks. Both are arguments here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor

from sgdsde.calculus import weighted_grad
from sgdsde.given import is_whole, seen
from sgdsde.objective import Facts, Objective, as_objective
from sgdsde.objectives.network import Network
from sgdsde.types import InputError

Masks = dict[str, Tensor]
#: numbers that one evaluation of all samples may hold at once
_PIECE_ELEMENTS = 2**24


@dataclass(frozen=True)
class Evaluation:
    """Mean loss and share of right answers, each ``[P]``; accuracy is NaN where the answers are no classes."""

    loss: Float[Tensor, " paths"]
    accuracy: Float[Tensor, " paths"]


class Trainable(ABC):
    """The view that :func:`sgdsde.training.train` has of an objective. ``mode`` says in words what evaluation in training mode means."""

    dim: int
    n: int
    mode: str
    #: a batch must hold as many samples
    smallest_batch: int = 1

    @abstractmethod
    def draw(self, theta: Tensor, size: int, generators: Sequence[Generator]) -> Masks:
        """Masks for a batch of ``size`` samples, one generator a path; empty where nothing is random."""

    @abstractmethod
    def grad(self, theta: Float[Tensor, "paths dim"], batch: Int[Tensor, "paths batch"] | None, masks: Masks) -> Float[Tensor, "paths dim"]:
        """The gradient of the minibatch's mean loss in training mode."""

    @abstractmethod
    def evaluate(self, theta: Float[Tensor, "paths dim"], inputs: Tensor | None = None, targets: Tensor | None = None) -> Evaluation:
        """Loss and accuracy in evaluation mode, on the training data or on other data."""

    @abstractmethod
    def objective(self, samples: int | None = None, *, seed: int = 0) -> Objective:
        """The mean loss in training mode over the first ``samples`` (None: all) as an objective: what curvature is measured of."""


class Plain(Trainable):
    """An objective whose samples do not meet: training mode and evaluation mode are one."""

    def __init__(self, objective: Objective) -> None:
        self.whole = as_objective(objective)
        self.dim, self.n = objective.dim, objective.n
        self.mode = "no layer has a mode"

    def draw(self, theta: Tensor, size: int, generators: Sequence[Generator]) -> Masks:
        return {}

    def grad(self, theta: Tensor, batch: Tensor | None, masks: Masks) -> Tensor:
        return weighted_grad(self.whole, theta, None, batch)

    def evaluate(self, theta: Tensor, inputs: Tensor | None = None, targets: Tensor | None = None) -> Evaluation:
        if not isinstance(self.whole, Network):
            if inputs is not None:
                raise InputError(f"{type(self.whole).__name__} answers no new inputs; wanted sg.objectives.Network.")
            loss = self.whole.loss(theta).detach()
            return Evaluation(loss, torch.full_like(loss, torch.nan))
        x, y = checked_data(self.whole, theta, inputs, targets)
        with torch.no_grad():
            outputs = torch.cat([self.whole.outputs(theta, part) for part in pieces(x, theta)], 1)  # [paths, n, ...]
        return judged(outputs, y, self.whole)

    def objective(self, samples: int | None = None, *, seed: int = 0) -> Objective:
        return self.whole if samples is None or samples >= self.n else FirstSamples(self.whole, samples)


class FirstSamples(Objective):
    """The mean loss over the first ``count`` samples of an objective, for instance those on which curvature is measured."""

    def __init__(self, whole: Objective, count: int) -> None:
        as_objective(whole)
        if not is_whole(count, 1, whole.n):
            raise InputError(f"count = {count!r}; wanted an integer in 1…{whole.n}, the number of samples.")
        self.whole, self.dim, self.n, self.mode = whole, whole.dim, int(count), whole.mode
        self.facts = Facts() if whole.facts.sample_grads is None else Facts(sample_grads=self._sample_grads)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return self.whole.sample_loss(theta, self._among_all(theta, batch))

    def _sample_grads(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        known = self.whole.facts.sample_grads
        assert known is not None
        return known(theta, self._among_all(theta, batch))

    def _among_all(self, theta: Tensor, batch: Tensor | None) -> Tensor:
        return torch.arange(self.n, device=theta.device).expand(theta.shape[0], self.n) if batch is None else batch


def checked_data(network: Network, theta: Tensor, inputs: Tensor | None, targets: Tensor | None) -> tuple[Tensor, Tensor]:
    """The data to evaluate on, beside θ: the network's own, or new ones of equal length."""
    if inputs is None and targets is None:
        return network.inputs.at(theta), network.targets.at(theta)
    if inputs is None or targets is None or np.ndim(inputs) == 0 or np.ndim(targets) == 0 or len(inputs) != len(targets) or len(inputs) == 0:
        raise InputError("Evaluation on other data wants inputs and targets, both, of one length > 0.")
    inputs, targets = seen(inputs, "inputs"), seen(targets, "targets")
    x = inputs.to(device=theta.device, dtype=theta.dtype) if inputs.is_floating_point() else inputs.to(theta.device)
    return x, targets.to(device=theta.device, dtype=theta.dtype) if targets.is_floating_point() else targets.to(theta.device)


def pieces(x: Tensor, theta: Tensor) -> tuple[Tensor, ...]:
    """x in pieces of samples small enough for all paths at once."""
    width = max(1, x[0].numel(), int(theta.shape[1] ** 0.5))
    return x.split(max(1, _PIECE_ELEMENTS // (theta.shape[0] * width)))


def judged(outputs: Float[Tensor, "paths n ..."], y: Tensor, network: Network) -> Evaluation:
    """Loss and accuracy of the answers; the class is the largest output, of targets that are no labels as well (one-hot)."""
    loss = torch.stack([network.loss_function(row, y).mean() for row in outputs])
    if outputs.ndim == 3 and outputs.shape[2] > 1 and (not y.is_floating_point() or y.shape == outputs.shape[1:]):
        labels = y.argmax(1) if y.is_floating_point() else y
        return Evaluation(loss, (outputs.argmax(2) == labels).to(loss.dtype).mean(1))
    return Evaluation(loss, torch.full_like(loss, torch.nan))
