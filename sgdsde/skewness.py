"""What the skewness of minibatch noise adds to the error of every SDE model: an error of order η² that no drift and no diffusion can mend.

An SDE sees Σ only. One step of SGD moves E u by −(η³/6)·E∇³u[ξ, ξ, ξ] beyond that, so to leading order

    E φ(X_T) − E φ(θ_k) ∋ (η³/6) Σ_j E∇³u_{k−1−j}(y_j)[ξ, ξ, ξ],   u_i = φ ∘ (i steps of gradient descent),  y_j = θ_j − ηg(θ_j)

along gradient descent θ_0, θ_1, …; u differentiates through f''' and f''''. For samples drawn with replacement E ξ⊗³ = B⁻²·(1/n)Σᵢ(gᵢ−g)⊗³; without
replacement times (n−B)(n−2B)/((n−1)(n−2)) (third cumulant of a mean from a finite population). Gaussian noise has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import singledispatch

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import grad, sample_grads
from sgdsde.noise import GaussianNoise, Noise
from sgdsde.noises.minibatch import Minibatch
from sgdsde.noises.minibatch_without_replacement import MinibatchWithoutReplacement
from sgdsde.objective import Objective, Points

#: at most this many terms of the sum are computed; those between follow by linear interpolation in j
MOST_STEPS = 9
#: rows × samples in a piece
_PIECE = 2**18


@singledispatch
def skewness_factor(noise: Noise) -> float | None:
    """c with E ξ⊗³ = c·(1/n)Σᵢ(gᵢ−g)⊗³; 0 for Gaussian noise, None where the law is not known."""
    return None


@skewness_factor.register
def _(noise: GaussianNoise) -> float:
    return 0.0


@skewness_factor.register
def _(noise: Minibatch) -> float:
    return 1 / noise.batch_size**2


@skewness_factor.register
def _(noise: MinibatchWithoutReplacement) -> float:
    n, B = noise.objective.n, noise.batch_size
    # two samples have no third cumulant, and nor has the mean of the whole population
    return 0.0 if n == 2 or n == B else (n - B) * (n - 2 * B) / ((n - 1) * (n - 2) * B**2)


def skewness_error(noise: Noise, eta: float, theta0: Points, *, steps: int, functions: Mapping[str, Callable[[Tensor], Tensor]]) -> dict[str, float] | None:
    """The leading term for each test function; None where the law of the noise is not known.

    Third directional derivatives are central differences over ±η(gᵢ−g) and ±2η(gᵢ−g), the size of the noise itself.
    """
    factor = skewness_factor(noise)
    if factor is None:
        return None
    if factor == 0:
        return dict.fromkeys(functions, 0.0)
    f = noise.objective
    path = [theta0]
    for _ in range(steps):
        path.append(path[-1] - eta * grad(f, path[-1]))
    chosen, weights = _nodes(steps)
    total = torch.zeros(len(functions), dtype=torch.float64)
    for j, weight in zip(chosen, weights, strict=True):
        total += weight * _third(f, eta, path[j], path[j + 1], steps - 1 - j, list(functions.values()))
    return {name: float(value) * factor * eta**3 / 6 for name, value in zip(functions, total, strict=True)}


def _third(f: Objective, eta: float, at: Points, landing: Points, steps: int, functions: list[Callable[[Tensor], Tensor]]) -> Float[Tensor, " functions"]:
    """(1/n)Σᵢ∇³u[dᵢ, dᵢ, dᵢ] at the landing point, dᵢ = gᵢ − g at the point before."""
    deviations = sample_grads(f, at)[0]  # [n, dim]
    deviations = deviations - deviations.mean(0)
    total = torch.zeros(len(functions), dtype=torch.float64)
    # offsets of at least a thousandth keep the differences above rounding: they are divided by h³
    h = max(eta, 1e-3 / max(float(deviations.norm(dim=1).max()), torch.finfo(torch.float64).tiny))
    for part in deviations.split(max(1, _PIECE // (4 * f.n))):
        offsets = torch.cat([2 * h * part, h * part, -h * part, -2 * h * part])
        theta = landing + offsets
        for _ in range(steps):
            theta = theta - eta * grad(f, theta)
        for i, function in enumerate(functions):
            far_up, up, down, far_down = function(theta).to(torch.float64).reshape(4, -1)
            total[i] += ((far_up - far_down) - 2 * (up - down)).sum() / (2 * h**3)
    return total / f.n


def _nodes(steps: int) -> tuple[list[int], list[float]]:
    """Steps j and weights for Σ_{j<steps}: all of them if there are few, else equidistant ones, interpolated linearly and summed exactly."""
    if steps <= MOST_STEPS:
        return list(range(steps)), [1.0] * steps
    chosen = sorted({round(i * (steps - 1) / (MOST_STEPS - 1)) for i in range(MOST_STEPS)})
    weights = [0.0] * len(chosen)
    for j in range(steps):
        k = min(max(1, next(i for i, node in enumerate(chosen) if node >= j)), len(chosen) - 1) if j else 1
        left, right = chosen[k - 1], chosen[k]
        share = (j - left) / (right - left)
        weights[k - 1] += 1 - share
        weights[k] += share
    return chosen, weights
