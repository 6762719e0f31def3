"""Which SDE model to trust for *this* problem, at *this* point: existence, one-step errors, predicted weak errors, substeps, advice.

Everything is computed from f, Σ, η and θ by deterministic closures (:mod:`sgdsde.predicted_error`), without sampling a path. Predictions hold to leading order
in η; where they do not, they are called "not asymptotic". Held against the exact weak errors of the one- and two-dimensional oracles they are within a factor 2
(claim A25 of the ledger states on which grid). For dense Hessians, up to 64 dimensions. Derivation: docs/theory/atlas.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

import sgdsde.sdes as sdes
from sgdsde.advice import recommend
from sgdsde.atlas_result import Atlas, Chart
from sgdsde.closure import Cumulants, Tick, sde_tick, sgd_tick, twice
from sgdsde.compare import Loss, SquaredDistance
from sgdsde.cubature import TENSOR_DIM, axis_rule, tensor_rule
from sgdsde.existence import Existence, around, existence, largest_eta_lambda
from sgdsde.given import is_name
from sgdsde.integration_bias import SCHEMES, linear_path, substeps_needed
from sgdsde.noise import Noise, as_noise
from sgdsde.one_step_error import OneStepError, one_step_error
from sgdsde.predicted_error import NESTED_DIM, Factory, Forecast, Functions
from sgdsde.sde import SDE
from sgdsde.skewness import skewness_error
from sgdsde.smoothness import not_smooth
from sgdsde.types import DomainError, InputError, as_points, positive, suggest

#: Hessians are dense here
MOST_DIM = 64
#: steps of SGD within the horizon unless it is given
STEPS = 16
#: weak orders for Gaussian noise at fixed Σ; None: no order is claimed
ORDERS: dict[type[SDE], int | None] = {
    sdes.GradientFlow: 1,
    sdes.PrincipalFlow: 1,
    sdes.Langevin: None,
    sdes.SME1: 1,
    sdes.SME2: 2,
    sdes.SPF: 2,
    sdes.HASME: 2,
    sdes.HASMEProduct: 2,
    sdes.SME3: 3,
    sdes.HASME3: 3,
    sdes.HASME3Product: 3,
    sdes.EvenStepHASME: None,
}
#: models of order up to 2, and of order 3 (in many dimensions the closure cannot resolve their errors, and third derivatives are costly)
SECOND = ("SME1", "SME2", "SPF", "HASME", "HASMEProduct")
THIRD = ("SME3", "HASME3", "HASME3Product")
#: an integrator's bias of ``share`` times this many standard deviations is always allowed: a million paths do not see a tenth of it
_FLOOR = 1e-3


def atlas(
    noise: Noise,
    eta: float,
    theta: Any,
    *,
    horizon: float | None = None,
    functions: Functions | None = None,
    models: Sequence[str] | Mapping[str, Factory] | None = None,
    share: float = 0.1,
) -> Atlas:
    """Which model to trust for SGD with this noise and step size, started at ``theta``.

    Args:
        noise: Gaussian or minibatch noise; it holds the objective.
        eta: step size η.
        theta: the point, ``[dim]``.
        horizon: SDE time at which weak errors are predicted, a multiple of η; default 16η.
        functions: test functions ``[P, dim]`` → ``[P]``; default: the loss f, ‖θ−θ₀‖² and every coordinate.
        models: names, or a mapping from labels to callables ``(noise, eta) -> SDE``; default: the models of order 1 to 3 (beyond eight dimensions those of
            order 1 and 2 unless H and Σ are constant), and the even-step model where ηλ ≥ 1.
        share: the share of a model's own error that an integrator's bias may add.

    Raises:
        InputError: η ≤ 0, θ of a wrong shape or not finite, more than one point, dim > 64, a horizon that is no multiple of η, an unknown model (with a
            suggestion), no test functions or one of a wrong shape, a share outside (0, 1].

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> sg.atlas(noise, 0.5, [1.0], models=["SME1", "HASME"]).recommended
        'HASME'
    """
    eta, share = positive(eta, "eta"), positive(share, "share")
    if share > 1:
        raise InputError(f"share = {share}; wanted a share of the model's error, above 0 and at most 1.")
    dim = as_noise(noise).objective.dim
    if dim > MOST_DIM:
        raise InputError(
            f"dimension {dim}: the atlas forms dense Hessians, for at most {MOST_DIM} dimensions. Project onto the top eigenvectors, or use sg.compare."
        )
    theta0 = as_points(theta, dim, name="theta").to(torch.float64).cpu()
    if len(theta0) != 1:
        raise InputError(f"theta holds {len(theta0)} points; an atlas is made for one. Call it once a point.")
    steps = _steps(horizon, eta)
    with torch.no_grad():
        chosen = _functions(noise, theta0, functions)
        forecast = Forecast(noise, eta, theta0, steps=steps, functions=chosen)
        path = forecast.path()
        near = around(path)
        reach = largest_eta_lambda(noise.objective, eta, torch.cat([theta0, near]))
        kinks = not_smooth(noise.objective, torch.cat([theta0, near]))
        factories = _factories(noise, models, past_one=bool((reach >= 1).any()), steps=steps)
        charts = {label: _chart(label, factory, forecast, near, share) for label, factory in factories.items()}
        skewness = skewness_error(noise, eta, theta0, steps=steps, functions=chosen)
    scales = dict(zip(chosen, forecast.scales.tolist(), strict=True))
    recommended, sentences = recommend(charts, skewness=skewness, scales=scales, not_smooth=kinks)
    return Atlas(
        eta=eta,
        theta=tuple(theta0[0].tolist()),
        horizon=steps * eta,
        steps=steps,
        eta_lambda=float(reach[0]),
        eta_lambda_around=float(reach.max()),
        not_smooth=kinks,
        charts=charts,
        skewness=skewness,
        scales=scales,
        share=share,
        recommended=recommended,
        recommendation=sentences,
        conventions=_conventions(noise, eta),
    )


def _chart(label: str, factory: Factory, forecast: Forecast, near: Tensor, share: float) -> Chart:
    """One model's page."""
    try:
        sde = forecast.model(factory, 1)
    except DomainError as error:
        return Chart(label, None, Existence("no", float("nan"), float("nan"), str(error).split(". ")[0].rstrip(".")), None, {}, {})
    order, ticks = ORDERS.get(type(sde)), 2 if isinstance(sde, sdes.EvenStepHASME) else 1
    exists = existence(sde, forecast.theta0, near)
    if exists.where == "no":
        return Chart(label, order, exists, None, {}, {})
    predictions = forecast.predict(factory, order, ticks=ticks)
    substeps = _substeps(sde, forecast, {name: p.error for name, p in predictions.items()}, ticks, share)
    return Chart(label, order, exists, _one_step(factory, forecast, ticks), predictions, substeps)


