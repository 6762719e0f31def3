"""The network study's processes, from nets of 18 parameters to perceptrons of 1e6.

One block of paths runs minibatch SGD, its Gaussian surrogate and each model from one start; the models share the surrogate's Brownian increments. Beyond 64
parameters models are those in product form, noise comes through the minibatch's root, and functions of the Hessian by Lanczos or from its outliers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde import sdes
from sgdsde.calculus import hessian
from sgdsde.comparison import Ensemble
from sgdsde.kernel import Kernel
from sgdsde.kernels import SGD, SVAG, Coupled, Heun
from sgdsde.measurements.network_problems import Problem, eigenvectors
from sgdsde.noise import GaussianNoise
from sgdsde.noises import Gaussian, Minibatch, gaussian_surrogate
from sgdsde.observables import Accuracy, Coordinates, FunctionDistance, Loss, SquaredDistance
from sgdsde.runs import Moments
from sgdsde.sde import SDE
from sgdsde.sdes.functions import phi_pair
from sgdsde.sdes.positivity import defect
from sgdsde.simulate import simulate
from sgdsde.stats import resolvable
from sgdsde.types import InputError

DENSE_MODELS = ("GradientFlow", "SME1", "SME2", "SPF", "HASME", "HASMEProduct", "SME3", "HASME3")
#: models that need no dense matrix
LARGE_MODELS = ("GradientFlow", "SME1", "SME2", "SPF", "HASMEProduct")
#: functions of the Hessian of a large net: Lanczos steps at most and the error that ends them, far below Heun's; outliers
LANCZOS_STEPS, LANCZOS_ERROR, OUTLIERS = 24, 1e-4, 16
COLUMNS = ("loss", "squared distance", "function distance", "accuracy", "top", "tr Cov")
SVAG_L = 4
#: SGD and SVAG run this many times the paths of a model, for no twin makes their noise small; GD has none
MORE, GD_PATHS = 4, 2
#: the largest ηλ of the defect map
DEFECT_X = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def build(task: Problem, model: str, noise: GaussianNoise, eta: float, functions: str) -> SDE:
    """A model by name; where it leaves its domain the logarithm is clipped and an indefinite Q projected."""
    options: dict[str, Any] = {}
    if model not in ("GradientFlow", "SME1", "SME2", "SME3"):
        options["log"] = "clip"
    if model in ("HASME", "HASME3"):
        options["psd"] = "project"
    if model in ("SPF", "HASMEProduct") and not task.dense:
        options["functions"] = sdes.Krylov(LANCZOS_STEPS, LANCZOS_ERROR) if functions == "krylov" else sdes.Spectral(OUTLIERS)
    built: SDE = getattr(sdes, model)(noise, eta, **options)
    return built


def block(
    task: Problem, anchor: Tensor, *, eta: float, batch: int, models: Sequence[str], saves: Sequence[int], substeps: int, paths: int, seed: int, functions: str
) -> Mapping[str, Moments]:
    """``values PROCESS`` [paths, saves, columns] and ``along PROCESS`` [paths, k], the coordinates at the last save, of SGD, surrogate, GD, SVAG and models;
    ``error MODEL`` and ``spread MODEL`` [paths, k], model − surrogate on shared increments, the latter in squared deviations along the eigenvectors.
    """
    noise = Minibatch(task.objective, batch)
    surrogate = gaussian_surrogate(noise)
    _, vectors = eigenvectors(task.objective, anchor, 6)
    origin = tuple(anchor.tolist())
    observe: dict[str, Callable[[Tensor], Tensor]] = {"loss": Loss(task.objective), "squared distance": SquaredDistance(origin)}
    observe |= {"function distance": FunctionDistance(task.answer, task.inputs, origin), "accuracy": Accuracy(task.answer, task.inputs, task.labels)}
    top, found = Coordinates(vectors[:, :2]), {}

    def run(kernel: Kernel, paths: int, offset: int) -> Tensor:
        times = [k * eta for k in saves]
        return simulate(kernel, anchor, horizon=times[-1], save=times, paths=paths, seed=seed + offset, block_size=64, progress=False).states

    def keep(name: str, states: Tensor) -> np.ndarray:
        columns = Ensemble.of(states, observe, {"top": top}).columns
        table = np.stack([columns[column] for column in COLUMNS], axis=2)  # [paths, saves, columns]
        found[f"values {name}"] = Moments.of(table)
        found[f"along {name}"] = Moments.of(((states[-1] - anchor) @ vectors).cpu())
        return table

    def squares(states: Tensor) -> np.ndarray:
        """Squared deviations along the eigenvectors at the last save, whose mean is the variance."""
        along = ((states[-1] - anchor) @ vectors).cpu().to(torch.float64).numpy()
        centred: np.ndarray = along - along.mean(0)
        return centred**2 * (len(along) / (len(along) - 1))

    keep("SGD", run(SGD(noise, eta), MORE * paths, 1))
    keep("SVAG", run(SVAG(noise, eta, SVAG_L), MORE * paths, 2))
    if task.dense:
        keep("GD", run(SGD(Gaussian(task.objective, 0.0), eta), GD_PATHS, 3))
    for index, model in enumerate(models):
        pair = Coupled(SGD(surrogate, eta), Heun(build(task, model, surrogate, eta, functions), eta / substeps))
        first, second = pair.split(run(pair, paths, 0))
        if index == 0:
            keep("surrogate", first)
        columns = Ensemble.of(first, observe, {"top": top}).columns
        twin = np.stack([columns[column] for column in COLUMNS], axis=2)
        found[f"error {model}"] = Moments.of(keep(model, second) - twin)
        found[f"spread {model}"] = Moments.of(squares(second) - squares(first))
    return found


def samples_of(name: str, paths: int) -> int:
    """How many paths the reducer ``name`` of :func:`block` holds."""
    process = name.removeprefix("values ").removeprefix("along ")
    return GD_PATHS if process == "GD" else MORE * paths if process in ("SGD", "SVAG") else paths


def defects(task: Problem, *, eta: float, batch: int, marks: Sequence[int], paths: int, seed: int) -> Moments:
    """Defect of HA-SME's Q ``[paths, marks, x]`` along minibatch SGD from fresh nets, at η = x/λmax of each point.

    Raises:
        InputError: the net is too large for dense matrices.
    """
    f = task.objective
    if not task.dense:
        raise InputError(f"The defect map forms {f.dim}×{f.dim} matrices; use network=shallow.")
    starts = task.fresh(seed, paths)
    states = simulate(SGD(Minibatch(f, batch), eta), starts, horizon=marks[-1] * eta, save=[k * eta for k in marks], seed=seed, progress=False).states
    table = []
    for points in states:
        values, vectors = torch.linalg.eigh(hessian(f, points))
        rotated = vectors.transpose(1, 2) @ Minibatch(f, 1).covariance(points) @ vectors
        table.append(torch.stack([defect(rotated * phi_pair(x * values / values[:, -1:])) for x in DEFECT_X], 1))
    return Moments.of(torch.stack(table, 1))  # [paths, marks, x]


def pilot(
    task: Problem, anchor: Tensor, *, eta: float, batch: int, pair: tuple[str, str], steps: int, substeps: int, paths: int, seed: int, functions: str
) -> Moments:
    """Errors in tr Cov of a rival and of the model after ``steps``, each − surrogate on shared increments: ``[paths, 4]``, rival, model, difference, sum."""
    surrogate = gaussian_surrogate(Minibatch(task.objective, batch))
    columns = []
    for model in pair:
        both = Coupled(SGD(surrogate, eta), Heun(build(task, model, surrogate, eta, functions), eta / substeps))
        states = simulate(both, anchor, horizon=steps * eta, paths=paths, seed=seed, block_size=64, progress=False).states
        first, second = (Ensemble.of(part, {}).spreads()[:, -1] for part in both.split(states))
        columns.append(second - first)
    rival, own = columns
    return Moments.of(np.stack([rival, own, rival - own, rival + own], 1))


def paths_needed(found: Moments, *, false_alarm: float = 0.05, power: float = 0.9) -> tuple[float, float]:
    """From a pilot: (how many paths tell whose error is smaller, how many at the upper end of what the pilot knows of the gap's size: infinite where it
    cannot tell the gap from 0).

    |a| − |b| is ±(a − b) where the errors have one sign and ±(a + b) where not; n = ((z_{1−α/2} + z_power)·sd/gap)².
    """
    e = found.mean_estimate()
    rival, own = (float(v) for v in np.asarray(e.value)[:2])
    gap = abs(abs(rival) - abs(own))
    stderr = float(np.asarray(e.stderr)[2 if rival * own > 0 else 3])
    wanted = resolvable(stderr * e.n**0.5, false_alarm=false_alarm, power=power)
    least = gap - 1.96 * stderr
    return (float((wanted / gap) ** 2) if gap else float("inf")), (float((wanted / least) ** 2) if least > 0 else float("inf"))
