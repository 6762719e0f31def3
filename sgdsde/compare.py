"""Which SDE describes this SGD: moments and distances between distributions, with error bars.

Every model runs on the Brownian increments of the Gaussian surrogate of SGD (same Σ(θ), no skewness), so that the Monte-Carlo noise of
(model − surrogate) cancels; the true SGD runs on its own stream, and (SGD − surrogate) says what the law of the noise alone does. A model's
error against true SGD is the first minus the second. Where the noise is Gaussian the surrogate *is* SGD.
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
from sgdsde.kernel import DrivenKernel, Kernel
from sgdsde.kernels.coupled import Coupled
from sgdsde.kernels.exact_ou import ExactOU
from sgdsde.kernels.heun import Heun
from sgdsde.kernels.sgd import SGD
from sgdsde.noise import GaussianNoise, Noise
from sgdsde.noises.surrogate import gaussian_surrogate
from sgdsde.objective import Objective
from sgdsde.sde import SDE
from sgdsde.simulate import simulate
from sgdsde.stats import difference
from sgdsde.trajectory import Trajectory
from sgdsde.types import Estimate, InputError, suggest

Observables = dict[str, Callable[[Tensor], Tensor]]
#: substeps a tick that the step-halving check may choose
SUBSTEPS = (4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Loss:
    """θ ↦ f(θ)."""

    objective: Objective

    def __call__(self, theta: Tensor) -> Tensor:
        return self.objective.loss(theta).detach()


@dataclass(frozen=True)
class SquaredDistance:
    """θ ↦ ‖θ − origin‖²."""

    origin: tuple[float, ...]

    def __call__(self, theta: Tensor) -> Tensor:
        return ((theta - torch.tensor(self.origin, dtype=theta.dtype, device=theta.device)) ** 2).sum(1)


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
        observe: functions ``[P, dim] -> [P]`` beside the built-in ``loss`` and ``squared distance``.
        coupled: share the Brownian increments between the surrogate and each model.

    Raises:
        InputError, DomainError: as :func:`sgdsde.simulate`, or an unknown model name (with a suggestion).
    """
    surrogate = gaussian_surrogate(noise)
    chosen = {label: _build(model, surrogate, eta) for label, model in _labelled(models).items()}
    observables = _observables(noise.objective, theta0, observe)
    plan = _Plan(surrogate, eta, theta0, horizon, save, paths, seed, observables, executor, progress)
    direct = plan.run(SGD(noise, eta), paths, purpose=0)
    reference = Ensemble.of(direct.states, observables)
    results, twin = {}, None
    for label, sde in chosen.items():
        result, twin = _one_model(plan, label, sde, substeps, coupled, reference)
        results[label] = result
    if isinstance(noise, GaussianNoise) or twin is None:
        law = None
    else:
        law = {name: _independent(reference.values[name], twin.values[name]) for name in observables}
        law |= {"tr Cov": _spread_difference(reference, twin)}
    return Comparison(
        eta=eta,
        times=direct.times.numpy(),
        observables=tuple(observables),
        reference=moments_of(reference),
        surrogate=moments_of(twin) if twin is not None else moments_of(reference),
        noise_law=law,
        models=results,
        floor=reference.split_half_floor(),
        sgd_counts=direct.counts(),
        conventions=direct.conventions,
        recipe={"seed": seed, "paths": paths, "horizon": horizon, "coupled": coupled},
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
    executor: Executor | None
    progress: bool | None

    def run(self, kernel: Kernel, paths: int, *, purpose: int) -> Trajectory:
        """One ensemble; ``purpose`` separates the streams of runs that must be independent."""
        return simulate(
            kernel,
            self.theta0,
            horizon=self.horizon,
            save=self.save,
            paths=paths,
            seed=self.seed * 1000 + purpose,
            executor=self.executor,
            progress=self.progress,
        )


def _one_model(plan: _Plan, label: str, sde: SDE, substeps: int | None, coupled: bool, reference: Ensemble) -> tuple[ModelResult, Ensemble]:
    kernel, steps, check = _integrator(plan, sde, substeps)
    sgd = SGD(plan.noise, plan.eta)
    if coupled:
        pair = Coupled(sgd, kernel)
        trajectory = plan.run(pair, plan.paths, purpose=1)
        first, second = pair.split(trajectory.states)
        twin, model = Ensemble.of(first, plan.observables), Ensemble.of(second, plan.observables)
        differences = {name: column_means(model.values[name] - twin.values[name]) for name in plan.observables}
        differences["tr Cov"] = column_means(model.spreads() - twin.spreads())
    else:
        twin = Ensemble.of(plan.run(sgd, plan.paths, purpose=1).states, plan.observables)
        trajectory = plan.run(kernel, plan.paths, purpose=2)
        model = Ensemble.of(trajectory.states, plan.observables)
        differences = {name: _independent(model.values[name], twin.values[name]) for name in plan.observables}
        differences["tr Cov"] = _spread_difference(model, twin)
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
    )
    return result, twin


