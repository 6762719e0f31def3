"""Sharpness and generalisation: λmax, tr H, tr(HΣ) and test accuracy of networks trained to one stop, over η × B, SAM, dropout and BatchNorm.

Protocol of Kaur, Cohen and Lipton (arXiv 2206.10654): stop at 99 % training accuracy (evaluation mode), λmax of the loss in training mode on the first 1,000
training samples. A path is a seed: a start with its own batches. Digits by default; MNIST, Fashion-MNIST and CIFAR-10 from a local folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

import sgdsde as sg
from sgdsde.plots import Panel, Series
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, Estimate, InputError, Status

CURVATURE_SAMPLES = 1000
MEASURES = {"log lambda": "λmax", "trace": "tr H", "aligned": "tr(HΣ)", "accuracy": "test accuracy, %"}


@dataclass(frozen=True)
class Config(StudyConfig):
    """Data, model, and the interventions; SAM, dropout and BatchNorm are tried at the middle rate."""

    data: Literal["digits", "mnist", "fashion-mnist", "cifar-10"] = option("digits", "data set")
    folder: str = option("", "where the files of MNIST, Fashion-MNIST or CIFAR-10 lie")
    model: Literal["mlp", "cnn"] = option("mlp", "two hidden layers of `width`, or two convolutions of `width` channels and a linear layer")
    width: int = option(20, "units a hidden layer, or channels", low=2, high=4096)
    samples: int = option(1000, "training samples", low=100, high=60_000)
    rates: tuple[float, ...] = option((0.05, 0.1, 0.2, 0.4), "learning rates", above=0, high=10)
    batches: tuple[int, ...] = option((8, 32, 128), "batch sizes", low=2, high=60_000)
    radii: tuple[float, ...] = option((0.05, 0.1, 0.2), "radii of SAM", above=0, high=10)
    dropouts: tuple[float, ...] = option((0.1, 0.2, 0.3), "dropout after each hidden layer", above=0, high=0.95)
    most: int = option(20_000, "steps at most", low=10, high=10**8)


class Generalisation(Study[Config]):
    """One cell a setting, one path a seed."""

    title = "Sharpness and generalisation over learning rate, batch size, SAM, dropout and BatchNorm"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 16, "block_paths": 16, "samples": 500, "batches": (8, 32, 128), "dropouts": (0.1, 0.2), "most": 4000},
        "full": {"paths": 64, "block_paths": 32, "batches": (8, 32, 128, 512)},
        "paper": {"paths": 200, "block_paths": 50, "data": "fashion-mnist", "model": "cnn", "width": 16, "samples": 10_000, "device": "cuda", "most": 200_000},
    }

    def check(self, config: Config) -> None:
        if config.data != "digits" and not config.folder:
            raise InputError(f"data = {config.data}: wanted the folder with its files, --folder DIR.")
        if max(config.batches) > config.samples:
            raise InputError(f"batches up to {max(config.batches)} of {config.samples} samples; wanted none larger than all samples.")
        if config.data == "digits" and config.samples > 1200:
            raise InputError(f"samples = {config.samples}; digits has 1,797, of which 1,200 at most are for training.")

    def cells(self, config: Config) -> Sequence[str]:
        middle, rate = config.batches[len(config.batches) // 2], config.rates[len(config.rates) // 2]
        plain = [f"SGD eta={rate} B={B}" for B in config.batches for rate in config.rates]
        sam = [f"SAM eta={rate} B={B} rho={rho}" for B in config.batches for rho in config.radii]
        dropout = [f"dropout eta={rate} B={middle} p={p}" for p in config.dropouts]
        return plain + sam + dropout + [f"BatchNorm eta={rate} B={middle}" for rate in config.rates]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(n=config.samples, sampling="epoch shuffling", device=config.device, dtype="float32", time="step k")

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        import torch

        kind, parts = _parts(cell)
        train, test = _data(config)
        objective, start = _objective(config, kind, parts, train, paths, seed)
        optimiser = sg.training.SAM(parts["eta"], radius=parts["rho"]) if kind == "SAM" else sg.training.SGD(parts["eta"])
        rule = sg.training.TrainAccuracy(share=0.99)
        run = sg.training.train(objective, start, optimiser=optimiser, batch_size=int(parts["B"]), steps=config.most, seed=seed, stop=rule)
        trainable = objective if isinstance(objective, sg.training.Trainable) else sg.training.Plain(objective)
        finite = ~run.diverged().to(run.final.device)
        theta = torch.where(finite[:, None], run.final, torch.zeros_like(run.final))
        f = trainable.objective(CURVATURE_SAMPLES, seed=0)
        sharpness = sg.training.largest_eigenvalues(f, theta, tolerance=1e-2).values.clamp(min=1e-12).log()
        x, y = (test.images() if config.model == "cnn" else test.x), test.y
        accuracy = 100 * trainable.evaluate(theta, x.to(torch.float32), y).accuracy
        trace, aligned = _traces(f, theta, int(parts["B"]), seed)
        values = {"log lambda": sharpness, "trace": trace, "aligned": aligned, "accuracy": accuracy}
        found = {name: Moments.of(torch.where(finite, value, torch.nan).double().cpu()) for name, value in values.items()}
        return found | {"steps": Moments.of(run.ended.double()), "reached": Moments.of((run.status == int(Status.EXITED)).double())}

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines, notes = [], []
        for cell, found in cells.items():
            for name, words in MEASURES.items():
                lines.append(Line(cell, words, _estimate(found[name], name)))
            reached = float(found["reached"].mean)
            if reached < 1:
                notes.append(f"{cell}: {100 * reached:.0f} % of {int(found['reached'].count)} seeds reached 99 % training accuracy in {config.most} steps")
        panels = [_against_rate(config, cells, name, words) for name, words in MEASURES.items()]
        return Summary(tuple(lines), (*panels, *(_against_accuracy(cells, name) for name in ("log lambda", "aligned"))), tuple(notes))


def _data(config: Config) -> tuple[Any, Any]:
    import torch

    data = sg.data
    if config.data == "digits":
        whole = data.digits()
        order = torch.randperm(len(whole), generator=sg.rng.stream(0, "digits split"))
        first, rest = order[: config.samples], order[max(1000, config.samples) :]
        return replace(whole, x=whole.x[first], y=whole.y[first]), replace(whole, x=whole.x[rest], y=whole.y[rest])
    load = {"mnist": data.mnist, "fashion-mnist": data.fashion_mnist, "cifar-10": data.cifar10}[config.data]
    return load(config.folder, split="train", count=config.samples, dtype=torch.float32), load(config.folder, split="test", dtype=torch.float32)


def _objective(config: Config, kind: str, parts: Mapping[str, float], data: Any, paths: int, seed: int) -> tuple[Any, Any]:
    """The objective in training mode, and the starts ``[paths, dim]``."""
    import torch
    from torch import nn

    norm, share, x = kind == "BatchNorm", parts.get("p", 0.0), data.images() if config.model == "cnn" else data.x
    layers: list[nn.Module] = []
    if config.model == "mlp":
        wide = x.shape[1]
        for _ in range(2):
            layers += [nn.Linear(wide, config.width), *([nn.BatchNorm1d(config.width)] if norm else []), nn.ReLU(), *([nn.Dropout(share)] if share else [])]
            wide = config.width
    else:
        channels, side = x.shape[1], x.shape[2]
        for _ in range(2):
            layers += [nn.Conv2d(channels, config.width, 3, padding=1), *([nn.BatchNorm2d(config.width)] if norm else []), nn.ReLU(), nn.MaxPool2d(2)]
            channels, side = config.width, side // 2
        layers += [*([nn.Dropout(share)] if share else []), nn.Flatten()]
        wide = config.width * side * side
    module = nn.Sequential(*layers, nn.Linear(wide, data.classes))
    start = sg.rng.stream(seed, "starts")
    if norm or share:
        trained = sg.training.TrainingNetwork(module, "cross_entropy", x, data.y)
        return trained, trained.frozen.initial(paths, start).to(config.device, torch.float32)
    network = sg.objectives.Network(module, "cross_entropy", x, data.y)
    return network, network.initial(paths, start).to(config.device, torch.float32)


def _traces(f: Any, theta: Any, batch: int, seed: int) -> tuple[Any, Any]:
    """tr H and tr(HΣ) of each path by 8 random vectors; Σ of the cell's batch size."""
    import torch

    generator = sg.rng.stream(seed, "traces", device=theta.device)
    trace, aligned, draws = torch.zeros_like(theta[:, 0]), torch.zeros_like(theta[:, 0]), 8
    product = sg.calculus.hvp_at(f, theta)
    for _ in range(draws):
        v = 2.0 * torch.randint(2, theta.shape, generator=generator, device=theta.device).to(theta) - 1
        z = torch.randn(len(theta), f.n, generator=generator, device=theta.device, dtype=theta.dtype)
        u = sg.calculus.weighted_grad(f, theta, (z - z.mean(1, keepdim=True)) / (f.n * batch) ** 0.5, None)
        trace += (v * product(v)).sum(1).detach() / draws
        aligned += (u * product(u)).sum(1).detach() / draws
    return trace, aligned


