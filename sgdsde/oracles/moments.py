"""Mean and covariance of an ensemble, and what an oracle starts from.

A law that is Gaussian at the start stays Gaussian under a linear SDE; under SGD on a quadratic only these two moments are claimed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.types import InputError, OracleRefusal, as_points, real


@dataclass(frozen=True)
class Moments:
    """Mean ``[dim]`` and covariance ``[dim, dim]``, float64.

    Raises:
        InputError: the shapes do not fit, or the covariance is not symmetric.
        OracleRefusal: an entry is not finite (the ensemble has grown beyond what float64 holds).

    Example:
        >>> moments = sg.oracles.sgd_moments(sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0), 0.5, [8.0], 2)
        >>> moments.mean.tolist(), moments.covariance.tolist()  # 8·(1−x)², η²(1 + (1−x)²)
        ([2.0], [[0.3125]])
    """

    mean: Float[Tensor, " dim"]
    covariance: Float[Tensor, "dim dim"]

    def __post_init__(self) -> None:
        dim = self.mean.shape[0] if self.mean.ndim == 1 else -1
        if dim < 1 or tuple(self.covariance.shape) != (dim, dim):
            raise InputError(f"mean has shape {tuple(self.mean.shape)}, covariance {tuple(self.covariance.shape)}; wanted [dim] and [dim, dim].")
        if not bool(torch.isfinite(self.mean).all() and torch.isfinite(self.covariance).all()):
            raise OracleRefusal("The moments have grown beyond float64 (infinite or NaN): the chain is unstable. Ask for an earlier time.")
        if float((self.covariance - self.covariance.T).abs().max()) > 1e-10 * float(self.covariance.abs().max()):
            raise InputError("covariance is not symmetric.")

    @property
    def dim(self) -> int:
        """The width of the state."""
        return self.mean.shape[0]

    @property
    def variance(self) -> Float[Tensor, " dim"]:
        """The covariance's diagonal."""
        return self.covariance.diagonal()

    @property
    def second(self) -> Float[Tensor, "dim dim"]:
        """E θθᵀ = covariance + mean·meanᵀ."""
        return self.covariance + torch.outer(self.mean, self.mean)

    @staticmethod
    def of(mean: Tensor, covariance: Tensor) -> Moments:
        """The same, with rounding's asymmetry taken out of the covariance."""
        return Moments(mean, (covariance + covariance.T) / 2)

    @staticmethod
    def at(point: Tensor) -> Moments:
        """A deterministic start: covariance 0."""
        return Moments(point, point.new_zeros(point.shape[0], point.shape[0]))


def start_of(theta0: Any, dim: int) -> Moments:
    """The initial moments: a point ``[dim]``, or :class:`Moments` for a random start.

    Raises:
        InputError: wrong shape, several points, NaN.
    """
    if isinstance(theta0, Moments):
        if theta0.dim != dim:
            raise InputError(f"theta0 are Moments of dimension {theta0.dim}; wanted {dim}, the dimension of the objective.")
        return Moments.of(theta0.mean.to(torch.float64), theta0.covariance.to(torch.float64))
    points = as_points(theta0, dim, name="theta0").to("cpu", torch.float64)
    if points.shape[0] != 1:
        raise InputError(f"theta0 holds {points.shape[0]} points; an oracle starts from one point [{dim}], or from Moments(mean, covariance).")
    return Moments.at(points[0])


def along(moments: Callable[[Moments, Any], Moments], start: Moments, marks: Sequence[Any]) -> list[Moments]:
    """The moments at each mark (iterate or time), each reached from the one before it; ``moments(start, gap)`` advances by a gap."""
    reached: dict[Any, Moments] = {}
    last, now = 0, start
    for mark in sorted(set(marks)):
        if mark > last:
            now = moments(now, mark - last)
        reached[mark], last = now, mark
    return [reached[mark] for mark in marks]


def iterates(k: Any) -> tuple[list[int], bool]:
    """(iterates as ints, whether a single one was asked for).

    Raises:
        InputError: an iterate is no integer ≥ 0, or there is none.
    """
    single = np.ndim(k) == 0
    marks = [k] if single else list(k)
    for mark in marks:
        if not is_whole(mark, 0):
            raise InputError(f"k = {mark!r}; wanted an integer ≥ 0 (iterates), or a sequence of them.")
    if not marks:
        raise InputError("k is empty; wanted at least one iterate.")
    return [int(mark) for mark in marks], single


def times(t: Any) -> tuple[list[float], bool]:
    """(SDE times as floats, whether a single one was asked for).

    Raises:
        InputError: a time is negative or not finite, or there is none.
    """
    single = np.ndim(t) == 0
    marks = [real(mark, "t") for mark in ([t] if single else list(t))]
    if not marks:
        raise InputError("t is empty; wanted at least one SDE time.")
    for mark in marks:
        if not np.isfinite(mark) or mark < 0:
            raise InputError(f"t = {mark}; wanted a finite SDE time ≥ 0.")
    return marks, single