def _one_step(factory: Factory, forecast: Forecast, ticks: int) -> OneStepError:
    """The error of one tick from θ; the rule is finer than the forecast's where that costs little."""
    dim, noise = forecast.dim, forecast.noise
    rule = tensor_rule(dim, 5) if dim <= TENSOR_DIM else axis_rule(dim)

    def model(halving: int) -> Tick:
        # twice the settled number: RK4 is then within .2 % of its distance to SGD's step
        count = 2 * forecast.substeps(factory, halving, ticks)
        return sde_tick(forecast.model(factory, halving), ticks * forecast.eta / halving, rule=rule, substeps=count, third=False)

    def reference(eta: float) -> Tick:
        return sgd_tick(noise, eta) if ticks == 1 else twice(sgd_tick(noise, eta), rule)

    return one_step_error(noise, forecast.eta, forecast.theta0, model, steps=ticks, reference=reference)


def _substeps(sde: SDE, forecast: Forecast, errors: Mapping[str, float], ticks: int, share: float) -> dict[str, int | None]:
    """Substeps a tick η for each integrator."""
    path = forecast.path()
    means = torch.cat([law.mean for law in path[:-1]])
    floor = _FLOOR * forecast.scales
    allowed = share * torch.maximum(torch.tensor([abs(error) for error in errors.values()], dtype=torch.float64).nan_to_num(), floor)
    b, Q = sde.drift(0.0, means), sde.diffusion(0.0, means)
    if not bool(torch.isfinite(b).all() and torch.isfinite(Q).all()):
        return dict.fromkeys(SCHEMES)
    end = Cumulants(path[-1].mean, path[-1].covariance, None)
    linear = linear_path(sde, means, end, tick=forecast.eta)
    functions = list(forecast.functions.values())
    return {scheme: substeps_needed(linear, scheme, forecast.rules[0], functions, allowed) for scheme in SCHEMES}


