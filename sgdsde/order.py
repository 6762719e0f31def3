"""Orders of convergence read off errors at several step sizes: local slopes, and whether they may be read at all.

If err(η) = Cη^p(1 + O(η)), the local slope s_j = log|err_j/err_{j+1}| / log(η_j/η_{j+1}) tends to p. Slopes are believed only in the asymptotic
regime: one sign, errors far above their accuracy, slopes settled. Outside of it an :class:`OrderFit` says why and refuses a verdict. With
slopes s = p + cη + …, (r·s_last − s_before)/(r − 1), r = η_before/η_last, removes the linear term (Richardson).

A weak order is a statement on every smooth test function. One whose leading coefficient nearly vanishes (at this start point, this horizon) looks
better than the model is over any finite range of η; the model's order is that of the :func:`slowest` of several functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from sgdsde.noise import Noise
from sgdsde.oracles.coefficients import Functions
from sgdsde.oracles.laws import Law
from sgdsde.oracles.weak_error import TOLERANCE, Model, weak_errors
from sgdsde.types import Estimate, InputError, OracleRefusal

Array = np.ndarray

#: an error must be this many accuracies away from zero
RESOLVED = 10.0
#: the last two slopes may differ by this much (beyond their uncertainty)
SETTLED = 0.3
#: least half-width of an order's interval: three or four step sizes do not see the terms beyond the linear one
FLOOR = 0.05
#: where three slopes are known, the last change may exceed this only if it is smaller than the one before
DRIFT = 0.1


def local_slopes(eta: Any, errors: Any, accuracy: Any) -> tuple[Float[Array, " n-1"], Float[Array, " n-1"]]:
    """(slopes, uncertainties) between consecutive step sizes.

    s_j = log|e_j/e_{j+1}| / log(η_j/η_{j+1}); uncertainty √((a_j/e_j)² + (a_{j+1}/e_{j+1})²) / |log(η_j/η_{j+1})| with a the accuracies (or standard errors).
    NaN slope, infinite uncertainty where an error is zero.

    Raises:
        InputError: fewer than two step sizes, unequal lengths, equal or non-positive step sizes, negative accuracies, NaN.
    """
    eta, errors, accuracy = _checked(eta, errors, accuracy)
    ratio = np.log(eta[:-1] / eta[1:])
    size = np.abs(errors)
    relative = np.where(size > 0, accuracy / np.where(size > 0, size, 1.0), np.inf)
    logs = np.log(np.where(size > 0, size, np.nan))
    return (logs[:-1] - logs[1:]) / ratio, np.hypot(relative[:-1], relative[1:]) / np.abs(ratio)


@dataclass(frozen=True)
class OrderFit:
    """Errors over step sizes (largest first) with their local slopes, and what may be concluded.

    ``asymptotic`` says whether an order may be read; ``reason`` why (not). ``order`` is the extrapolated slope, None outside the asymptotic regime.
    """

    eta: Float[Array, " n"]
    errors: Float[Array, " n"]
    accuracy: Float[Array, " n"]
    slopes: Float[Array, " n-1"]
    slope_uncertainty: Float[Array, " n-1"]
    asymptotic: bool
    reason: str
    order: Estimate | None

    def verdict(self, order: float) -> str:
        """``supported`` if the order's interval lies inside order ± ½, ``contradicted`` if it is disjoint from it, else ``inconclusive``.

        Raises:
            OracleRefusal: not asymptotic.
        """
        if self.order is None:
            raise OracleRefusal(f"not asymptotic: {self.reason}. No verdict on the order; use smaller step sizes, a longer ladder or another test function.")
        if order - 0.5 < self.order.low and self.order.high < order + 0.5:
            return "supported"
        return "contradicted" if self.order.low > order + 0.5 or self.order.high < order - 0.5 else "inconclusive"

    def __str__(self) -> str:
        slopes = ", ".join(f"{s:.3f} ± {u:.1g}" for s, u in zip(self.slopes, self.slope_uncertainty, strict=True))
        return f"slopes {slopes}: " + (
            f"order {self.order.value:.3f} [{self.order.low:.3f}, {self.order.high:.3f}]" if self.order else f"not asymptotic: {self.reason}"
        )


def fit_order(eta: Any, errors: Any, accuracy: Any) -> OrderFit:
    """Slopes and, in the asymptotic regime, the order of signed ``errors`` at step sizes ``eta`` (any order; sorted here).

    Raises:
        InputError: fewer than three step sizes (two slopes are needed to see whether they have settled), or as :func:`local_slopes`.
    """
    eta, errors, accuracy = _checked(eta, errors, accuracy)
    if len(eta) < 3:
        raise InputError(f"{len(eta)} step sizes; wanted at least three: two slopes are needed to see whether they have settled.")
    largest_first = np.argsort(-eta)
    eta, errors, accuracy = eta[largest_first], errors[largest_first], accuracy[largest_first]
    slopes, uncertainty = local_slopes(eta, errors, accuracy)
    reason = _objection(eta, errors, accuracy, slopes, uncertainty)
    estimate = None if reason else _extrapolated(eta, slopes, uncertainty)
    return OrderFit(eta, errors, accuracy, slopes, uncertainty, not reason, reason or "one sign, errors resolved, slopes settled", estimate)


def slowest(fits: Mapping[str, OrderFit], *, least: int = 2) -> tuple[str, OrderFit]:
    """(test function, fit) of the lowest order among the asymptotic fits: what the weak order of the model is.

    Raises:
        OracleRefusal: fewer than ``least`` of the fits are asymptotic.
    """
    readable = {name: fit for name, fit in fits.items() if fit.order is not None}
    if len(readable) < least:
        reasons = "; ".join(f"{name}: {fit.reason}" for name, fit in fits.items() if fit.order is None)
        raise OracleRefusal(f"not asymptotic: {len(readable)} of {len(fits)} test functions show an order, wanted {least}. {reasons}.")
    name = min(readable, key=lambda key: readable[key].order.value)  # type: ignore[union-attr]
    return name, readable[name]


def measure_order(
    model_factory: Callable[[Noise, float], Any],
    noise: Noise | Callable[[float], Noise],
    *,
    etas: Sequence[float],
    theta0: Any,
    horizon: float | None,
    functions: Functions | None = None,
    law: Law | None = None,
    tolerance: float = TOLERANCE,
) -> dict[str, OrderFit]:
    """The weak order of one model by the deterministic oracle, one fit per test function.

    Args:
        model_factory: (noise, eta) → SDE, for example a model class.
        noise: the noise, or a function of η that makes it (fixed temperature: Σ ∝ 1/η).
        etas: step sizes, halvings as a rule; each must divide ``horizon``.
        theta0: one start point.
        horizon: T, or None for the error of one step (T = η; its slope is the weak order plus one).
        functions, law, tolerance: as in :func:`sgdsde.oracles.weak_error`.

    Raises:
        InputError, OracleRefusal: as there, and for fewer than three step sizes.
    """
    return measure_orders({"model": model_factory}, noise, etas=etas, theta0=theta0, horizon=horizon, functions=functions, law=law, tolerance=tolerance)[
        "model"
    ]


def measure_orders(
    models: Mapping[str, Callable[[Noise, float], Any]],
    noise: Noise | Callable[[float], Noise],
    *,
    etas: Sequence[float],
    theta0: Any,
    horizon: float | None,
    functions: Functions | None = None,
    law: Law | None = None,
    tolerance: float = TOLERANCE,
) -> dict[str, dict[str, OrderFit]]:
    """:func:`measure_order` of several models against one SGD: model → test function → fit."""
    factories: dict[str, Model] = dict(models)
    runs = [
        weak_errors(
            factories,
            noise if isinstance(noise, Noise) else noise(eta),
            eta=eta,
            theta0=theta0,
            horizon=eta if horizon is None else horizon,
            functions=functions,
            law=law,
            tolerance=tolerance,
        )
        for eta in etas
    ]
    if not runs or np.ndim(next(iter(next(iter(runs[0].values())).error.values()))) != 0:
        raise InputError("measure_order wants step sizes and one start point [dim]; call it once a start point.")
    return {
        model: {name: fit_order(etas, [run[model].error[name] for run in runs], [run[model].accuracy[name] for run in runs]) for name in runs[0][model].error}
        for model in models
    }


def _objection(eta: Array, errors: Array, accuracy: Array, slopes: Array, uncertainty: Array) -> str:
    """Why no order may be read off the last three step sizes; empty if it may."""
    tail, close = errors[-3:], accuracy[-3:]
    if (np.abs(tail) <= RESOLVED * close).any():
        worst = int(np.argmin(np.abs(tail) / np.maximum(close, np.finfo(float).tiny)))
        return f"the error {tail[worst]:.2e} at eta = {eta[-3:][worst]:g} is not {RESOLVED:g} times its accuracy {close[worst]:.1e}"
    if (np.sign(tail) != np.sign(tail[-1])).any():
        return "the error changes sign among the last three step sizes"
    if len(slopes) > 2:
        moves, unsure = np.abs(np.diff(slopes[-3:])), uncertainty[-3:].sum()
        if moves[1] > max(moves[0], DRIFT) + unsure:
            return f"the slopes {', '.join(f'{s:.3f}' for s in slopes[-3:])} move faster as eta falls: the leading terms nearly cancel"
    jump, allowed = abs(slopes[-1] - slopes[-2]), SETTLED + uncertainty[-1] + uncertainty[-2]
    if jump > allowed:
        return f"the last two slopes, {slopes[-2]:.3f} and {slopes[-1]:.3f}, have not settled (they differ by more than {allowed:.2f})"
    return ""


def _extrapolated(eta: Array, slopes: Array, uncertainty: Array) -> Estimate:
    """The slope at η → 0; the interval is as wide as the extrapolation's correction (at least ``FLOOR``) plus the slopes' own uncertainty."""
    ratio = eta[-3] / eta[-2]
    weight = 1 / (ratio - 1)
    value = slopes[-1] + weight * (slopes[-1] - slopes[-2])
    spread = (1 + weight) * uncertainty[-1] + weight * uncertainty[-2]
    half = max(abs(value - slopes[-1]), FLOOR) + 2 * spread
    return Estimate(float(value), float(spread), len(eta), float(value - half), float(value + half))


def _checked(eta: Any, errors: Any, accuracy: Any) -> tuple[Array, Array, Array]:
    eta, errors = np.asarray(eta, dtype=float), np.asarray(errors, dtype=float)
    accuracy = np.broadcast_to(np.asarray(accuracy, dtype=float), errors.shape)
    if eta.ndim != 1 or eta.shape != errors.shape or len(eta) < 2:
        raise InputError(f"eta has shape {eta.shape}, errors {errors.shape}; wanted equal lengths of at least two.")
    if not (np.isfinite(eta).all() and (eta > 0).all() and len(set(eta.tolist())) == len(eta)):
        raise InputError(f"eta = {eta.tolist()}; wanted distinct positive step sizes.")
    if not (np.isfinite(errors).all() and np.isfinite(accuracy).all() and (accuracy >= 0).all()):
        raise InputError("errors or accuracy hold NaN, infinity or a negative accuracy.")
    return eta, errors, accuracy
