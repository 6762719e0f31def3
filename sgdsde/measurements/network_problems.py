"""The network study's problems and the points of training where SGD and its models begin.

``shallow``: the closed-form tanh net on a few inputs and two classes, 18 parameters unless its width says otherwise; ``perceptron``: layers of tanh units, on
pixels and all classes or on a few inputs and two classes; ``convolution``: one strided convolution, tanh, pooling and a linear layer. Data: scikit-learn's
digits, a tanh teacher that a shallow student of the same form could equal, or MNIST, Fashion-MNIST and CIFAR-10 from local files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sgdsde.calculus import grad, hessian
from sgdsde.curvature import eigsh, hessian_operator
from sgdsde.data import Data, cifar10, digits, fashion_mnist, mnist, tanh_teacher
from sgdsde.measurements.digits_network import COMPONENTS, HIDDEN, RIDGE, newton
from sgdsde.noises.surrogate import DENSE_DIM
from sgdsde.objective import Objective
from sgdsde.objectives import Network, ShallowTanh, WeightDecay
from sgdsde.rng import stream
from sgdsde.types import InputError

STARTS = ("initialisation", "mid-training", "minimum", "edge of stability")
READERS = {"mnist": mnist, "fashion-mnist": fashion_mnist, "cifar10": cifar10}
#: inputs and classes of a data set
_INPUTS = {"digits": (64, 10), "mnist": (784, 10), "fashion-mnist": (784, 10), "cifar10": (3072, 10)}
#: inputs of the teacher where the student sees all of them, and its seed
TEACHER_INPUTS, TEACHER_SEED = 20, 1
#: the edge of the convolution's kernel and its stride
KERNEL, STRIDE, POOL = 4, 2, 3


@dataclass(frozen=True)
class Kind:
    """Which network on which data. ``components`` 0: all inputs and classes, else principal components and odd against even classes."""

    data: str
    folder: str
    samples: int
    held_out: int
    network: str
    width: int
    depth: int
    components: int
    dtype: str


@dataclass(frozen=True)
class Problem:
    """An objective, how it answers on inputs, held-out data, and fresh points (paths, generator) ↦ ``[P, dim]``."""

    objective: Objective
    answer: Callable[[Tensor, Tensor], Tensor]
    inputs: Tensor
    labels: Tensor
    draw: Callable[[int, torch.Generator], Tensor]

    @property
    def dense(self) -> bool:
        """Whether covariances and eigenvectors are formed."""
        return self.objective.dim <= DENSE_DIM

    def fresh(self, seed: int, paths: int = 1) -> Float[Tensor, "paths dim"]:
        """Networks before training."""
        return self.draw(paths, stream(seed, "network study"))


def problem(kind: Kind) -> Problem:
    """The objective; with a ridge of .01 where it is dense, so that it has a minimum.

    Raises:
        InputError: more samples than there are; a convolution on inputs that are no pixels; a shallow net with too many parameters for dense matrices.
    """
    source = _load(kind)
    few = kind.components > 0 or kind.network == "shallow"
    small = kind.network == "convolution" and kind.width <= HIDDEN
    if few or small:
        source = source if source.classes == 2 else source.against(tuple(range(1, source.classes or 0, 2)))
    if few and kind.data != "teacher":
        source = source.projected(kind.components or COMPONENTS)
    x = source.x / source.x.std() if few else source.x
    x, y, n = x.to(getattr(torch, kind.dtype)), source.y, kind.samples
    if kind.network == "shallow":
        net = ShallowTanh(x[:n], y[:n], hidden=kind.width, ridge=RIDGE)
        if net.dim > DENSE_DIM:
            raise InputError(
                f"width = {kind.width} makes {net.dim} parameters; the shallow net is for dense matrices, at most {DENSE_DIM}. network=perceptron."
            )
        return Problem(net, net.logits, x[n:], y[n:], partial(_shallow_start, net, x.dtype))
    if kind.network == "convolution":
        x = x.reshape(len(x), *_pixels(source))
    with torch.random.fork_rng(devices=[]):
        module = (_convolution if kind.network == "convolution" else _perceptron)(kind, tuple(x.shape[1:]), source.classes or 2).to(x.dtype)
    network = Network(module, "cross_entropy", x[:n], y[:n])
    f = WeightDecay(network, RIDGE) if network.dim <= DENSE_DIM else network
    return Problem(f, network.outputs, x[n:], y[n:], network.initial)


def parameters(kind: Kind) -> int:
    """How many parameters the network has; no data are read."""
    inputs, classes = _INPUTS.get(kind.data, (TEACHER_INPUTS, 2))
    if kind.network == "shallow":
        return kind.width * ((kind.components or COMPONENTS) + 2)
    if kind.network == "convolution":
        channels, edge = (3, 32) if kind.data == "cifar10" else (1, round(inputs**0.5))
        side = ((edge - KERNEL) // STRIDE + 1) // POOL
        few = 2 if kind.width <= HIDDEN else classes
        return kind.width * (channels * KERNEL**2 + 1) + (kind.width * side**2 + 1) * few
    sizes = [kind.components or inputs, *[kind.width] * kind.depth, 2 if kind.components else classes]
    return sum((a + 1) * b for a, b in pairwise(sizes))


def start(task: Problem, name: str, *, seed: int, steps: int, device: str) -> Float[Tensor, " dim"]:
    """A fresh net; after ``steps`` of full-batch descent at .4/λmax of the start; after 20 times as many (and Newton's method where dense); after ``steps`` at
    2/λmax of the latter, which hold the descent at the edge of stability.
    """
    f = task.objective
    theta = task.fresh(seed).to(device)
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


def _shallow_start(net: ShallowTanh, dtype: torch.dtype, paths: int, generator: torch.Generator) -> Tensor:
    """Torch's own start of linear layers: uniform, ±1/√(inputs of the layer)."""
    bound = torch.full((net.dim,), net.features**-0.5, dtype=dtype)
    bound[-net.hidden :] = net.hidden**-0.5
    return bound * (2 * torch.rand(paths, net.dim, dtype=dtype, generator=generator) - 1)


def _perceptron(kind: Kind, shape: tuple[int, ...], classes: int) -> nn.Module:
    sizes = [shape[0], *[kind.width] * kind.depth]
    hidden = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*hidden, nn.Linear(sizes[-1], classes))