def _integrator(plan: _Plan, sde: SDE, substeps: int | None) -> tuple[DrivenKernel, int, dict[str, Estimate]]:
    """The integrator, its substeps, and what halving its step changes (empty where the steps are exact or the user chose them)."""
    if substeps is not None:
        return Heun(sde, plan.eta / substeps), substeps, {}
    if sde.affine() is not None and sde.noise_dim == sde.dim:
        return ExactOU(sde, plan.eta), 1, {}
    tenth = max(100, plan.paths // 10)
    for steps in SUBSTEPS:
        kernel = Heun(sde, plan.eta / steps)
        halving = Coupled(kernel, Heun(sde, plan.eta / (2 * steps)))
        coarse, fine = halving.split(plan.run(halving, tenth, purpose=3).states)
        trial = Coupled(SGD(plan.noise, plan.eta), kernel)
        twin, model = trial.split(plan.run(trial, tenth, purpose=4).states)
        check, fit = {}, True
        for name, function in plan.observables.items():
            bias = column_means(_on_saves(function, coarse) - _on_saves(function, fine))
            error = column_means(_on_saves(function, model) - _on_saves(function, twin))
            allowed = np.maximum(0.5 * error.stderr * (tenth / plan.paths) ** 0.5, 0.1 * np.abs(error.value))
            fit = fit and bool(np.all((np.abs(bias.value) <= allowed) | (np.abs(bias.value) < 1e-12)))
            check[name] = bias
        if fit:
            break
    return kernel, steps, check


def _on_saves(function: Callable[[Tensor], Tensor], states: Tensor) -> np.ndarray:
    """An observable at every save, ``[P, T]``."""
    return np.stack([function(points).to(torch.float64).cpu().numpy() for points in states], axis=1)


def _independent(a: np.ndarray, b: np.ndarray) -> Estimate:
    return difference(column_means(a), column_means(b))


def _spread_difference(a: Ensemble, b: Ensemble) -> Estimate:
    return _independent(a.spreads(), b.spreads())


def _labelled(models: Sequence[Any] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(models, str):
        models = [models]
    if not isinstance(models, Mapping):
        models = {model if isinstance(model, str) else getattr(model, "__name__", type(model).__name__): model for model in models}
    if not models:
        raise InputError("models is empty; name at least one, for example models=['SME1', 'HASME'].")
    return dict(models)


def _build(model: Any, noise: Noise, eta: float) -> SDE:
    import sgdsde.sdes as sdes

    if isinstance(model, str):
        known = [name for name in sdes.__all__ if isinstance(getattr(sdes, name), type) and issubclass(getattr(sdes, name), SDE)]
        if model not in known:
            raise InputError(f"{model!r} is no model." + suggest(model, known))
        model = getattr(sdes, model)
    if isinstance(model, SDE):
        if model.noise_dim not in (0, noise.root_dim):
            raise InputError(
                f"{type(model).__name__} was built on a noise with {model.noise_dim} components; pass its class, so that it is built on the Gaussian surrogate."
            )
        return model
    built = model(noise, eta)
    if not isinstance(built, SDE):
        raise InputError(f"models: {model!r} returned {type(built).__name__}; wanted an SDE from (noise, eta).")
    return built


def _observables(objective: Objective, theta0: Any, observe: Mapping[str, Callable[[Tensor], Tensor]] | None) -> Observables:
    built_in: Observables = {"loss": Loss(objective)}
    if not callable(theta0):
        origin = np.asarray(theta0.cpu() if isinstance(theta0, Tensor) else theta0, dtype=float).reshape(-1, objective.dim)
        if len(origin) == 1:
            built_in["squared distance"] = SquaredDistance(tuple(origin[0].tolist()))
    return built_in | dict(observe or {})
