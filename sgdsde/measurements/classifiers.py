"""Classifiers that the studies of curvature train: digits, or MNIST, Fashion-MNIST and CIFAR-10 from local files; perceptrons and small convolutional networks.

Depth d and width w: d hidden layers of w units, or d convolutions (3 × 3, w channels, each followed by ReLU and max-pooling by 2), then a linear layer;
ReLU, cross-entropy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sgdsde.data import Data, cifar10, digits, fashion_mnist, mnist
from sgdsde.objectives import Network
from sgdsde.rng import stream
from sgdsde.runs import StudyConfig, option
from sgdsde.training import Plain, TrainingNetwork
from sgdsde.types import Conventions, InputError

DIGITS = 1797
READERS = {"mnist": mnist, "fashion-mnist": fashion_mnist, "cifar10": cifar10}


@dataclass(frozen=True)
class ClassifierConfig(StudyConfig):
    """Data, network and step size; a path is one network from its own start, with its own batches."""

    paths: int = option(16, "networks a cell, each from its own start", low=1, high=10**6)
    block_paths: int = option(1, "networks a block: the unit that is stored, retried and resumed; part of the recipe", low=1, high=10**4)
    data: Literal["digits", "mnist", "fashion-mnist", "cifar10"] = option("digits", "the data set; all but digits from files in folder")
    folder: str = option("", "where the files of the others lie")
    samples: int = option(1000, "training samples", low=20, high=60_000)
    model: Literal["mlp", "cnn"] = option("mlp", "perceptron, or convolutions and a linear layer")
    width: int = option(20, "units a hidden layer, or channels a convolution", low=1, high=10_000)
    depth: int = option(2, "hidden layers, or convolutions", low=1, high=20)
    eta: float = option(0.1, "step size", above=0, high=10)
    precision: Literal["float32", "float64"] = option("float64", "of the networks and their curvature")


def check(config: ClassifierConfig, *batches: int) -> None:
    """Refuse, before any work, data without a folder, more digits than there are, and batches larger than the data.

    Raises:
        InputError: one of these.
    """
    if config.data == "digits" and config.samples > DIGITS:
        raise InputError(f"samples = {config.samples}; digits has {DIGITS:,}.")
    if config.data != "digits" and not config.folder:
        raise InputError(f"data = {config.data} lies in local files; wanted folder=…, it is never downloaded.")
    if batches and max(batches) > config.samples:
        raise InputError(f"batch = {max(batches)} exceeds samples = {config.samples}.")


def conventions(config: ClassifierConfig, batch: int | None = None) -> Conventions:
    """η, n and how batches are drawn."""
    return Conventions(
        eta=config.eta, batch_size=batch, n=config.samples, sampling="epoch shuffling", dtype=config.precision, device=config.device, time="step k"
    )


def data_of(config: ClassifierConfig, *, classes: int | None = None, redrawn: float = 0.0, standardize: bool = False, seed: int = 0) -> Data:
    """The training samples; a share ``redrawn`` of their labels drawn anew from ``seed``; features standardised.

    With ``classes`` those of the first so many classes only, then perhaps fewer than ``samples``.

    Raises:
        InputError: fewer samples than wanted, or as the readers.
    """
    if config.data == "digits":
        data = digits(classes=classes)
    else:
        count = config.samples if classes is None else None
        data = READERS[config.data](config.folder, count=count, dtype=getattr(torch, config.precision))
        data = data if classes is None else data.only(range(classes))
    data = data.take(config.samples if classes is None else min(config.samples, len(data)))
    data = data.standardized() if standardize else data
    return with_random_labels(data, redrawn, seed) if redrawn else data


def with_random_labels(data: Data, share: float, seed: int) -> Data:
    """Each sample's label is drawn anew among the classes with chance ``share``."""
    generator = stream(seed, "random labels")
    chosen = torch.rand(len(data), generator=generator) < share
    labels = torch.where(chosen, torch.randint(data.classes or 1, (len(data),), generator=generator), data.y)
    return replace(data, y=labels, name=f"{data.name}, {int(chosen.sum())} labels redrawn")


def module_of(config: ClassifierConfig, data: Data, *, width: int | None = None, depth: int | None = None, norm: bool = False) -> nn.Sequential:
    """The module; with ``norm`` a BatchNorm stands before each ReLU. Its weights are unused: starts are drawn from a seed.

    Raises:
        InputError: images too small for so many poolings.
    """
    width, depth, classes = width or config.width, depth or config.depth, data.classes or 1
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):  # modules draw their weights from the global state only; the fork gives it back
        if config.model == "mlp":
            wide = data.x.shape[1]
            for _ in range(depth):
                layers += [nn.Linear(wide, width), *([nn.BatchNorm1d(width)] if norm else []), nn.ReLU()]
                wide = width
        else:
            channels, side = data.images().shape[1:3]
            if side >> depth < 1:
                raise InputError(f"depth = {depth}: images of {side} pixels a side are pooled away; wanted 2**depth ≤ {side}.")
            for _ in range(depth):
                layers += [nn.Conv2d(channels, width, 3, padding=1), *([nn.BatchNorm2d(width)] if norm else []), nn.ReLU(), nn.MaxPool2d(2)]
                channels, side = width, side // 2
            layers.append(nn.Flatten())
            wide = width * side * side
        return nn.Sequential(*layers, nn.Linear(wide, classes)).to(getattr(torch, config.precision))


def inputs_of(config: ClassifierConfig, data: Data) -> Tensor:
    """What the module takes: pixels in a row, or images."""
    return (data.x if config.model == "mlp" else data.images()).to(getattr(torch, config.precision))


def network_of(config: ClassifierConfig, data: Data, *, width: int | None = None, depth: int | None = None) -> Network:
    """The network on its data."""
    return Network(module_of(config, data, width=width, depth=depth), "cross_entropy", inputs_of(config, data), data.y)


def normalised_of(config: ClassifierConfig, data: Data, *, width: int | None = None, depth: int | None = None) -> TrainingNetwork:
    """The same with BatchNorm, in training mode."""
    return TrainingNetwork(module_of(config, data, width=width, depth=depth, norm=True), "cross_entropy", inputs_of(config, data), data.y)


def starts(network: Network, seed: int, paths: int, *, device: str = "cpu") -> Float[Tensor, "paths dim"]:
    """PyTorch's own initialisation from a seed."""
    return network.initial(paths, stream(seed, "starts")).to(device)


def alive(network: Network | TrainingNetwork, states: Float[Tensor, "paths dim"]) -> list[int]:
    """The paths whose point and loss are finite: the others have diverged, and have no curvature."""
    kept = torch.isfinite(states).all(1).nonzero()[:, 0].tolist()
    trainable = network if isinstance(network, TrainingNetwork) else Plain(network)
    return [path for path in kept if bool(torch.isfinite(trainable.evaluate(states[path : path + 1]).loss).all())]
