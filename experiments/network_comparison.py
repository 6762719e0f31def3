"""SGD on networks against its SDE models, from fresh nets to the edge of stability: errors against η and time, variances along eigenvectors, positivity.

network=shallow: 18 parameters, everything dense, batches of one sample. network=perceptron: layers on the pixels, models in product form;
``data=mnist folder=…``, ``data=fashion-mnist`` and ``data=cifar10`` take the same study to local files. Errors are model − Gaussian surrogate on shared
increments, in percent of the surrogate's value; "noise law" is minibatch SGD − surrogate, two independent ensembles. η = x/λmax at the start. Heun: what
remains is its bias, checked by raising substeps. One thing at a time changes at mid-training and the largest x: batch size, width, depth, the problem. A pilot
says first how many paths tell HA-SME's error in tr Cov from a rival's.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from sgdsde.measurements import network_panels, network_problems, network_study
from sgdsde.measurements.digits_network import COMPONENTS
from sgdsde.measurements.network_panels import APART, LAW, NAMES, error, written
from sgdsde.measurements.network_problems import STARTS, Kind
from sgdsde.measurements.network_study import COLUMNS, DENSE_MODELS, LARGE_MODELS
from sgdsde.noises.surrogate import DENSE_DIM
from sgdsde.plots import Panel
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, InputError, suggest

#: the axes that are drawn
LABELS = {"B": "batch size B", "width": "width", "depth": "hidden layers"}
#: small problems beside digits on the shallow net: (data, network, width)
PROBLEMS: dict[str, tuple[Any, Any, int]] = {"teacher": ("teacher", "shallow", 3), "convolution": ("digits", "convolution", 2)}
#: where the axes begin, and the rivals of the pilot, the first that the run has
MIDDLE, RIVALS, OWN = "mid-training", ("SPF", "SME2", "SME1"), ("HASME", "HASMEProduct")
THIRD = ("SME3", "HASME3")
PILOT, MAP = "pilot", "positivity"


@dataclass(frozen=True)
class Config(StudyConfig):
    """Data, network, starts and step sizes."""

    data: Literal["digits", "teacher", "mnist", "fashion-mnist", "cifar10"] = option("digits", "the data set; the last three from files in folder")
    folder: str = option("", "where the files of mnist, fashion-mnist or cifar10 lie")
    samples: int = option(400, "training samples", low=20, high=60_000)
    held_out: int = option(300, "samples for accuracy and function space", low=1, high=10_000)
    network: Literal["shallow", "perceptron", "convolution"] = option("shallow", "tanh nets: one layer in closed form, layers, or a convolution")
    width: int = option(3, "hidden units of a layer, or channels", low=1, high=100_000)
    depth: int = option(1, "hidden layers of the perceptron", low=1, high=20)
    components: int = option(0, "principal components in place of pixels, odd against even classes; 0: pixels, or 4 for the shallow net", low=0, high=3072)
    precision: Literal["float32", "float64"] = option("float64", "of parameters")
    batch: int = option(1, "batch size", low=1, high=60_000)
    x: tuple[float, ...] = option((0.15, 0.3, 0.45, 0.6), "values of eta·lambda_max at the start", above=0, high=0.95)
    starts: tuple[str, ...] = option(STARTS, "where SGD and models begin")
    descent: int = option(60, "iterates of full-batch descent to mid-training", low=1, high=1_000_000)
    models: tuple[str, ...] = option(("GradientFlow", "SME1", "SME2", "SPF", "HASME", "HASMEProduct", "SME3", "HASME3"), "models to compare")
    functions: Literal["krylov", "spectral"] = option("krylov", "how perceptrons apply functions of the Hessian")
    saves: tuple[int, ...] = option((1, 2, 4, 8, 16), "steps at which things are compared", low=1, high=100_000)
    marks: tuple[int, ...] = option((1, 3, 10, 30, 100, 300), "steps of the positivity map", low=1, high=1_000_000)
    substeps: int = option(4, "Heun steps a step of SGD", low=1, high=1000)
    batches: tuple[int, ...] = option((1, 2, 4, 16), "batch sizes beside batch, from mid-training at the largest x", low=1, high=60_000, empty=True)
    widths: tuple[int, ...] = option((1, 2, 3, 6, 10), "widths, likewise", low=1, high=100_000, empty=True)
    depths: tuple[int, ...] = option((1, 2, 3), "hidden layers (of a perceptron on 4 components for the shallow net), likewise", low=1, high=20, empty=True)
    problems: tuple[str, ...] = option(("teacher", "convolution"), "small problems beside the one above, likewise; or none", empty=True)
    pilot: int = option(96, "paths of the pilot that says how many paths are needed; 0: no pilot", low=0, high=100_000)


class NetworkComparison(Study[Config]):
    """One cell for each start and step size, and one for the positivity map."""

    title = "SGD on networks against its SDE models"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {
            "paths": 192, "block_paths": 192, "samples": 100, "x": (0.2, 0.4, 0.6), "substeps": 2, "saves": (1, 2, 4, 8), "marks": (1, 3, 10, 30, 100),
            "batches": (1, 4, 16), "widths": (2, 3, 6), "depths": (1, 2), "problems": ("teacher",), "pilot": 64,
        },
        "full": {"paths": 4096, "block_paths": 512},
        "paper": {
            "paths": 1024, "block_paths": 16, "data": "mnist", "samples": 10_000, "held_out": 1000, "network": "perceptron", "width": 1000,
            "precision": "float32", "batch": 64, "models": LARGE_MODELS, "functions": "krylov", "device": "cuda", "descent": 300, "saves": (1, 4, 16),
            "substeps": 4, "batches": (16, 64, 256), "widths": (125, 1000), "depths": (1, 2), "problems": (),
        },
    }  # fmt: skip

    def check(self, config: Config) -> None:
        for start in config.starts:
            if start not in STARTS:
                raise InputError(f"starts: {start!r} is unknown." + suggest(start, list(STARTS)))
        known = DENSE_MODELS if _dense(config) else LARGE_MODELS
        for model in config.models:
            if model not in known:
                raise InputError(f"models: {model!r} does not run here." + suggest(model, list(known)))
        for name in ("saves", "marks", "batches", "widths", "depths"):
            values = getattr(config, name)
            if tuple(sorted(set(values))) != values:
                raise InputError(f"{name} must increase.")
        for name in config.problems:
            if name not in PROBLEMS:
                raise InputError(f"problems: {name!r} is unknown." + suggest(name, list(PROBLEMS)))
        if config.problems and not _dense(config):
            raise InputError("problems are small ones, for dense models; with larger networks set problems=none.")
        if config.data in network_problems.READERS and not config.folder:
            raise InputError(f"data={config.data} needs folder=…, where its files lie; nothing is downloaded.")
        if config.pilot == 1:
            raise InputError("pilot = 1; wanted two paths or more, or 0 for no pilot.")

    def cells(self, config: Config) -> Sequence[str]:
        places = [_label(start, x) for start in config.starts for x in config.x]
        axes = [_label(MIDDLE, config.x[-1], axis, value) for axis, values in _axes(config).items() for value in values]
        return [*([PILOT] if config.pilot and _pair(config) else []), *places, *axes, *([MAP] if _dense(config) else [])]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(batch_size=config.batch, n=config.samples, sampling="minibatch with replacement and its Gaussian surrogate", device=config.device)

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        seed %= 2**62
        if cell == PILOT:
            return self._pilot(config, _pilot_paths(config, paths), seed)
        task = network_problems.problem(_kind(config))
        if cell == MAP:
            eta = 0.3 / network_problems.largest(task.objective, self._start(config, task, MIDDLE))
            return {"defect": network_study.defects(task, eta=eta, batch=config.batch, marks=config.marks, paths=paths, seed=seed)}
        start, x, axis, value = _parts(cell)
        changed = _changed(config, axis, value)
        if axis:
            task = network_problems.problem(_kind(changed))
        anchor = self._start(config, task, start)
        eta = x / network_problems.largest(task.objective, anchor)
        return network_study.block(
            task, anchor, eta=eta, batch=changed.batch, models=_models(changed), saves=config.saves, substeps=config.substeps, paths=paths, seed=seed,
            functions=config.functions,
        )  # fmt: skip

    def samples(self, config: Config, cell: str, name: str, *, paths: int) -> int:
        return _pilot_paths(config, paths) if cell == PILOT else paths if cell == MAP else network_study.samples_of(name, paths)

    def _pilot(self, config: Config, paths: int, seed: int) -> Mapping[str, Moments]:
        """One entry a start and x."""
        task, pair, found = network_problems.problem(_kind(config)), _pair(config), {}
        assert pair is not None
        for start, x in itertools.product(config.starts, config.x):
            anchor = self._start(config, task, start)
            eta = x / network_problems.largest(task.objective, anchor)
            found[_label(start, x)] = network_study.pilot(
                task, anchor, eta=eta, batch=config.batch, pair=pair, steps=config.saves[-1], substeps=config.substeps, paths=paths, seed=seed,
                functions=config.functions,
            )  # fmt: skip
        return found

    def _start(self, config: Config, task: network_problems.Problem, start: str) -> Any:
        return network_problems.start(task, start, seed=config.seed, steps=config.descent, device=config.device)

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines, panels = [], []
        for cell, parts in cells.items():
            if cell in (PILOT, MAP):
                continue
            for column in COLUMNS:
                present = (model for model in config.models if f"error {model}" in parts)
                for model in (*present, *(name for name, process in APART.items() if f"values {process}" in parts)):
                    lines.append(Line(cell, f"error in {NAMES[column]}, % at the last save: {written(model)}", error(parts, model, column, -1)))
        for column in ("tr Cov", "loss"):
            panels += [self._against_x(config, cells, start, column) for start in config.starts]
        panels += [self._against_time(config, cells, start) for start in config.starts]
        panels += [self._along(config, cells, start) for start in config.starts]
        for axis, values in _axes(config).items():
            if axis in LABELS and len(values) > 1:  # problems have no order: they stand in the lines
                panels += [self._against_axis(config, cells, axis, column) for column in ("tr Cov", "function distance")]
        if MAP in cells:
            panels += network_panels.defects(cells[MAP]["defect"].mean_estimate(), config.marks)
        lost = {cell: int(max(np.max(part.lost) for part in parts.values())) for cell, parts in cells.items()}
        notes = [f"{cell}: {count} paths diverged" for cell, count in lost.items() if count]
        return Summary(tuple(lines), tuple(panels), (*_power(config, cells), *notes))

    def _against_x(self, config: Config, cells: Mapping[str, Mapping[str, Any]], start: str, column: str) -> Panel:
        parts = [cells[_label(start, x)] for x in config.x]
        title = f"{NAMES[column]} after {config.saves[-1]} steps, from {start}"
        return network_panels.errors(title, "x = ηλmax", config.x, parts, _shown(config), column)

    def _against_axis(self, config: Config, cells: Mapping[str, Mapping[str, Any]], axis: str, column: str) -> Panel:
        values = _axes(config)[axis]
        parts = [cells[_label(MIDDLE, config.x[-1], axis, value)] for value in values]
        title = f"{NAMES[column]} against {LABELS[axis]}, x = {config.x[-1]:g}, from {MIDDLE}"
        shown = [model for model in _shown(config) if model == LAW or all(f"error {model}" in part for part in parts)]
        return network_panels.errors(title, LABELS[axis], values, parts, shown, column, log="x")

    def _against_time(self, config: Config, cells: Mapping[str, Mapping[str, Any]], start: str) -> Panel:
        parts = [cells[_label(start, config.x[-1])]] * len(config.saves)
        title = f"tr Cov at x = {config.x[-1]:g}, from {start}"
        return network_panels.errors(title, "steps", config.saves, parts, _shown(config), "tr Cov", saves=range(len(config.saves)), log="x")

    def _along(self, config: Config, cells: Mapping[str, Mapping[str, Any]], start: str) -> Panel:
        title = f"Variance along eigenvectors, x = {config.x[-1]:g}, from {start}"
        return network_panels.along(title, cells[_label(start, config.x[-1])], _shown(config)[:-1])


def _models(config: Config) -> tuple[str, ...]:
    """Third-order models only where third derivatives have a closed form: elsewhere they would take most of the time."""
    return config.models if config.network == "shallow" else tuple(model for model in config.models if model not in THIRD)


def _shown(config: Config) -> tuple[str, ...]:
    """What the panels draw: gradient flow has no variance and would set their scale."""
    return (*(model for model in _models(config) if model != "GradientFlow"), LAW)


def _kind(config: Config) -> Kind:
    names = ("data", "folder", "samples", "held_out", "network", "width", "depth", "components")
    return Kind(**{name: getattr(config, name) for name in names}, dtype=config.precision)


def _pilot_paths(config: Config, paths: int) -> int:
    """The pilot's share of a block, two paths at the least."""
    return max(2, round(config.pilot * paths / config.paths))


