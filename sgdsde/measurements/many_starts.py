"""Many networks trained side by side, each from a start of its own: its own data, its own initialisation, its own order of samples.

A statement about "networks" is one about this population. Start s draws, each from its own stream, the classes and samples (or the Gaussian blobs), the
initialisation, and the permutations of every epoch; two settings with one seed share all of them that they can, so that they are compared start by start.
All samples of all starts lie in one network; ``rows[s]`` are those of start s. All in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sgdsde.data import Data, blobs, digits
from sgdsde.measurements.hessian_network import RATE, perceptron
from sgdsde.objectives import Network
from sgdsde.objectives.network_batched import Batched
from sgdsde.rng import stream
from sgdsde.training.batches import Batches
from sgdsde.types import DomainError

#: steps after which a start counts as lost, and steps between two looks at the loss
MOST, EVERY = 20_000, 10
#: digits that the rarest class has: so many samples a class there always are
RAREST = 174


@dataclass(frozen=True)
class Population:
    """Trained networks: θ ``[starts, dim]``, the samples of each, and the steps that each took."""

    network: Network
    rows: Int[Tensor, "starts n"]
    theta: Float[Tensor, "starts dim"]
    steps: Int[Tensor, " starts"]

    @property
    def n(self) -> int:
        """Samples of one start."""
        return self.rows.shape[1]


def batched(network: Network) -> Batched:
    """The network's batched arithmetic, which takes samples by start."""
    assert isinstance(network.method, Batched)  # perceptrons are chains of linear layers
    return network.method


def own_data(run: Mapping[str, Any], starts: int, seed: int) -> tuple[Data, Int[Tensor, "starts n"]]:
    """The samples of all starts in one, and which are whose.

    Of a run count ``classes``, ``samples`` (at most), and perhaps ``blobs``: their dimension, ``standardize``, ``random labels``: the share redrawn,
    ``again``: another population. With fewer than ten classes of digits each start draws its own.
    """
    classes, dim, again = run["classes"], run.get("blobs", 0), run.get("again", "")
    count = run["samples"] if dim else min(run["samples"], RAREST * classes)
    whole = None if dim else digits(standardize=run.get("standardize", False))
    parts = []
    for start in range(starts):
        generator = stream(seed, f"own data{again}", start)
        if whole is None:
            data = blobs(int(torch.randint(2**31, (), generator=generator)), classes=classes, dim=dim, count=count)
        else:
            chosen = torch.randperm(10, generator=generator)[:classes].tolist()
            some = whole if classes == 10 else whole.only(chosen)
            order = torch.randperm(len(some), generator=generator)[:count]
            data = replace(some, x=some.x[order], y=some.y[order])
        parts.append(_redrawn(data, run.get("random labels", 0.0), stream(seed, f"own labels{again}", start)))
    name = f"{starts} × {count} samples of {'blobs' if dim else 'digits'}, {classes} classes each"
    joined = replace(parts[0], x=torch.cat([data.x for data in parts]), y=torch.cat([data.y for data in parts]), name=name)
    return joined, torch.arange(starts * count).reshape(starts, count)


def _redrawn(data: Data, share: float, generator: torch.Generator) -> Data:
    """A share of the labels drawn anew; shares are nested: what is redrawn at one is redrawn, to the same labels, at each larger one."""
    chosen = torch.rand(len(data), generator=generator) < share
    return replace(data, y=torch.where(chosen, torch.randint(int(data.classes or 0), (len(data),), generator=generator), data.y))


def population(run: Mapping[str, Any], *, starts: int, seed: int) -> Population:
    """``starts`` perceptrons (``hidden``; perhaps ``activation``) trained by SGD at η = .1 (``batch``, 0: full) until each one's loss is ``loss``.

    Raises:
        DomainError: a start does not reach the loss.
    """
    data, rows = own_data(run, starts, seed)
    network = perceptron(data, run["hidden"], activation=run.get("activation", "relu"))
    theta = initial(network, starts, seed, run.get("again", ""))
    theta, steps = train_to_loss(network, rows, theta.float(), batch=run["batch"] or rows.shape[1], loss=run["loss"], seed=seed)
    lost = int((steps < 0).sum())
    if lost:
        raise DomainError(f"{lost} of {starts} starts did not fall to loss {run['loss']} in {MOST} steps.")
    return Population(network, rows, theta, steps)


def initial(network: Network, starts: int, seed: int, again: str = "") -> Float[Tensor, "starts dim"]:
    """PyTorch's own initialisation, a stream a start: as many starts as one likes, the first are the same."""
    return torch.cat([network.initial(1, stream(seed, f"own initialisation{again}", start)) for start in range(starts)])


def train_to_loss(network: Network, rows: Tensor, theta: Tensor, *, batch: int, loss: float, seed: int) -> tuple[Tensor, Tensor]:
    """Each start until its own training loss is ``loss`` or below (looked at every ten steps); (θ, steps), −1 steps where it never is."""
    method, order = batched(network), _order(rows, batch, seed)
    final, ended = theta.clone(), torch.full((len(theta),), -1)
    running = torch.arange(len(theta))
    for k in range(MOST + 1):
        if k % EVERY == 0:
            done = method.sample_loss(theta, rows[running]).mean(1) <= loss
            final[running[done]], ended[running[done]] = theta[done], k
            going = (~done).nonzero()[:, 0]
            running, theta = running[going], theta[going]
            order.keep(going)
            if not len(running):
                break
        theta = theta - RATE * method.weighted_grad(theta, None, _taken(rows[running], order.at(k)))
    return final, ended


def train_through(network: Network, rows: Tensor, theta: Tensor, *, batch: int, save: Sequence[int], seed: int) -> Float[Tensor, "saved starts dim"]:
    """Every start at the steps ``save`` (ascending)."""
    walk = each_step(network, rows, theta, batch=batch, steps=save[-1], seed=seed)
    return torch.stack([point for k, (point, _) in enumerate(walk) if k in save])


def each_step(network: Network, rows: Tensor, theta: Tensor, *, batch: int, steps: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """(θ_k, ĝ_k) of every start, k = 0 … ``steps``, where θ_{k+1} = θ_k − ηĝ_k."""
    method, order = batched(network), _order(rows, batch, seed)
    for k in range(steps + 1):
        gradient = method.weighted_grad(theta, None, _taken(rows, order.at(k)))
        yield theta, gradient
        theta = theta - RATE * gradient


def _order(rows: Tensor, batch: int, seed: int) -> Batches:
    return Batches(rows.shape[1], batch, "epoch", list(map(partial(stream, seed, "own order"), range(len(rows)))))


def _taken(rows: Tensor, batch: Tensor | None) -> Tensor:
    """The samples, among all, of each start's batch."""
    return rows if batch is None else rows.gather(1, batch)
