"""SGD on networks against its SDE models, from fresh nets to the edge of stability: errors against η and time, variances along eigenvectors, positivity.

width 0: 18 parameters, everything dense, batches of one sample. width > 0: perceptrons on the pixels, models in product form; ``data=mnist folder=…`` and
``data=cifar10 folder=…`` take the same study to local files. Errors are model − Gaussian surrogate on shared increments, in percent of the surrogate's value;
"noise law" is minibatch SGD − surrogate, two independent ensembles. η = x/λmax at the start. Heun: what remains is its bias, checked by raising substeps.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sgdsde.measurements import network_study
from sgdsde.measurements.network_study import COLUMNS, DEFECT_X, DENSE_MODELS, LARGE_MODELS, STARTS
from sgdsde.plots import Image, Panel, Series
from sgdsde.plots.style import WRITTEN
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, Estimate, InputError, suggest

NAMES = {"loss": "E loss", "squared distance": "E‖θ − θ₀‖²", "function distance": "function-space distance", "accuracy": "test accuracy"}
NAMES |= {"top": "variance in the top 2 directions", "tr Cov": "tr Cov θ"}
LAW = "noise law"
#: processes on random numbers of their own, by the name of their values
APART = {LAW: "SGD", "SVAG": "SVAG", "GD": "GD"}


@dataclass(frozen=True)
class Config(StudyConfig):
    """Data, network, starts and step sizes."""

    data: Literal["digits", "mnist", "cifar10"] = option("digits", "the data set; the last two from files in folder")
    folder: str = option("", "where the files of mnist or cifar10 lie")
    samples: int = option(400, "training samples", low=20, high=60_000)
    held_out: int = option(300, "samples for accuracy and function space", low=1, high=10_000)
    width: int = option(0, "hidden units of the perceptron; 0: the 18-parameter net on 4 principal components", low=0, high=100_000)
    precision: Literal["float32", "float64"] = option("float64", "of perceptrons; the 18-parameter net is in float64")
    batch: int = option(1, "batch size", low=1, high=60_000)
    x: tuple[float, ...] = option((0.15, 0.3, 0.45, 0.6), "values of eta·lambda_max at the start", above=0, high=0.95)
    starts: tuple[str, ...] = option(STARTS, "where SGD and models begin")
    descent: int = option(60, "iterates of full-batch descent to mid-training", low=1, high=1_000_000)
    models: tuple[str, ...] = option(("GradientFlow", "SME1", "SME2", "SPF", "HASME", "HASMEProduct", "SME3", "HASME3"), "models to compare")
    functions: Literal["krylov", "spectral"] = option("krylov", "how perceptrons apply functions of the Hessian")
    saves: tuple[int, ...] = option((1, 2, 4, 8, 16), "steps at which things are compared", low=1, high=100_000)
    marks: tuple[int, ...] = option((1, 3, 10, 30, 100, 300), "steps of the positivity map", low=1, high=1_000_000)
    substeps: int = option(4, "Heun steps a step of SGD", low=1, high=1000)


class NetworkComparison(Study[Config]):
    """One cell for each start and step size, and one for the positivity map."""

    title = "SGD on networks against its SDE models"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 192, "block_paths": 192, "samples": 100, "x": (0.2, 0.4, 0.6), "substeps": 2, "saves": (1, 2, 4, 8), "marks": (1, 3, 10, 30, 100)},
        "full": {"paths": 4096, "block_paths": 512},
        "paper": {
            "paths": 1024, "block_paths": 16, "data": "mnist", "samples": 10_000, "held_out": 1000, "width": 1000, "precision": "float32", "batch": 64,
            "models": LARGE_MODELS, "functions": "spectral", "device": "cuda", "descent": 300, "saves": (1, 4, 16), "substeps": 4,
        },
    }  # fmt: skip

    def check(self, config: Config) -> None:
        for start in config.starts:
            if start not in STARTS:
                raise InputError(f"starts: {start!r} is unknown." + suggest(start, list(STARTS)))
        known = DENSE_MODELS if config.width == 0 else LARGE_MODELS
        for model in config.models:
            if model not in known:
                raise InputError(f"models: {model!r} does not run here." + suggest(model, list(known)))
        if tuple(sorted(set(config.saves))) != config.saves or tuple(sorted(set(config.marks))) != config.marks:
            raise InputError("saves and marks must increase.")
        if config.data != "digits" and not config.folder:
            raise InputError(f"data={config.data} needs folder=…, where its files lie; nothing is downloaded.")

    def cells(self, config: Config) -> Sequence[str]:
        places = [_label(start, x) for start in config.starts for x in config.x]
        return [*places, "positivity"] if config.width == 0 else places

    def conventions(self, config: Config) -> Conventions:
        return Conventions(batch_size=config.batch, n=config.samples, sampling="minibatch with replacement and its Gaussian surrogate", device=config.device)

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        task = network_study.problem(config.data, config.folder, samples=config.samples, held_out=config.held_out, width=config.width, dtype=config.precision)
        if cell == "positivity":
            eta = 0.3 / network_study.largest(task.objective, self._start(config, task, "mid-training"))
            return {"defect": network_study.defects(task, eta=eta, batch=config.batch, marks=config.marks, paths=paths, seed=seed % 2**62)}
        start, x = _parts(cell)
        anchor = self._start(config, task, start)
        eta = x / network_study.largest(task.objective, anchor)
        return network_study.block(
            task, anchor, eta=eta, batch=config.batch, models=config.models, saves=config.saves, substeps=config.substeps, paths=paths,
            seed=seed % 2**62, functions=config.functions,
        )  # fmt: skip

    def _start(self, config: Config, task: network_study.Problem, start: str) -> Any:
        return network_study.start(task, start, seed=config.seed, steps=config.descent, device=config.device)

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines, panels = [], []
        for cell, parts in cells.items():
            if cell == "positivity":
                continue
            for column in COLUMNS:
                for model in (*config.models, *(name for name, process in APART.items() if f"values {process}" in parts)):
                    lines.append(Line(cell, f"error in {NAMES[column]}, % at the last save: {_written(model)}", _error(parts, model, column, -1)))
        for column in ("tr Cov", "loss"):
            panels += [self._against_x(config, cells, start, column) for start in config.starts]
        panels += [self._against_time(config, cells, start) for start in config.starts]
        panels += [self._along(config, cells, start) for start in config.starts]
        if "positivity" in cells:
            found = cells["positivity"]["defect"].mean_estimate()
            mean = found.value
            image = Image(np.array(DEFECT_X), np.log10(config.marks), np.where(mean > 0, mean, np.nan), "mean defect", logarithmic=True)
            panels.append(Panel("Defect of HA-SME's Q along SGD", "largest ηλ", "log₁₀ steps of SGD", (), image=image))
            low = np.maximum(found.low, mean / 10)  # the axis is logarithmic
            looks = itertools.cycle(DENSE_MODELS[1:])
            series = tuple(
                Series(look, f"k = {k}", np.array(DEFECT_X), mean[i], low[i], found.high[i], "band")
                for i, (k, look) in enumerate(zip(config.marks, looks, strict=False))
            )
            panels.append(Panel("Defect of HA-SME's Q after k steps", "largest ηλ", "negative / positive mass", series, log="xy"))
        lost = {cell: int(max(np.max(part.lost) for part in parts.values())) for cell, parts in cells.items()}
        return Summary(tuple(lines), tuple(panels), tuple(f"{cell}: {count} paths diverged" for cell, count in lost.items() if count))

    def _against_x(self, config: Config, cells: Mapping[str, Mapping[str, Any]], start: str, column: str) -> Panel:
        series = []
        for model in _shown(config):
            found = [_error(cells[_label(start, x)], model, column, -1) for x in config.x]
            series.append(_series(model, np.array(config.x), found))
        return Panel(f"{NAMES[column]} after {config.saves[-1]} steps, from {start}", "x = ηλmax", "error, % of SGD's", tuple(series), level=0.0)

    def _against_time(self, config: Config, cells: Mapping[str, Mapping[str, Any]], start: str) -> Panel:
        parts, series = cells[_label(start, config.x[-1])], []
        for model in _shown(config):
            found = [_error(parts, model, "tr Cov", index) for index in range(len(config.saves))]
            series.append(_series(model, np.array(config.saves, dtype=float), found))
        return Panel(f"tr Cov at x = {config.x[-1]:g}, from {start}", "steps", "error, % of SGD's", tuple(series), log="x", level=0.0)

    def _along(self, config: Config, cells: Mapping[str, Mapping[str, Any]], start: str) -> Panel:
        """Variance along the Hessian's eigenvectors at the start over the surrogate's."""
        parts, series = cells[_label(start, config.x[-1])], []
        base = parts["along surrogate"].variance_estimate()
        rank = np.arange(1, len(np.atleast_1d(base.value)) + 1, dtype=float)
        for model in _shown(config)[:-1]:
            change = parts[f"spread {model}"].mean_estimate()
            ratio, half = 1 + change.value / base.value, 1.96 * change.stderr / base.value
            series.append(Series(model, _written(model), rank, ratio, ratio - half, ratio + half, "band"))
        direct = parts["along SGD"].variance_estimate()
        ratio = direct.value / base.value
        half = 1.96 * ratio * np.hypot(direct.stderr / direct.value, base.stderr / base.value)
        series.append(Series("SGD", _written("SGD"), rank, ratio, ratio - half, ratio + half, "band"))
        return Panel(
            f"Variance along eigenvectors, x = {config.x[-1]:g}, from {start}", "eigenvector, largest λ first", "over surrogate's", tuple(series), level=1.0
        )


def _error(parts: Mapping[str, Any], model: str, column: str, save: int) -> Estimate:
    """Model − surrogate at one save in percent of the surrogate's value, on shared increments or, for the noise law, SVAG and GD, on independent ones."""
    index = COLUMNS.index(column)

    def entry(name: str) -> Estimate:
        e = parts[name].mean_estimate()
        value, stderr, low, high = (np.asarray(v)[save, index] for v in (e.value, e.stderr, e.low, e.high))
        return Estimate(value, stderr, e.n, low, high)

    base = float(entry("values surrogate").value)
    if model in APART:
        direct, twin = entry(f"values {APART[model]}"), entry("values surrogate")
        value, stderr = direct.value - twin.value, np.hypot(direct.stderr, twin.stderr)
    else:
        value, stderr = entry(f"error {model}").value, entry(f"error {model}").stderr
    scale = 100 / base if base else np.nan
    return Estimate.normal(scale * value, abs(scale) * stderr, entry("values surrogate").n)


def _shown(config: Config) -> tuple[str, ...]:
    """What the panels draw: gradient flow has no variance and would set their scale."""
    return (*(model for model in config.models if model != "GradientFlow"), LAW)


def _series(model: str, x: np.ndarray, found: Sequence[Estimate]) -> Series:
    value, low, high = (np.array([getattr(e, part) for e in found], dtype=float) for part in ("value", "low", "high"))
    return Series("SGD" if model == LAW else model, _written(model), x, value, low, high, "band")


def _written(model: str) -> str:
    return "minibatch SGD" if model == "SGD" else WRITTEN.get(model, model)


def _label(start: str, x: float) -> str:
    return f"{start} x={x!r}"


def _parts(cell: str) -> tuple[str, float]:
    start, _, x = cell.partition(" x=")
    return start, float(x)


STUDY = NetworkComparison()