def _estimate(found: Moments, name: str) -> Estimate:
    mean = found.mean_estimate()
    if not name.startswith("log"):
        return mean
    value, low, high = (float(np.exp(part)) for part in (mean.value, mean.low, mean.high))
    return Estimate(value, value * mean.stderr, mean.n, low, high)


def _against_rate(config: Config, cells: Mapping[str, Mapping[str, Any]], name: str, words: str) -> Panel:
    series = []
    for B in config.batches:
        found = [_estimate(cells[f"SGD eta={rate} B={B}"][name], name) for rate in config.rates]
        value, low, high = (np.array([getattr(part, end) for part in found], dtype=float) for end in ("value", "low", "high"))
        series.append(Series(f"B = {B}", f"B = {B}", np.array(config.rates), value, low, high, "band"))
    return Panel(words, "learning rate η", words, tuple(series), log="x" if name == "accuracy" else "xy")


def _against_accuracy(cells: Mapping[str, Mapping[str, Any]], name: str) -> Panel:
    """Test accuracy against a sharpness, a point a cell, by kind of intervention."""
    points: dict[str, list[tuple[float, float, float, float]]] = {}
    for cell, found in cells.items():
        kind, parts = _parts(cell)
        label = f"{kind}, B = {parts['B']:g}" if kind == "SGD" else kind
        accuracy, at_cell = found["accuracy"].mean_estimate(), float(_estimate(found[name], name).value)
        points.setdefault(label, []).append((at_cell, float(accuracy.value), float(accuracy.low), float(accuracy.high)))
    series = []
    for label, rows in points.items():
        at, value, low, high = np.array(sorted(rows)).T
        series.append(Series(label, label, at, value, low, high, "points"))
    return Panel(f"accuracy against {MEASURES[name]}", MEASURES[name], "test accuracy, %", tuple(series), log="x")


def _parts(cell: str) -> tuple[str, dict[str, float]]:
    kind, *rest = cell.split(" ")
    return kind, {name: float(value) for name, _, value in (part.partition("=") for part in rest)}


STUDY = Generalisation()