def _steps(horizon: float | None, eta: float) -> int:
    if horizon is None:
        return STEPS
    horizon = positive(horizon, "horizon")
    steps = round(horizon / eta)
    if steps < 1 or abs(steps * eta - horizon) > 1e-9 * horizon:
        raise InputError(f"horizon = {horizon} is no multiple of eta = {eta}; nearest: {max(steps, 1) * eta:.12g}.")
    return steps


def _functions(noise: Noise, theta0: Tensor, functions: Functions | None) -> Functions:
    """The test functions, tried at θ."""
    if functions is None:
        built_in: dict[str, Any] = {"f": Loss(noise.objective), "‖θ−θ₀‖²": SquaredDistance(tuple(theta0[0].tolist()))}
        functions = built_in | {f"θ{i + 1}": partial(torch.select, dim=1, index=i) for i in range(theta0.shape[1])}
    if isinstance(functions, Mapping) and not functions:
        raise InputError("functions is empty; give at least one test function, for example {'mean': lambda theta: theta[:, 0]}.")
    if not isinstance(functions, Mapping):
        raise InputError(f"functions is of type {type(functions).__name__}; wanted a mapping, for example {{'mean': lambda theta: theta[:, 0]}}.")
    for name, function in functions.items():
        if not callable(function):
            raise InputError(f"The test function {name!r} is of type {type(function).__name__}; wanted a callable from points [P, dim] to [P].")
        value = function(theta0)
        if not isinstance(value, Tensor) or tuple(value.shape) != (1,):
            raise InputError(
                f"The test function {name!r} returned {getattr(value, 'shape', type(value).__name__)} for points [1, {theta0.shape[1]}]; wanted [1]."
            )
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"The test function {name!r} is not finite at theta; give a function that is.")
    return functions


def _factories(noise: Noise, models: Sequence[str] | Mapping[str, Factory] | None, *, past_one: bool, steps: int) -> dict[str, Factory]:
    if isinstance(models, Mapping):
        if not models:
            raise InputError("models is empty; name at least one, for example models=['SME1', 'HASME'].")
        for label, factory in models.items():
            if not callable(factory):
                raise InputError(f"models: {label!r} is of type {type(factory).__name__}; wanted a class of sg.sdes or another callable (noise, eta) -> SDE.")
        return dict(models)
    if not isinstance(models, Iterable | None):
        raise InputError(f"models is of type {type(models).__name__}; wanted names, for example models=['SME1', 'HASME'], or a mapping from labels to classes.")
    known = {model.__name__: model for model in ORDERS}
    names = _default_models(noise, past_one, steps) if models is None else [models] if isinstance(models, str) else list(models)
    if not names:
        raise InputError("models is empty; name at least one, for example models=['SME1', 'HASME'].")
    for name in names:
        if not is_name(name, known):
            raise InputError(f"{name!r} is no model." + suggest(name, list(known)))
        if name == "EvenStepHASME" and steps % 2:
            raise InputError(f"EvenStepHASME is compared with SGD at even steps; the horizon has {steps}. Use a horizon of an even number of steps.")
    return {name: known[name] for name in names}


def _default_models(noise: Noise, past_one: bool, steps: int) -> list[str]:
    dim = noise.objective.dim
    linear = noise.objective.facts.constant_hessian and noise.constant_covariance
    names = [*SECOND, *(THIRD if dim <= NESTED_DIM or linear else ())]
    if dim == 1:  # the product forms are the dense ones there
        names = [name for name in names if not name.endswith("Product")]
    return [*names, *(["EvenStepHASME"] if past_one and steps % 2 == 0 else [])]


def _conventions(noise: Noise, eta: float) -> Any:
    from dataclasses import replace

    return replace(noise.conventions(), eta=eta)
