"""Curvature and noise of perceptrons through training: top eigenvalues, tr M/tr H, overlap of the top eigenspaces of H and M, outliers of G.

Nothing dense: extreme eigenpairs by Lanczos, tr H by random signs, tr M exactly, so that the same study runs on digits here and on MNIST, Fashion-MNIST or
CIFAR-10 from local files (``data=mnist folder=…``). A path is one network from its own start. Sagun et al. 1706.04454; Li et al. 1907.10732.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sgdsde.plots import Panel, Series
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, InputError

QUANTITIES = ("loss", "λmax(H)", "tr M/tr H", "overlap", "outliers of G")
#: networks below which a normal interval is not to be trusted
FEWEST = 30


@dataclass(frozen=True)
class Config(StudyConfig):
    """Data, network, training, checkpoints."""

    data: Literal["digits", "mnist", "fashion-mnist", "cifar10"] = option("digits", "the data set; all but digits from files in folder")
    folder: str = option("", "where the files of the others lie")
    samples: int = option(1000, "training samples", low=20, high=60_000)
    hidden: tuple[int, ...] = option((20, 19), "units of the hidden layers, all different", low=1, high=10_000)
    activation: Literal["relu", "tanh"] = option("relu", "activation of the hidden layers")
    eta: float = option(0.1, "step size", above=0, high=10)
    batch: int = option(32, "batch size", low=1, high=60_000)
    steps: tuple[int, ...] = option((0, 300, 1000, 3000, 10000), "checkpoints", low=0, high=10_000_000)
    top: int = option(10, "dimension of the eigenspaces compared", low=1, high=1000)
    shown: int = option(25, "largest eigenvalues that are kept", low=2, high=1000)
    vectors: int = option(64, "random vectors for tr H", low=2, high=100_000)


class Spectra(Study[Config]):
    """One cell for each checkpoint."""

    title = "Curvature and noise of perceptrons through training"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 2, "block_paths": 1, "samples": 500, "steps": (0, 300, 3000)},
        "full": {"paths": 32, "block_paths": 1},
        "paper": {"paths": 32, "block_paths": 1, "data": "mnist", "samples": 60_000, "hidden": (100, 50), "batch": 64, "steps": (0, 1000, 10_000, 100_000)},
    }

    def check(self, config: Config) -> None:
        if config.data != "digits" and not config.folder:
            raise InputError(f"data = {config.data} lies in local files; wanted folder=…, it is never downloaded.")
        if config.batch > config.samples:
            raise InputError(f"batch = {config.batch} exceeds samples = {config.samples}.")

    def cells(self, config: Config) -> Sequence[str]:
        return [f"step {step}" for step in config.steps]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(eta=config.eta, batch_size=config.batch, n=config.samples, sampling="epoch shuffling", device=config.device, time="step k")

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        import torch

        from sgdsde.curvature import RatioRule, eigsh, gauss_newton_operator, hessian_operator, overlap, second_moment_operator, trace
        from sgdsde.data import cifar10, digits, fashion_mnist, mnist
        from sgdsde.measurements.hessian_network import perceptron, start
        from sgdsde.training import SGD, train

        readers = {"mnist": mnist, "fashion-mnist": fashion_mnist, "cifar10": cifar10}
        data = digits(count=config.samples) if config.data == "digits" else readers[config.data](config.folder, count=config.samples)
        network, step = perceptron(data, config.hidden, activation=config.activation), int(cell.removeprefix("step "))
        theta = start(network, seed, paths).to(config.device)
        if step:
            theta = train(network, theta, optimiser=SGD(config.eta), batch_size=config.batch, steps=step, seed=seed).final
        rows, spectra = [], []
        for point in theta:
            H, M, G = (make(network, point) for make in (hessian_operator, second_moment_operator, gauss_newton_operator))
            curved, noisy = eigsh(H, config.top, dense_below=0), eigsh(M, config.top, dense_below=0)
            values = eigsh(G, config.shown, dense_below=0).values
            traces = [float(trace(part, vectors=config.vectors, seed=seed % 2**31).value) for part in (M, H)]
            with torch.no_grad():
                loss = float(network.loss(point[None])[0])
            count = RatioRule(most=config.shown - 1).split(values).count
            rows.append([loss, float(curved.values[0]), traces[0] / traces[1], overlap(curved.vectors, noisy.vectors).value, float(count)])
            spectra.append(values.cpu().numpy())
        return {"numbers": Moments.of(np.array(rows)), "spectrum": Moments.of(np.stack(spectra))}

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        found = {step: cells[f"step {step}"]["numbers"].mean_estimate() for step in config.steps}
        lines = [Line(f"step {step}", name, found[step][i]) for step in config.steps for i, name in enumerate(QUANTITIES)]
        x = np.array([max(step, 10) for step in config.steps], dtype=float)
        panels = []
        for i, name in enumerate(QUANTITIES[1:4], 1):
            value, low, high = (np.array([getattr(found[step][i], part) for step in config.steps], dtype=float) for part in ("value", "low", "high"))
            log = "x" if name == "overlap" else "xy"
            panels.append(
                Panel(
                    name, "step (0 drawn at 10)", name, (Series(name, "", x, value, low if log == "x" else np.maximum(low, value / 10), high, "band"),), log=log
                )
            )
        rank = np.arange(1.0, config.shown + 1)
        spectra = [
            Series(f"{step}", f"step {step:,}", rank, np.maximum(cells[f"step {step}"]["spectrum"].mean_estimate().value, 1e-12), kind="band")
            for step in config.steps
        ]
        panels.append(Panel("Largest eigenvalues of G", "rank", "eigenvalue, mean", tuple(spectra), log="y"))
        lost = sum(int(np.sum(parts["numbers"].lost)) for parts in cells.values())
        notes = [f"{lost} numbers are not finite: a network diverged"] if lost else []
        if config.paths < FEWEST:
            notes.append(f"{config.paths} networks: the normal intervals are too narrow below {FEWEST}")
        return Summary(tuple(lines), tuple(panels), tuple(notes))


STUDY = Spectra()