def _convolution(kind: Kind, shape: tuple[int, ...], classes: int) -> nn.Module:
    """``width`` channels; 40 parameters on 8×8 pixels for two channels and two classes."""
    body = nn.Sequential(nn.Conv2d(shape[0], kind.width, KERNEL, stride=STRIDE), nn.Tanh(), nn.AvgPool2d(POOL), nn.Flatten())
    with torch.no_grad():
        features = body(torch.zeros(1, *shape)).shape[1]
    return nn.Sequential(*body, nn.Linear(features, classes))


def _pixels(source: Data) -> tuple[int, ...]:
    if not source.shape:
        raise InputError(f"{source.name} has no pixels, which network=convolution needs; take digits, mnist, fashion-mnist or cifar10, and components=0.")
    return source.shape


def _descend(f: Objective, theta: Tensor, steps: int, size: float) -> Tensor:
    for _ in range(steps):
        theta = theta - size * grad(f, theta)
    return theta


def _load(kind: Kind) -> Data:
    count = kind.samples + kind.held_out
    if kind.data == "teacher":
        inputs = kind.components or (COMPONENTS if kind.network == "shallow" else TEACHER_INPUTS)
        return tanh_teacher(TEACHER_SEED, dim=inputs, hidden=HIDDEN, count=count)
    return digits(count=count) if kind.data == "digits" else READERS[kind.data](kind.folder, count=count)
