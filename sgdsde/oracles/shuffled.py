"""SGD with epoch shuffling on a quadratic with additive per-sample gradients gᵢ(θ) = Hθ − hᵢ: exact moments at each position of the epoch.

A permutation makes the batch noises of an epoch negatively correlated: Cov(ξ_j, ξ_j) = (n−B)/(n−1)·C/B and Cov(ξ_i, ξ_j) = −C/(n−1), with C the covariance
(1/n)Σ(hᵢ−h)(hᵢ−h)ᵀ. So p steps into an epoch, with M = I − ηH and T_p = Σ_{j<p}Mʲ, the epoch has added
η²·n/(n−1)·[(1/B)Σ_{j<p}MʲCMʲᵀ − (1/n)T_p C T_pᵀ]. Epochs are independent. With H = 0 and B·p = n nothing is left at the end of an epoch: flat directions
feel hardly any noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import sample_grads
from sgdsde.kernels import ShuffledSGD
from sgdsde.objective import Objective
from sgdsde.oracles.chains import AdditiveChain
from sgdsde.oracles.linear_models import gradient_terms
from sgdsde.oracles.lyapunov import stationary_of_map
from sgdsde.oracles.moments import Moments, iterates, start_of
from sgdsde.oracles.quadratic_form import probe_points
from sgdsde.types import OracleRefusal


def shuffled_sgd_moments(objective: Objective, batch_size: int, eta: float, theta0: Any, k: int | Sequence[int]) -> Moments | list[Moments]:
    """Mean and covariance of the iterate θ_k under :class:`ShuffledSGD`, the first epoch starting at k = 0; a list for a sequence of k.

    Raises:
        InputError: η ≤ 0, B > n, k no integer ≥ 0, θ₀ of a wrong shape.
        OracleRefusal: per-sample gradients do not differ by constants.

    Example:
        >>> line = sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]])
        >>> moments = sg.oracles.shuffled_sgd_moments(line, 1, 0.5, [0.0], 2)
        >>> moments.mean.tolist(), moments.covariance.tolist()  # ±η(1 − (1−ηλ)) = ±0.25 after an epoch
        ([0.0], [[0.0625]])
    """
    epoch = _Epoch(ShuffledSGD(objective, batch_size, eta))
    marks, single = iterates(k)
    start = start_of(theta0, objective.dim)
    found = []
    for mark in marks:
        epochs, position = divmod(mark, epoch.length)
        found.append(epoch.upto(position).after(epoch.upto(epoch.length).power(epochs).after(start, 1), 1))
    return found[0] if single else found


def shuffled_stationary_covariance(objective: Objective, batch_size: int, eta: float) -> Float[Tensor, "epoch dim dim"]:
    """The stationary covariance at each position of the epoch; index 0 is its end (and beginning), index p is after p of its batches.

    Raises:
        InputError: η ≤ 0, B > n.
        OracleRefusal: per-sample gradients do not differ by constants, or a direction is not stable.

    Example:
        >>> line = sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]])
        >>> ends = sg.oracles.shuffled_stationary_covariance(line, 1, 0.5)[0].item()
        >>> batches = sg.oracles.stationary_covariance(sg.noises.Minibatch(line, 1), 0.5).item()
        >>> round(ends, 9), round(batches, 9)  # (η²x²)/(1 − (1−x)⁴), against η/(2−η)
        (0.066666667, 0.333333333)
    """
    epoch = _Epoch(ShuffledSGD(objective, batch_size, eta))
    whole = epoch.upto(epoch.length)
    V = stationary_of_map(whole.flow, whole.noise)
    pieces = [epoch.upto(p) for p in range(epoch.length)]
    return torch.stack([piece.flow @ V @ piece.flow.T + piece.noise for piece in pieces])


class _Epoch:
    """The law of the first p steps of an epoch, for every p."""

    def __init__(self, kernel: ShuffledSGD) -> None:
        objective, eta = kernel.objective, kernel.eta
        H, g0 = gradient_terms(objective)
        C = _additive_covariance(objective)
        self.length = kernel.epoch
        dim, n, B = objective.dim, objective.n, kernel.batch_size
        M = torch.eye(dim, dtype=torch.float64) - eta * H
        power, T = torch.eye(dim, dtype=torch.float64), torch.zeros(dim, dim, dtype=torch.float64)
        white = torch.zeros(dim, dim, dtype=torch.float64)
        self._laws: list[AdditiveChain] = []
        for _ in range(self.length + 1):
            noise = eta**2 * n / (n - 1) * (white / B - T @ C @ T.T / n)
            self._laws.append(AdditiveChain(power, -eta * (T @ g0), (noise + noise.T) / 2))
            white, T, power = white + power @ C @ power.T, T + power, power @ M

    def upto(self, position: int) -> AdditiveChain:
        """The first ``position`` steps of an epoch as one map."""
        return self._laws[position]


def _additive_covariance(objective: Objective) -> Float[Tensor, "dim dim"]:
    """C of per-sample gradients that differ by constants."""
    points = torch.cat([torch.zeros(1, objective.dim, dtype=torch.float64), probe_points(objective.dim)])
    parts = sample_grads(objective, points)  # [paths, n, dim]
    parts = parts - parts.mean(1, keepdim=True)
    if not float((parts - parts[0]).abs().max()) <= 1e-9 * float(parts.abs().max()):
        raise OracleRefusal(
            f"The per-sample gradients of {type(objective).__name__} differ by more than constants, so the epoch's noise depends on θ "
            "and its moments are not offered. Use simulation with sg.kernels.ShuffledSGD."
        )
    return parts[0].T @ parts[0] / objective.n
