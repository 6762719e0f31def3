"""The 18-parameter network on digits and the points of its training at which SGD is compared with its models.

Odd against even digits on 4 principal components through 3 tanh units (:class:`sgdsde.objectives.ShallowTanh`, no output bias), ridge .01, which gives a
proper minimum. tanh is smooth, so third derivatives exist; 18 parameters leave every matrix dense. Full-batch gradient descent makes the starts.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import grad, hessian
from sgdsde.data import Data, digits
from sgdsde.objective import Objective
from sgdsde.objectives import ShallowTanh
from sgdsde.types import DomainError, InputError, suggest

COMPONENTS, HIDDEN, RIDGE = 4, 3, 0.01
#: step size of the full-batch descent that trains, and its iterates at the middle of training
TRAINING_STEP, MIDDLE, LONG = 0.3, 100, 3000
STARTS = ("initialisation", "mid-training", "minimum")


def odd_digits(components: int = COMPONENTS) -> Data:
    """All digits, odd against even, on principal components scaled to unit variance overall."""
    data = digits(components=components).against((1, 3, 5, 7, 9))
    return Data(data.x / data.x.std(), data.y, 2, data.name, data.digest)


def digits_network(samples: int, *, hidden: int = HIDDEN, ridge: float = RIDGE) -> ShallowTanh:
    """The network on the first ``samples`` digits."""
    data = odd_digits().take(samples)
    return ShallowTanh(data.x, data.y, hidden=hidden, ridge=ridge)


def held_out(samples: int, count: int) -> tuple[Tensor, Tensor]:
    """Inputs and labels of the ``count`` digits after the first ``samples``."""
    data = odd_digits()
    if samples + count > len(data):
        raise InputError(f"{samples} + {count} digits; there are {len(data)}.")
    return data.x[samples : samples + count], data.y[samples : samples + count]


def initial(objective: ShallowTanh, seed: int, paths: int = 1) -> Float[Tensor, "paths dim"]:
    """Torch's own start of linear layers: uniform, ±1/√(inputs of the layer)."""
    rng = np.random.default_rng(seed)
    scale = np.full(objective.dim, objective.features**-0.5)
    scale[-objective.hidden :] = objective.hidden**-0.5
    return torch.from_numpy(scale * rng.uniform(-1, 1, (paths, objective.dim)))


def start_at(objective: ShallowTanh, start: str, seed: int, steps: int = MIDDLE) -> Float[Tensor, " dim"]:
    """One of ``STARTS``: a fresh network, the same after ``steps`` of descent, the minimum that descent and Newton's method end in."""
    if start not in STARTS:
        raise InputError(f"start = {start!r} is unknown." + suggest(start, list(STARTS)))
    theta = initial(objective, seed)
    if start == "mid-training":
        theta = descend(objective, theta, steps)
    elif start == "minimum":
        theta = settle(objective, descend(objective, theta, LONG))
    return theta[0]


def descend(objective: Objective, theta: Tensor, steps: int) -> Tensor:
    """Full-batch gradient descent."""
    for _ in range(steps):
        theta = theta - TRAINING_STEP * grad(objective, theta)
    return theta


def settle(objective: Objective, theta: Tensor, *, tolerance: float = 1e-10, steps: int = 400) -> Float[Tensor, "1 dim"]:
    """The minimum below ``theta [1, dim]``: steps −|H|⁻¹g, curvatures taken as at least .003 in modulus, halved until f falls.

    Raises:
        DomainError: |g| does not reach the tolerance.
    """
    for _ in range(steps):
        g = grad(objective, theta)
        if float(g.norm()) <= tolerance:
            return theta
        values, vectors = torch.linalg.eigh(hessian(objective, theta)[0])
        step = (g @ vectors / values.abs().clamp_min(0.003)) @ vectors.T
        value, length = float(objective.loss(theta)), 1.0
        while length > 1e-6 and not float(objective.loss(theta - length * step)) <= value - 1e-4 * length * float((step * g).sum()) + 1e-15:
            length /= 2
        theta = theta - length * step
    raise DomainError(f"The descent stayed at |∇f| = {float(grad(objective, theta).norm()):.2g} in {steps} steps.")


def newton(objective: Objective, theta: Tensor, *, tolerance: float = 1e-10, steps: int = 60) -> Float[Tensor, "1 dim"]:
    """A stationary point near ``theta [1, dim]`` by Newton's method on g = 0 with the step halved until |g| falls: of whatever index, minimum or saddle.

    Raises:
        DomainError: |g| does not reach the tolerance.
    """
    g = grad(objective, theta)
    for _ in range(steps):
        size = float(g.norm())
        if size <= tolerance:
            return theta
        step = torch.linalg.lstsq(hessian(objective, theta)[0], g[0], driver="gelsd").solution
        length = 1.0
        while length > 1e-6:
            trial = theta - length * step
            slope = grad(objective, trial)
            if float(slope.norm()) < (1 - 1e-4 * length) * size:
                break
            length /= 2
        theta, g = trial, slope
    raise DomainError(f"Newton's method stayed at |∇f| = {float(g.norm()):.2g}; start nearer to a stationary point.")
