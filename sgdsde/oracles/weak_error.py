"""The weak error of an SDE model of SGD, E φ(X_T) − E φ(θ_{T/η}), without Monte Carlo and with the accuracy of each number.

A model has weak order p if this is O(η^p) at fixed T for every smooth φ (Li, Tai, E, arXiv 1811.01558, Definition 1). In one dimension both
expectations are propagated on an interval (:mod:`.line`), in two on the torus for 2π-periodic problems (:mod:`.torus`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde.noise import GaussianNoise, Noise, as_noise
from sgdsde.oracles.coefficients import Functions
from sgdsde.oracles.laws import GaussianLaw, Law
from sgdsde.oracles.line import sde_on_line, sgd_on_line
from sgdsde.oracles.refine import Expectations
from sgdsde.oracles.torus import sde_on_torus, sgd_on_torus
from sgdsde.sde import SDE, as_sde
from sgdsde.types import Conventions, InputError, OracleRefusal, as_points, positive

#: an SDE, or its class (or any callable) to be called with (noise, eta)
Model = SDE | Callable[[Noise, float], SDE]
#: one number per test function, or one array over the start points where several were given
Numbers = dict[str, Any]

#: default accuracy, relative to the size of each test function on the domain
TOLERANCE = 1e-10


def _first(x: Tensor) -> Tensor:
    return x[:, 0]


def _square(x: Tensor) -> Tensor:
    return x[:, 0] ** 2


def _cosine(x: Tensor) -> Tensor:
    return torch.cos(x[:, 0])


def _bump(x: Tensor) -> Tensor:
    return torch.exp(-(x[:, 0] ** 2))


def _sine_first(x: Tensor) -> Tensor:
    return torch.sin(x[:, 0])


def _cosine_second(x: Tensor) -> Tensor:
    return torch.cos(x[:, 1])


def _cosine_gap(x: Tensor) -> Tensor:
    return torch.cos(x[:, 0] - x[:, 1])


def _periodic_bump(x: Tensor) -> Tensor:
    return torch.exp(torch.sin(x[:, 0]) + torch.cos(x[:, 1]) - 2)


#: what is measured where no test functions are given
LINE_FUNCTIONS: Functions = {"x": _first, "x²": _square, "cos x": _cosine, "exp(−x²)": _bump}
TORUS_FUNCTIONS: Functions = {"sin x₁": _sine_first, "cos x₂": _cosine_second, "cos(x₁−x₂)": _cosine_gap, "exp(sin x₁+cos x₂−2)": _periodic_bump}


@dataclass(frozen=True)
class WeakError:
    """Per test function: E φ(θ_k) (``sgd``), E φ(X_T) (``sde``), their difference ``error`` = sde − sgd, and its ``accuracy``.

    Each is a dictionary by the test function's name; values are floats for one start point ``[dim]`` and arrays ``[P]`` for start points ``[P, dim]``.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.25)
        >>> found = sg.oracles.weak_error(sg.sdes.SME2, noise, eta=0.1, theta0=[-1.0], horizon=0.5)
        >>> all(abs(found.error[name] - (found.sde[name] - found.sgd[name])) < 1e-12 for name in found.error)
        True
    """

    model: str
    eta: float
    horizon: float
    sgd: Numbers
    sde: Numbers
    error: Numbers
    accuracy: Numbers
    conventions: Conventions

    def __str__(self) -> str:
        lines = [f"Weak error of {self.model} at T = {self.horizon:g} ({self.conventions})"]
        for name in self.error:
            for sgd, sde, error, accuracy in np.broadcast(self.sgd[name], self.sde[name], self.error[name], self.accuracy[name]):
                lines.append(f"  {name}: SGD {sgd:.10g}, SDE {sde:.10g}, error {error:+.4g} ± {accuracy:.1g}")
        return "\n".join(lines)


def weak_error(
    sde_or_model: Model,
    noise: Noise,
    *,
    eta: float,
    theta0: Any,
    horizon: float,
    functions: Functions | None = None,
    law: Law | None = None,
    tolerance: float = TOLERANCE,
) -> WeakError:
    """E φ(X_T) − E φ(θ_{T/η}) for each test function and start point.

    Args:
        sde_or_model: an SDE, or a model class (callable) that makes one from (noise, eta).
        noise: the noise of SGD; its Σ(θ) is used, its law is ``law``.
        eta: SGD's step size.
        theta0: a start point ``[dim]`` (a number in one dimension) or several ``[P, dim]``.
        horizon: T, a multiple of ``eta``.
        functions: name → φ, a function ``[P, dim]`` → ``[P]``; default: :data:`LINE_FUNCTIONS`, :data:`TORUS_FUNCTIONS`.
        law: law of the standardised noise (default: Gaussian, for noises that are).
        tolerance: accuracy wanted, relative to the largest |φ| on the domain that the law reaches.

    Raises:
        InputError: shapes, η ≤ 0, a horizon that is no multiple of η, a model made for another η, or a noise without a stated law.
        OracleRefusal: dimension above 2, a 2-D problem that is not 2π-periodic, a model that does not exist where the law goes, or an accuracy
            that is not reached. The message says which.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.25)
        >>> coarse, fine = (
        ...     sg.oracles.weak_error(sg.sdes.SME2, noise, eta=eta, theta0=[-1.3], horizon=0.8, functions={"mean": lambda theta: theta[:, 0]})
        ...     for eta in (0.05, 0.025)
        ... )
        >>> round(math.log2(coarse.error["mean"] / fine.error["mean"]), 1)  # weak order 2
        2.0
    """
    return weak_errors({"model": sde_or_model}, noise, eta=eta, theta0=theta0, horizon=horizon, functions=functions, law=law, tolerance=tolerance)["model"]


def weak_errors(
    models: Mapping[str, Model],
    noise: Noise,
    *,
    eta: float,
    theta0: Any,
    horizon: float,
    functions: Functions | None = None,
    law: Law | None = None,
    tolerance: float = TOLERANCE,
) -> dict[str, WeakError]:
    """:func:`weak_error` of several models against one SGD, which is propagated once.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.25)
        >>> models = {"SME1": sg.sdes.SME1, "SME2": sg.sdes.SME2}
        >>> found = sg.oracles.weak_errors(models, noise, eta=0.05, theta0=[-1.3], horizon=0.4, functions={"mean": lambda theta: theta[:, 0]})
        >>> abs(found["SME2"].error["mean"]) < abs(found["SME1"].error["mean"])
        True
    """
    eta, horizon, tolerance = positive(eta, "eta"), positive(horizon, "horizon"), positive(tolerance, "tolerance")
    sdes = {name: _made(model, as_noise(noise), eta) for name, model in models.items()}
    functions = functions if functions is not None else _default_functions(noise.objective.dim)
    sgd = sgd_expectations(noise, eta=eta, theta0=theta0, horizon=horizon, functions=functions, law=law, tolerance=tolerance)
    results = {}
    for name, sde in sdes.items():
        model = sde_expectations(sde, theta0=theta0, horizon=horizon, functions=functions, tolerance=tolerance)
        single = np.ndim(theta0) == 0 or (np.ndim(theta0) == 1)
        pack = _Packer(list(functions), single)
        results[name] = WeakError(
            model=type(sde).__name__,
            eta=eta,
            horizon=horizon,
            sgd=pack(sgd.value),
            sde=pack(model.value),
            error=pack(model.value - sgd.value),
            accuracy=pack(model.accuracy + sgd.accuracy),
            conventions=_stated(sde.conventions(), law),
        )
    return results


def sgd_expectations(
    noise: Noise, *, eta: float, theta0: Any, horizon: float, functions: Functions, law: Law | None = None, tolerance: float = TOLERANCE
) -> Expectations:
    """E φ(θ_k), k = horizon/η, ``[functions, starts]`` with accuracies. Arguments and errors: :func:`weak_error`.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> found = sg.oracles.sgd_expectations(
        ...     noise, eta=0.5, theta0=[8.0], horizon=1.0, functions={"square": lambda theta: theta[:, 0] ** 2}
        ... )
        >>> round(float(found.value[0, 0]), 6)  # (8·0.25)² + 0.25·(1 + 0.25)
        4.3125
    """
    dim = as_noise(noise).objective.dim
    if law is None:
        if not isinstance(noise, GaussianNoise):
            raise InputError(
                f"{type(noise).__name__} draws from a law of its own that this oracle does not integrate. Give law= (the law of the standardised noise; its "
                "covariance is taken from the noise), or use its Gaussian surrogate: sg.noises.gaussian_surrogate(noise)."
            )
        law = GaussianLaw()
    starts, steps = as_points(theta0, dim, name="theta0").to(torch.float64).cpu().numpy(), _steps(horizon, eta)
    if dim == 1:
        return sgd_on_line(noise, eta=eta, starts=starts[:, 0], steps=steps, functions=functions, law=law, tolerance=tolerance)
    if dim == 2:
        return sgd_on_torus(noise, eta=eta, starts=starts, steps=steps, functions=functions, law=law, tolerance=tolerance)
    raise OracleRefusal(_too_many(dim))


def sde_expectations(sde: SDE, *, theta0: Any, horizon: float, functions: Functions, tolerance: float = TOLERANCE) -> Expectations:
    """E φ(X_T), ``[functions, starts]`` with accuracies. Arguments and errors: :func:`weak_error`.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> found = sg.oracles.sde_expectations(
        ...     sg.sdes.GradientFlow(noise, 0.1), theta0=[2.0], horizon=1.0, functions={"mean": lambda theta: theta[:, 0]}
        ... )
        >>> round(float(found.value[0, 0]) * math.e, 6)  # 2e⁻¹
        2.0
    """
    starts, horizon = as_points(theta0, as_sde(sde).dim, name="theta0").to(torch.float64).cpu().numpy(), positive(horizon, "horizon")
    if sde.dim == 1:
        return sde_on_line(sde, starts=starts[:, 0], horizon=horizon, functions=functions, tolerance=tolerance)
    if sde.dim == 2:
        return sde_on_torus(sde, starts=starts, horizon=horizon, functions=functions, tolerance=tolerance)
    raise OracleRefusal(_too_many(sde.dim))


@dataclass(frozen=True)
class _Packer:
    """``[functions, starts]`` → {name: float or array over the starts}."""

    names: list[str]
    single: bool

    def __call__(self, values: np.ndarray) -> Numbers:
        return {name: float(row[0]) if self.single else row for name, row in zip(self.names, values, strict=True)}


def _stated(conventions: Conventions, law: Law | None) -> Conventions:
    """The conventions with the law that SGD drew from, where it was given."""
    return conventions if law is None else replace(conventions, sampling=f"{law}, covariance of: {conventions.sampling}")


def _made(model: Model, noise: Noise, eta: float) -> SDE:
    sde = model if isinstance(model, SDE) else model(noise, eta)
    if sde.dim != noise.objective.dim:
        raise InputError(
            f"{type(sde).__name__} has dimension {sde.dim}, the noise's objective {noise.objective.dim}; give the noise that the model was made for."
        )
    if sde.eta is not None and not np.isclose(sde.eta, eta, rtol=1e-12):
        raise InputError(f"{type(sde).__name__} was made for eta = {sde.eta}, SGD runs with eta = {eta}; pass the model's class, or equal values.")
    return sde


def _steps(horizon: float, eta: float) -> int:
    horizon, eta = positive(horizon, "horizon"), positive(eta, "eta")
    steps = round(horizon / eta)
    if steps < 1 or abs(steps * eta - horizon) > 1e-9 * horizon:
        raise InputError(f"horizon = {horizon} is no multiple of eta = {eta}; nearest: {max(steps, 1) * eta:.12g}.")
    return steps


def _default_functions(dim: int) -> Functions:
    if dim > 2:
        raise OracleRefusal(_too_many(dim))
    return LINE_FUNCTIONS if dim == 1 else TORUS_FUNCTIONS


def _too_many(dim: int) -> str:
    return (
        f"dimension {dim}: weak errors without Monte Carlo exist here for dimension 1 and for the 2-D torus. For quadratics use sg.oracles.sgd_moments and "
        "sg.oracles.sde_moments; otherwise simulate with sg.compare(..., coupled=True)."
    )
