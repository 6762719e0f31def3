"""A model less SGD on one Brownian motion, mean by mean, with martingale controls where they can be had: what ``compare`` takes its differences from.

They can be had of smooth functions of the point at saves from tick 1 on, for Heun steps from one start in at most ``DENSE_DIM`` dimensions, in float64, while
there are few functions and saves (a martingale for each is carried along). The paths are those of ``Coupled`` in any case; elsewhere the plain mean is taken.
A variance is the mean of |f − f̄|²; its control is the martingale of |f − c|², c the mean of f in another ensemble: any c leaves its expectation at zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde.comparison import Ensemble, column_means
from sgdsde.kernel import DrivenKernel
from sgdsde.kernels.coupled import Coupled
from sgdsde.kernels.heun import Heun
from sgdsde.kernels.sgd import SGD
from sgdsde.martingale_control import MartingaleControl
from sgdsde.noises.surrogate import DENSE_DIM
from sgdsde.types import DomainError, Estimate, as_points
from sgdsde.value_function import Target, derivatives

#: functions times saves, at most: each adds two numbers to a path's state
MOST = 32
#: paths from which a regression on two controls is worth its own error
FEW = 64

Functions = Mapping[str, Callable[[Tensor], Tensor]]


@dataclass(frozen=True)
class Deviation:
    """θ ↦ |f(θ) − centre|², f ``[P, dim]`` → ``[P]`` or ``[P, k]``, centre ``[k]``."""

    function: Callable[[Tensor], Tensor]
    centre: Tensor

    @classmethod
    def about_mean(cls, function: Callable[[Tensor], Tensor], states: Tensor) -> Deviation:
        """About the mean of f over ``states [P, dim]``."""
        return cls(function, _rows(function, states).mean(0))

    def __call__(self, theta: Tensor) -> Tensor:
        return ((_rows(self.function, theta) - self.centre.to(theta)) ** 2).sum(1)


@dataclass(frozen=True)
class CoupledDifference:
    """The kernel to run, the columns ``(name, save)`` that have martingales, and why others have none ("": they have)."""

    pair: Coupled | MartingaleControl
    columns: tuple[tuple[str, int], ...]
    why_not: str

    @classmethod
    def of(
        cls, sgd: SGD, kernel: DrivenKernel, theta0: Any, observables: Functions, variances: Functions, ticks: Sequence[int], other: Ensemble
    ) -> CoupledDifference:
        """SGD and a model's integrator, from ``theta0`` as ``compare`` takes it, looked at after each of ``ticks`` steps; ``other`` is an ensemble of as many
        paths on numbers of its own, which says about where the means are.
        """
        paths = other.states.shape[1]
        plain = Coupled(sgd, kernel)
        if not isinstance(kernel, Heun):
            return cls(plain, (), f"{type(kernel).__name__} takes no Heun steps")
        if callable(theta0) or sgd.dim > DENSE_DIM or paths < FEW:
            return cls(
                plain, (), "no common start" if callable(theta0) else f"more than {DENSE_DIM} parameters" if sgd.dim > DENSE_DIM else f"below {FEW} paths"
            )
        start = as_points(theta0, sgd.dim, name="theta0")
        if len(start) > 1 or start.dtype != torch.float64 or start.device.type != "cpu":
            return cls(plain, (), "no common start" if len(start) > 1 else "points not in float64 on the CPU")
        saves = [save for save, tick in enumerate(ticks) if tick > 0]
        functions = {(name, save): function for name, function in observables.items() for save in saves}
        for name, function in {**variances, "tr Cov": _itself}.items():
            functions |= {(name, save): Deviation.about_mean(function, torch.from_numpy(other.states[save])) for save in saves}
        columns = tuple(column for column, function in functions.items() if _is_smooth(function, start))
        if not 0 < len(columns) <= MOST:
            return cls(plain, (), f"{len(columns)} functions times saves; 1 to {MOST} are carried along")
        targets: list[Target] = [(functions[column], ticks[column[1]]) for column in columns]
        try:
            return cls(MartingaleControl(sgd, kernel, targets, start), columns, "")
        except DomainError as refusal:
            return cls(plain, (), str(refusal))

    def estimates(self, states: Tensor, model: Ensemble, twin: Ensemble) -> dict[str, Estimate]:
        """Every column's mean of model less SGD at each save, ``[T]``; ``states [T, P, width]`` are the pair's own."""
        found = {}
        for name, values in model.columns.items():
            differences = values - twin.columns[name]  # [paths, T]
            whole = column_means(differences)
            parts = {part: np.array(getattr(whole, part), dtype=float) for part in ("value", "stderr", "low", "high")}
            for target, (column, save) in enumerate(self.columns):
                assert isinstance(self.pair, MartingaleControl)
                if column == name and np.isfinite(differences[:, save]).all() and bool(torch.isfinite(states[save]).all()):
                    better = self.pair.difference(differences[:, save], states[save], target)
                    for part, array in parts.items():
                        array[save] = getattr(better, part)
            found[name] = Estimate(parts["value"], parts["stderr"], whole.n, parts["low"], parts["high"])
        return found


def _itself(theta: Tensor) -> Tensor:
    return theta


def _rows(function: Callable[[Tensor], Tensor], theta: Tensor) -> Tensor:
    found = function(theta)
    return found.reshape(len(theta), -1)  # [paths, k]


def _is_smooth(function: Callable[[Tensor], Tensor], start: Tensor) -> bool:
    """One number a point, with derivatives at the start."""
    if function(start).shape != (1,):
        return False
    return all(bool(torch.isfinite(part).all()) for part in derivatives(function, start[0]))
