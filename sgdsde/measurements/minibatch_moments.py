"""Real minibatches on samples of one curvature against the exact moments of SDE models: noise that is independent between steps, and epoch shuffling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sgdsde.kernel import Kernel
from sgdsde.kernels import SGD, ShuffledSGD
from sgdsde.measurement import Measured
from sgdsde.measurements.random_quadratics import random_quadratic
from sgdsde.measurements.whitened import mean_ratio, states_at, variance_ratio
from sgdsde.noises import Gaussian, Minibatch
from sgdsde.objectives import Quadratic, SharedCurvature
from sgdsde.oracles import sde_moments
from sgdsde.sdes import HASME, SME1

DIM, SAMPLES = 6, 48
#: how far from white the gradient noise is; with much more HA-SME's Q is indefinite for some draws, and there is nothing to compare with
MIXING = 0.15


def minibatch_moments(
    *, seed: int, level: float, problem_seed: int, low: float, high: float, batch_sizes: Sequence[int], ticks: Sequence[int], paths: int
) -> Measured:
    """``process/model/B/k`` with ``/variance`` and ``/mean``: SGD's ensemble in units of the model's exact law.

    ``minibatch``: batches with replacement, against HA-SME and SME-1. ``shuffled``: fresh permutations each epoch, against HA-SME. The centers are
    such that the gradient noise is mixed exponentials: skewed, with a covariance that does not commute with A.
    """
    rng = np.random.default_rng(problem_seed)
    problem = random_quadratic(rng, DIM, low=low, high=high, rank=2 * DIM)
    mixing = np.eye(DIM) + MIXING * rng.standard_normal((DIM, DIM))
    centers = np.linalg.solve(problem.hessian, mixing @ rng.standard_exponential((DIM, SAMPLES))).T  # so that the gradient noise is mixed exponentials
    objective = SharedCurvature(problem.hessian, centers)
    start = objective.mean.center.numpy() + 16 * problem.start
    estimates = {}
    for batch in batch_sizes:
        noise = Minibatch(objective, batch)
        surrogate = Gaussian(Quadratic(problem.hessian, center=objective.mean.center), objective.gradient_covariance / batch)
        processes: dict[str, Kernel] = {"minibatch": SGD(noise, problem.eta), "shuffled": ShuffledSGD(objective, batch, problem.eta)}
        for offset, (process, kernel) in enumerate(processes.items()):
            for k, states in states_at(kernel, start, tuple(ticks), paths=paths, seed=seed + 10 * batch + offset).items():
                for name, model in (("HASME", HASME), ("SME1", SME1)):
                    reference = sde_moments(model(surrogate, problem.eta), start, k * problem.eta)
                    estimates[f"{process}/{name}/{batch}/{k}/variance"] = variance_ratio(states, reference, level=level)
                    estimates[f"{process}/{name}/{batch}/{k}/mean"] = mean_ratio(states, reference, level=level)
    note = f"{paths} paths, {SAMPLES} samples in {DIM} dimensions, skewed centers, ηλ from {low:.3g} to {high:.3g}"
    return Measured(estimates, notes=(note,), conventions=str(SGD(Minibatch(objective, batch_sizes[0]), problem.eta).conventions()))
