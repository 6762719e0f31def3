"""SDE models by integrators that know nothing of quadratics, against SGD's exact mean and covariance on a random one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sgdsde.kernel import Kernel
from sgdsde.kernels import SGD, Heun, TorchSDE
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.one_step_law import MODELS
from sgdsde.measurements.random_quadratics import random_quadratic
from sgdsde.measurements.whitened import exact_variance_ratio, mean_ratio, states_at, variance_ratio
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import kernel_moments, sgd_moments
from sgdsde.sde import SDE

DIM = 10
INTEGRATORS = ("Heun", "srk")


def integrated_law(
    *, seed: int, level: float, problem_seed: int, low: float, high: float, runs: Sequence[tuple[str, str, Sequence[int]]], paths: int, substeps: int
) -> Measured:
    """For each run (integrator, model, ticks): ``integrator/model/k`` with ``/variance``, ``/mean`` from paths and ``/bias``, the variance ratio of
    the integrated chain itself, exactly. Integrators: our Heun and torchsde's srk.
    """
    problem = random_quadratic(np.random.default_rng(problem_seed), DIM, low=low, high=high, rank=2 * DIM, white=0.5)
    noise = Gaussian(Quadratic(problem.hessian), problem.covariance)
    start = 16 * problem.start  # far enough out for the mean to be seen
    estimates = {}
    for offset, (integrator, model, ticks) in enumerate(runs):
        kernel = _kernel(integrator, MODELS[model](noise, problem.eta), problem.eta / substeps)
        for k, states in states_at(kernel, start, tuple(ticks), paths=paths, seed=seed + offset).items():
            exact, name = sgd_moments(noise, problem.eta, start, k), f"{integrator}/{model}/{k}"
            estimates[f"{name}/variance"] = variance_ratio(states, exact, level=level)
            estimates[f"{name}/mean"] = mean_ratio(states, exact, level=level)
            estimates[f"{name}/bias"] = exactly(exact_variance_ratio(kernel_moments(kernel, start, k), exact), 1e-10)
    note = f"{paths} paths in {DIM} dimensions, {substeps} steps a tick, ηλ from {low:.3g} to {high:.3g} in a random basis"
    return Measured(estimates, notes=(note,), conventions=str(SGD(noise, problem.eta).conventions()))


def _kernel(integrator: str, sde: SDE, dt: float) -> Kernel:
    return TorchSDE(sde, dt, integrator) if integrator == "srk" else Heun(sde, dt)