def _dense(config: Config) -> bool:
    """Whether the study's network is small enough for dense matrices: as it is built."""
    return network_problems.parameters(_kind(config)) <= DENSE_DIM


def _axes(config: Config) -> dict[str, tuple[Any, ...]]:
    return {"B": config.batches, "width": config.widths, "depth": config.depths, "problem": config.problems}


def _changed(config: Config, axis: str, value: str) -> Config:
    """The configuration of a cell on an axis."""
    if not axis:
        return config
    if axis == "problem":
        data, network, width = PROBLEMS[value]
        return replace(config, data=data, network=network, width=width, components=0)
    if axis == "B":
        return replace(config, batch=int(value))
    if axis == "width":
        return replace(config, width=int(value))
    deep = replace(config, depth=int(value))
    return replace(deep, network="perceptron", components=COMPONENTS) if config.network == "shallow" else deep


def _pair(config: Config) -> tuple[str, str] | None:
    """The rival and the model of the pilot, None where the run lacks one."""
    rival, own = (next((model for model in wanted if model in config.models), None) for wanted in (RIVALS, OWN))
    return None if rival is None or own is None else (rival, own)


def _power(config: Config, cells: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the pilot says, one note."""
    pair = _pair(config)
    if PILOT not in cells or pair is None:
        return []
    rival, own = (written(model) for model in pair)
    needed = {label: network_study.paths_needed(found) for label, found in cells[PILOT].items()}
    words = "; ".join(f"{label}: {_count(n)} ({_count(most)})" for label, (n, most) in needed.items())
    return [f"Paths that tell the error of {own} in tr Cov from that of {rival} with power .9 at level .05, from a pilot of {config.pilot} (at the far end of "
            f"its knowledge); the run has {config.paths:,}. {words}"]  # fmt: skip


def _count(paths: float) -> str:
    return f"{paths:,.0f}" if np.isfinite(paths) else "unknown"


def _label(start: str, x: float, axis: str = "", value: Any = "") -> str:
    return f"{start} x={x!r}" + (f" {axis}={value}" if axis else "")


def _parts(cell: str) -> tuple[str, float, str, str]:
    start, _, rest = cell.partition(" x=")
    x, _, change = rest.partition(" ")
    axis, _, value = change.partition("=")
    return start, float(x), axis, value


STUDY = NetworkComparison()
