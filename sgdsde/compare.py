"""Which SDE describes this SGD: moments and distances between distributions, with error bars.

Every model runs on the Brownian increments of the Gaussian surrogate of SGD (same Σ(θ), no skewness), so that the Monte-Carlo noise of
(model − surrogate) cancels, and carries martingale controls where they can be had (``coupled_difference``); the true SGD runs on its own stream, and
(SGD − surrogate) says what the law of the noise alone does. A model's error against true SGD is the first minus the second. Where the noise is Gaussian the
surrogate *is* SGD. The two independent ensembles behind (SGD − surrogate) carry control variates from the local quadratic at a common start
(``local_control``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde.comparison import Comparison, Ensemble, ModelResult, column_means, moments_of
from sgdsde.coupled_difference import CoupledDifference
from sgdsde.kernel import DrivenKernel, Kernel
from sgdsde.kernels.coupled import Coupled
from sgdsde.kernels.exact_ou import ExactOU
from sgdsde.kernels.heun import Heun
from sgdsde.kernels.sgd import SGD
from sgdsde.local_control import LocalControl, means
from sgdsde.loop import default_block_size
from sgdsde.model_choice import build, labelled
from sgdsde.noise import GaussianNoise, Noise, as_noise
from sgdsde.noises.surrogate import DENSE_DIM, gaussian_surrogate
from sgdsde.objective import Objective
from sgdsde.observables import Loss, SquaredDistance
from sgdsde.sde import SDE
from sgdsde.simulate import simulate
from sgdsde.stats import difference
from sgdsde.trajectory import Trajectory
from sgdsde.types import Estimate, InputError, OracleRefusal, as_points

Observables = dict[str, Callable[[Tensor], Tensor]]
#: substeps a tick that the step-halving check may choose
SUBSTEPS = (4, 8, 16, 32, 64)
#: the check trusts its own scaling of the bias over this factor, beyond it looks again
LEAP = 4


#: two halves of two paths
_LEAST_PATHS = 4


def compare(
    noise: Noise,
    *,
    eta: float,
    models: Sequence[Any] | Mapping[str, Any],
    theta0: Any,
    horizon: float,
    paths: int,
    seed: int,
    substeps: int | None = None,
    observe: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    variances: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
    coupled: bool = True,
    save: Sequence[float] | None = None,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> Comparison:
    """Compare SDE models with SGD from a common start.

    Args:
        noise: the gradient noise of SGD; the models see the same Σ(θ).
        eta: step size η.
        models: names (``"HASME"``), classes or callables ``(noise, eta) -> SDE``, or a mapping from labels to these.
        theta0: one start point ``[dim]`` or a sampler ``(paths, generator) -> [paths, dim]``.
        horizon, save: SDE times, multiples of η; everything is reported at each saved time (default: the horizon).
        substeps: steps of stochastic Heun a tick. None: exact steps where the SDE is linear, else the number that a coupled step-halving
            check on a tenth of the paths finds sufficient (its bias below half the standard error or a tenth of the difference).
        observe: functions ``[P, dim] -> [P]`` beside the built-in ``loss`` and ``squared distance`` (see :mod:`sgdsde.observables`).
        variances: functions ``[P, dim] -> [P]`` or ``[P, k]`` whose total variance is compared beside tr Cov: ``Coordinates`` of an eigenspace, logits.
        coupled: share the Brownian increments between the surrogate and each model.

    Raises:
        InputError, DomainError: as :func:`sgdsde.simulate`, or an unknown model name (with a suggestion).

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> found = sg.compare(noise, eta=0.5, models=["SME1", "HASME"], theta0=[4.0], horizon=2.0, paths=2000, seed=1)
        >>> errors = {model: found.differences(model)["tr Cov"] for model in found.models}
        >>> abs(float(errors["HASME"].value[-1])) < 0.05 * abs(float(errors["SME1"].value[-1]))  # HA-SME is exact here, its integrator nearly
        True
    """
    surrogate = gaussian_surrogate(as_noise(noise))
    if isinstance(paths, bool) or not isinstance(paths, int | np.integer) or paths < _LEAST_PATHS:
        raise InputError(f"paths = {paths!r}; wanted an integer ≥ {_LEAST_PATHS}: halves of SGD's paths are compared with each other.")
    if substeps is not None and (isinstance(substeps, bool) or not isinstance(substeps, int | np.integer) or substeps < 1):
        raise InputError(f"substeps = {substeps!r}; wanted an integer ≥ 1, or None: as many as a step-halving check finds sufficient.")
    if not isinstance(coupled, bool):
        raise InputError(f"coupled = {coupled!r:.200}; wanted True or False.")
    chosen = {label: build(model, surrogate, eta) for label, model in labelled(models).items()}
    observables = _observables(noise.objective, theta0, observe)
    spread = dict(variances or {})
    if clash := sorted(set(spread) & {*observables, "tr Cov"}):
        raise InputError(f"variances holds {clash[0]!r}, the name of an observable; choose another.")
    plan = _Plan(surrogate, eta, theta0, horizon, save, paths, seed, observables, spread, executor, progress)
    sgd = SGD(noise, eta)
    direct = plan.run(sgd, paths, purpose=0)
    reference = plan.ensemble(direct.states)
    results, twin, last = {}, None, None
    for label, sde in chosen.items():
        results[label], twin, last = _one_model(plan, label, sde, substeps, coupled, reference)
    assert twin is not None
    if isinstance(noise, GaussianNoise):
        law, controls = None, "none needed"
    else:
        law, controls = _noise_law(plan, sgd, reference, twin, last)
    return Comparison(
        eta=eta,
        times=direct.times.numpy(),
        observables=(*observables, *spread),
        reference=moments_of(reference),
        surrogate=moments_of(twin),
        noise_law=law,
        models=results,
        floor=reference.split_half_floor(),
        sgd_counts=direct.counts(),
        conventions=direct.conventions,
        recipe={"seed": seed, "paths": paths, "horizon": horizon, "coupled": coupled, "controls": controls},
    )


@dataclass(frozen=True)
class _Plan:
    """What all runs of one comparison share."""

    noise: GaussianNoise
    eta: float
    theta0: Any
    horizon: float
    save: Sequence[float] | None
    paths: int
    seed: int
    observables: Observables
    variances: Observables
    executor: Executor | None
    progress: bool | None

    def ticks(self) -> list[int]:
        """The saves in steps."""
        return [round(float(time) / self.eta) for time in (self.save if self.save is not None else (self.horizon,))]

    def ensemble(self, states: Tensor) -> Ensemble:
        """Saved states with all that is read off them."""
        return Ensemble.of(states, self.observables, self.variances)

    def run(self, kernel: Kernel, paths: int, *, purpose: int, block_size: int | None = None) -> Trajectory:
        """One ensemble; ``purpose`` separates the streams of runs that must be independent."""
        return simulate(
            kernel,
            self.theta0,
            horizon=self.horizon,
            save=self.save,
            paths=paths,
            seed=self.seed * 1000 + purpose,
            block_size=block_size,
            executor=self.executor,
            progress=self.progress,
        )


def _one_model(
    plan: _Plan, label: str, sde: SDE, substeps: int | None, coupled: bool, reference: Ensemble
) -> tuple[ModelResult, Ensemble, DrivenKernel | None]:
    """The model's result, the surrogate's ensemble beside it, and the kernel that shared its increments (None: none did)."""
    kernel, steps, check = _integrator(plan, sde, substeps)
    sgd = SGD(plan.noise, plan.eta)
    if coupled:
        shared = CoupledDifference.of(sgd, kernel, plan.theta0, plan.observables, plan.variances, plan.ticks(), reference)
        trajectory = plan.run(shared.pair, plan.paths, purpose=1, block_size=default_block_size(Coupled(sgd, kernel), plan.paths))
        twin, model = (plan.ensemble(states) for states in shared.pair.split(trajectory.states))
        differences = shared.estimates(trajectory.states, model, twin)
        controls = f"none: {shared.why_not}" if shared.why_not else "martingales"
    else:
        controls = "none: independent ensembles"
        twin = plan.ensemble(plan.run(sgd, plan.paths, purpose=1).states)
        trajectory = plan.run(kernel, plan.paths, purpose=2)
        model = plan.ensemble(trajectory.states)
        differences = {name: difference(column_means(values), column_means(twin.columns[name])) for name, values in model.columns.items()}
    result = ModelResult(
        label=label,
        kernel=type(kernel).__name__,
        substeps=steps,
        moments=moments_of(model),
        differences=differences,
        distances=model.distances(reference),
        integrator=check,
        counts=trajectory.counts(),
        tally=trajectory.tally,
        controls=controls,
    )
    return result, twin, kernel if coupled else None


def _noise_law(plan: _Plan, sgd: SGD, reference: Ensemble, twin: Ensemble, partner: DrivenKernel | None) -> tuple[dict[str, Estimate], str]:
    """SGD − surrogate, two independent ensembles, with control variates where the linear world around a common start has moments; and which were used."""
    columns, others = reference.columns, twin.columns
    start = None if callable(plan.theta0) else as_points(plan.theta0, sgd.dim, name="theta0")
    if start is None or len(start) > 1 or sgd.dim > DENSE_DIM:
        return {name: difference(column_means(columns[name]), column_means(others[name])) for name in columns}, "none: no common start, or too many parameters"
    control = LocalControl(sgd.noise, plan.eta, start[0])
    shadow, shadow_twin = control.sgd(), control.surrogate(partner)
    size = default_block_size(Coupled(SGD(plan.noise, plan.eta), partner) if partner is not None else SGD(plan.noise, plan.eta), plan.paths)
    run = plan.run(shadow, plan.paths, purpose=0, block_size=default_block_size(sgd, plan.paths))
    ticks = [round(time / plan.eta) for time in run.times.tolist()]
    states = plan.run(shadow_twin, plan.paths, purpose=1, block_size=size).states
    halves = shadow_twin.split(states)[0] if isinstance(shadow_twin, Coupled) else states
    try:
        first, second = control.features(run.states, ticks), control.features(halves, ticks)
    except OracleRefusal as refusal:
        return {name: difference(column_means(columns[name]), column_means(others[name])) for name in columns}, f"none: {refusal}"
    return {name: difference(means(columns[name], first), means(others[name], second)) for name in columns}, "local quadratic at the start"


def _integrator(plan: _Plan, sde: SDE, substeps: int | None) -> tuple[DrivenKernel, int, dict[str, Estimate]]:
    """The integrator, its substeps, and what halving its step changes (empty where the steps are exact or the user chose them)."""
    if substeps is not None:
        return Heun(sde, plan.eta / substeps), substeps, {}
    if sde.affine() is not None and sde.noise_dim == sde.dim:
        return ExactOU(sde, plan.eta), 1, {}
    tenth = max(100, plan.paths // 10)
    steps = SUBSTEPS[0]
    while True:
        check, worst = _halving(plan, sde, steps, tenth)
        if worst <= 1 or steps == SUBSTEPS[-1]:
            break
        if worst <= LEAP:  # the bias falls at least as 1/substeps
            finer = next(count for count in (*SUBSTEPS, SUBSTEPS[-1]) if count >= min(steps * worst, SUBSTEPS[-1]))
            check = {name: _scaled(bias, steps / finer) for name, bias in check.items()}
            steps = finer
            break
        steps = min(steps * LEAP, SUBSTEPS[-1])
    return Heun(sde, plan.eta / steps), steps, check


def _halving(plan: _Plan, sde: SDE, steps: int, paths: int) -> tuple[dict[str, Estimate], float]:
    """What halving the step changes in each observable, on ``paths`` coupled paths; and the largest such change over what is allowed."""
    kernel = Heun(sde, plan.eta / steps)
    halving, trial = Coupled(kernel, Heun(sde, plan.eta / (2 * steps))), Coupled(SGD(plan.noise, plan.eta), kernel)
    coarse, fine = halving.split(plan.run(halving, paths, purpose=3).states)
    twin, model = trial.split(plan.run(trial, paths, purpose=4).states)
    check, worst = {}, 0.0
    for name, function in plan.observables.items():
        bias = column_means(_on_saves(function, coarse) - _on_saves(function, fine))
        error = column_means(_on_saves(function, model) - _on_saves(function, twin))
        allowed = np.maximum(0.5 * error.stderr * (paths / plan.paths) ** 0.5, 0.1 * np.abs(error.value))
        size = np.abs(bias.value)
        ratio = np.where(size < 1e-12, 0.0, size / np.maximum(allowed, 1e-300))
        worst = max(worst, float(np.max(np.where(np.isnan(ratio), np.inf, ratio))))
        check[name] = bias
    return check, worst


def _scaled(e: Estimate, factor: float) -> Estimate:
    value, stderr, low, high = (factor * np.asarray(part) for part in (e.value, e.stderr, e.low, e.high))
    return Estimate(value, stderr, e.n, low, high)


def _on_saves(function: Callable[[Tensor], Tensor], states: Tensor) -> np.ndarray:
    """An observable at every save, ``[P, T]``."""
    return np.stack([function(points).to(torch.float64).cpu().numpy() for points in states], axis=1)


def _observables(objective: Objective, theta0: Any, observe: Mapping[str, Callable[[Tensor], Tensor]] | None) -> Observables:
    built_in: Observables = {"loss": Loss(objective)}
    if not callable(theta0):
        origin = as_points(theta0, objective.dim, name="theta0").to(torch.float64)
        if len(origin) == 1:
            built_in["squared distance"] = SquaredDistance(tuple(origin[0].tolist()))
    return built_in | dict(observe or {})
