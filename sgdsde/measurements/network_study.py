"""The network study's problems and processes: digits, MNIST or CIFAR-10, from the 18-parameter net to perceptrons of 1e6 parameters.

One block of paths runs minibatch SGD, its Gaussian surrogate and each model from one start; the models share the surrogate's Brownian increments. Beyond 64
parameters models are those in product form, noise comes through the minibatch's root, and functions of the Hessian by Lanczos or from its outliers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sgdsde import sdes
from sgdsde.calculus import grad, hessian
from sgdsde.comparison import Ensemble
from sgdsde.curvature import eigsh, hessian_operator
from sgdsde.data import Data, cifar10, digits, mnist
from sgdsde.kernel import Kernel
from sgdsde.kernels import SGD, SVAG, Coupled, Heun
from sgdsde.measurements.digits_network import COMPONENTS, HIDDEN, RIDGE, newton
from sgdsde.noise import GaussianNoise
from sgdsde.noises import Gaussian, Minibatch, gaussian_surrogate
from sgdsde.noises.surrogate import DENSE_DIM
from sgdsde.objective import Objective
from sgdsde.objectives import Network, ShallowTanh
from sgdsde.observables import Accuracy, Coordinates, FunctionDistance, Loss, SquaredDistance
from sgdsde.rng import stream
from sgdsde.runs import Moments
from sgdsde.sde import SDE
from sgdsde.sdes.functions import phi_pair
from sgdsde.sdes.positivity import defect
from sgdsde.simulate import simulate
from sgdsde.types import InputError

STARTS = ("initialisation", "mid-training", "minimum", "edge of stability")
DENSE_MODELS = ("GradientFlow", "SME1", "SME2", "SPF", "HASME", "HASMEProduct", "SME3", "HASME3")
#: models that need no dense matrix
LARGE_MODELS = ("GradientFlow", "SME1", "SME2", "HASMEProduct")
COLUMNS = ("loss", "squared distance", "function distance", "accuracy", "top", "tr Cov")
SVAG_L = 4
#: the largest ηλ of the defect map
DEFECT_X = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Problem:
    """An objective, how it answers on inputs, and held-out data."""

    objective: Objective
    answer: Callable[[Tensor, Tensor], Tensor]
    inputs: Tensor
    labels: Tensor

    @property
    def dense(self) -> bool:
        """Whether covariances and eigenvectors are formed."""
        return self.objective.dim <= DENSE_DIM


def problem(data: str, folder: str, *, samples: int, held_out: int, width: int, dtype: str) -> Problem:
    """``width`` 0: the 18-parameter tanh net, odd against even labels on 4 principal components. Else a perceptron pixels → width tanh units → classes.

    Raises:
        InputError: unknown data, or more samples than there are.
    """
    source = _load(data, folder, samples + held_out)
    if width == 0:
        source = source.against(tuple(range(1, source.classes or 0, 2))).projected(COMPONENTS)
        x = source.x / source.x.std()
        net = ShallowTanh(x[:samples], source.y[:samples], hidden=HIDDEN, ridge=RIDGE)
        return Problem(net, net.logits, x[samples:], source.y[samples:])
    x = source.x.to(getattr(torch, dtype))
    with torch.random.fork_rng(devices=[]):
        module = nn.Sequential(nn.Linear(x.shape[1], width), nn.Tanh(), nn.Linear(width, source.classes or 1)).to(x.dtype)
    network = Network(module, "cross_entropy", x[:samples], source.y[:samples])
    return Problem(network, network.outputs, x[samples:], source.y[samples:])


def start(task: Problem, name: str, *, seed: int, steps: int, device: str) -> Float[Tensor, " dim"]:
    """A fresh net; after ``steps`` of full-batch descent at .4/λmax of the start; after 20 times as many (and Newton's method where dense); after ``steps`` at
    2/λmax of the latter, which hold the descent at the edge of stability.
    """
    f = task.objective
    theta = _fresh(f, seed).to(device)
    if name == "initialisation":
        return theta[0]
    slow = 0.4 / largest(f, theta[0])
    middle = _descend(f, theta, steps, slow)
    if name == "mid-training":
        return middle[0]
    late = _descend(f, middle, 19 * steps, slow)
    if name == "minimum":
        return (newton(f, late) if task.dense else late)[0]
    return _descend(f, middle, steps, 2 / largest(f, late[0]))[0]


def largest(f: Objective, theta: Tensor) -> float:
    """λmax of the Hessian."""
    if f.dim <= DENSE_DIM:
        return float(torch.linalg.eigvalsh(hessian(f, theta[None]))[0, -1])
    return float(eigsh(hessian_operator(f, theta), 1, tolerance=1e-3, progress=False).values[0])


def eigenvectors(f: Objective, theta: Tensor, count: int) -> tuple[Tensor, Float[Tensor, "dim k"]]:
    """Eigenvalues and vectors, largest first: all where dense, else the top ``count``."""
    if f.dim <= DENSE_DIM:
        values, vectors = torch.linalg.eigh(hessian(f, theta[None])[0])
        return values.flip(0), vectors.flip(1)
    pairs = eigsh(hessian_operator(f, theta), count, tolerance=1e-3, progress=False)
    return pairs.values, pairs.vectors


def build(task: Problem, model: str, noise: GaussianNoise, eta: float, functions: str) -> SDE:
    """A model by name; where it leaves its domain the logarithm is clipped and an indefinite Q projected."""
    options: dict[str, Any] = {}
    if model not in ("GradientFlow", "SME1", "SME2", "SME3"):
        options["log"] = "clip"
    if model in ("HASME", "HASME3"):
        options["psd"] = "project"
    if model == "HASMEProduct" and not task.dense:
        options["functions"] = sdes.Krylov(16) if functions == "krylov" else sdes.Spectral(16)
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

    keep("SGD", run(SGD(noise, eta), 4 * paths, 1))
    keep("SVAG", run(SVAG(noise, eta, SVAG_L), 4 * paths, 2))
    if task.dense:
        keep("GD", run(SGD(Gaussian(task.objective, 0.0), eta), 2, 3))
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


def defects(task: Problem, *, eta: float, batch: int, marks: Sequence[int], paths: int, seed: int) -> Moments:
    """Defect of HA-SME's Q ``[paths, marks, x]`` along minibatch SGD from fresh nets, at η = x/λmax of each point.

    Raises:
        InputError: the net is too large for dense matrices.
    """
    f = task.objective
    if not task.dense:
        raise InputError(f"The defect map forms {f.dim}×{f.dim} matrices; use width 0.")
    starts = _fresh(f, seed, paths)
    states = simulate(SGD(Minibatch(f, batch), eta), starts, horizon=marks[-1] * eta, save=[k * eta for k in marks], seed=seed, progress=False).states
    table = []
    for points in states:
        values, vectors = torch.linalg.eigh(hessian(f, points))
        rotated = vectors.transpose(1, 2) @ Minibatch(f, 1).covariance(points) @ vectors
        table.append(torch.stack([defect(rotated * phi_pair(x * values / values[:, -1:])) for x in DEFECT_X], 1))
    return Moments.of(torch.stack(table, 1))  # [paths, marks, x]


def _fresh(f: Objective, seed: int, paths: int = 1) -> Float[Tensor, "paths dim"]:
    if isinstance(f, Network):
        return f.initial(paths, stream(seed, "network study"))
    assert isinstance(f, ShallowTanh)
    bound = torch.full((f.dim,), f.features**-0.5, dtype=torch.float64)
    bound[-f.hidden :] = f.hidden**-0.5
    return bound * (2 * torch.rand(paths, f.dim, dtype=torch.float64, generator=stream(seed, "network study")) - 1)


def _descend(f: Objective, theta: Tensor, steps: int, size: float) -> Tensor:
    for _ in range(steps):
        theta = theta - size * grad(f, theta)
    return theta


def _load(data: str, folder: str, count: int) -> Data:
    if data == "digits":
        return digits(count=count)
    return mnist(folder, count=count) if data == "mnist" else cifar10(folder, count=count)
