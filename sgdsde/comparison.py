"""The result of a comparison: moments, paired differences, distances between distributions, and how they are shown."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde.stats import energy_distance, mean_estimate, sliced_wasserstein, split_half_floor, wasserstein1
from sgdsde.types import Conventions, Estimate, Tally

#: paths used for the energy distance, whose cost grows quadratically
CLOUD = 1000


@dataclass(frozen=True)
class Ensemble:
    """States ``[T, P, dim]`` of one process, the values of the observables, and the squared deviations behind each variance, ``[P, T]``."""

    states: np.ndarray
    values: dict[str, np.ndarray]
    variances: dict[str, np.ndarray] = field(default_factory=dict)

    @staticmethod
    def of(
        states: Tensor, observables: Mapping[str, Callable[[Tensor], Tensor]], variances: Mapping[str, Callable[[Tensor], Tensor]] | None = None
    ) -> Ensemble:
        """Evaluate the observables, and the functions whose total variance is wanted, at every save."""
        values = {name: np.stack([function(points).to(torch.float64).cpu().numpy() for points in states], axis=1) for name, function in observables.items()}
        spread = {name: _deviations(_stacked(function, states)) for name, function in (variances or {}).items()}
        return Ensemble(states.to(torch.float64).cpu().numpy(), values, spread)

    def spreads(self) -> np.ndarray:
        """‖θ_p − mean‖²·P/(P−1) per path and save, ``[P, T]``: its mean is tr Cov."""
        return _deviations(self.states)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Everything whose mean is compared, by name, ``[P, T]``: observables, variances, tr Cov."""
        return {**self.values, **self.variances, "tr Cov": self.spreads()}

    def distances(self, other: Ensemble) -> dict[str, float]:
        """Distances at the last save: W1 of each observable; sliced W1 and energy distance of the states."""
        result = {f"W1 {name}": wasserstein1(self.values[name][:, -1], other.values[name][:, -1]) for name in self.values}
        a, b = self.states[-1], other.states[-1]
        return result | {"sliced W1": sliced_wasserstein(a, b), "energy": energy_distance(a[:CLOUD], b[:CLOUD])}

    def split_half_floor(self) -> dict[str, Estimate]:
        """The same distances between random halves of this ensemble: what sampling alone produces (halves are smaller, so it errs upwards)."""
        if not np.isfinite(self.states[-1]).all():
            unknown = Estimate(np.nan, np.nan, self.states.shape[1], np.nan, np.nan)
            return dict.fromkeys([f"W1 {name}" for name in self.values] + ["sliced W1", "energy"], unknown)
        result = {f"W1 {name}": split_half_floor(values[:, -1], wasserstein1) for name, values in self.values.items()}
        states, cloud = self.states[-1], self.states[-1][: 2 * CLOUD]
        return result | {"sliced W1": split_half_floor(states, sliced_wasserstein), "energy": split_half_floor(cloud, energy_distance)}


@dataclass(frozen=True)
class Moments:
    """Means ``[T, d]``, covariances ``[T, d, d]`` (d ≤ 64, else None), tr Cov and observables ``[T]`` of one process."""

    mean: Estimate
    covariance: Estimate | None
    trace: Estimate
    observables: dict[str, Estimate]


@dataclass(frozen=True)
class ModelResult:
    """One model against SGD.

    ``differences``: model − Gaussian surrogate for each observable and tr Cov, ``[T]``; ``distances``: to the true SGD's ensemble at the
    horizon; ``integrator``: what halving the integrator's step changes; ``counts`` and ``tally``: fates of paths and domain counters; ``controls``: the
    control variates behind the differences, or why there are none.
    """

    label: str
    kernel: str
    substeps: int
    moments: Moments
    differences: dict[str, Estimate]
    distances: dict[str, float]
    integrator: dict[str, Estimate]
    counts: dict[str, int]
    tally: Tally
    controls: str


@dataclass(frozen=True)
class Comparison:
    """SGD, its Gaussian surrogate and SDE models side by side; ``print`` it, ``.plot()`` it, ``.to_xarray()`` it.

    ``noise_law`` is SGD − surrogate (None where the noise is Gaussian): the part of a model's error that no Gaussian SDE can mend.
    ``floor`` holds the distances between two halves of the SGD ensemble.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> found = sg.compare(noise, eta=0.5, models=["SME1"], theta0=[4.0], horizon=1.0, paths=200, seed=1)
        >>> print(found.table().splitlines()[0])
        SGD against SDE models at t = 1 (2 steps)
    """

    eta: float
    times: np.ndarray
    observables: tuple[str, ...]
    reference: Moments
    surrogate: Moments
    noise_law: dict[str, Estimate] | None
    models: dict[str, ModelResult]
    floor: dict[str, Estimate]
    sgd_counts: dict[str, int]
    conventions: Conventions
    recipe: dict[str, Any]

    @property
    def means(self) -> dict[str, Estimate]:
        """Mean of θ by process, ``[T, dim]``."""
        return {"SGD": self.reference.mean} | {label: result.moments.mean for label, result in self.models.items()}

    @property
    def covariances(self) -> dict[str, Estimate | None]:
        """Covariance of θ by process, ``[T, dim, dim]``."""
        return {"SGD": self.reference.covariance} | {label: result.moments.covariance for label, result in self.models.items()}

    def differences(self, label: str) -> dict[str, Estimate]:
        """model − Gaussian surrogate, by observable."""
        return self.models[label].differences

    def errors(self, label: str) -> dict[str, Estimate]:
        """model − true SGD, by observable: (model − surrogate) − (SGD − surrogate), errors added in quadrature."""
        if self.noise_law is None:
            return self.differences(label)
        result = {}
        for name, difference in self.differences(label).items():
            law = self.noise_law[name]
            result[name] = Estimate.normal(np.asarray(difference.value) - law.value, np.hypot(difference.stderr, law.stderr), min(difference.n, law.n))
        return result

    def table(self, time: int = -1) -> str:
        """Text of at most 80 columns: per observable the value under SGD, and each model's relative difference with its 95 % half-width."""
        labels = [*self.observables, "tr Cov"]
        steps = round(float(self.times[time]) / self.eta)
        lines = [
            f"SGD against SDE models at t = {self.times[time]:g} ({steps} steps)",
            *textwrap.wrap(str(self.conventions), 78, initial_indent="  ", subsequent_indent="  "),
        ]
        base = {name: self._value(name, time) for name in labels}
        width = max(12, *(len(label) for label in self.models)) + 1
        lines.append("")
        lines.append("relative difference to the Gaussian surrogate, % (± 95 %)")
        for start in range(0, len(labels), 3):
            part = labels[start : start + 3]
            lines.append(" " * width + "".join(f"{name[:19]:>20}" for name in part))
            lines.append(f"{'SGD value':<{width}}" + "".join(f"{base[name]:>20.5g}" for name in part))
            if self.noise_law is not None:
                lines.append(f"{'noise law':<{width}}" + "".join(f"{_percent(self.noise_law[name], base[name], time):>20}" for name in part))
            for label, result in self.models.items():
                lines.append(f"{label:<{width}}" + "".join(f"{_percent(result.differences[name], base[name], time):>20}" for name in part))
        lines.append("")
        names = list(self.floor)
        lines.append("distance to SGD's distribution at the horizon (floor: halves of SGD, 97.5 %)")
        for start in range(0, len(names), 3):
            part = names[start : start + 3]
            lines.append(" " * width + "".join(f"{name[:19]:>20}" for name in part))
            lines.append(f"{'floor':<{width}}" + "".join(f"{f'≤ {self.floor[name].high:.3g}':>20}" for name in part))
            for label, result in self.models.items():
                lines.append(f"{label:<{width}}" + "".join(f"{result.distances[name]:>20.3g}" for name in part))
        lines.append("")
        lines.append("paths: SGD " + _words(self.sgd_counts))
        for label, result in self.models.items():
            tally = {**result.tally.counts, **{f"worst {name}": f"{value:.2g}" for name, value in result.tally.worst.items()}}
            extra = ("; " + ", ".join(f"{name} {count}" for name, count in tally.items())) if tally else ""
            lines.append(f"  {label}: {result.kernel} × {result.substeps}; {_words(result.counts)}{extra}")
        return "\n".join(lines)

    __str__ = table

    def plot(self, observable: str | None = None) -> Any:
        """A matplotlib figure: relative differences to the surrogate with 95 % intervals, one panel an observable (or the one named)."""
        from sgdsde.plots.differences import difference_panels

        names = [observable] if observable else [*self.observables, "tr Cov"]
        panels = {}
        for name in names:
            base = np.array([self._value(name, index) for index in range(len(self.times))])
            curves = {label: result.differences[name] for label, result in self.models.items()}
            if self.noise_law is not None:
                curves["SGD (noise law)"] = self.noise_law[name]
            panels[name] = {label: (curve.value / base, curve.stderr / np.abs(base)) for label, curve in curves.items()}
        return difference_panels(self.times, panels)

    def to_xarray(self) -> Any:
        """An ``xarray.Dataset`` with dimensions model, observable, time: difference, stderr and SGD's value.

        Raises:
            ImportError: xarray is not installed (``pip install sgdsde[io]``).
        """
        try:
            import xarray
        except ImportError as missing:
            raise ImportError("Comparison.to_xarray needs xarray: pip install 'sgdsde[io]'.") from missing
        names, labels = [*self.observables, "tr Cov"], list(self.models)
        value = np.array([[self.models[label].differences[name].value for name in names] for label in labels])
        error = np.array([[self.models[label].differences[name].stderr for name in names] for label in labels])
        sgd = np.array([[self._value(name, index) for index in range(len(self.times))] for name in names])
        dimensions = ("model", "observable", "time")
        return xarray.Dataset(
            {"difference": (dimensions, value), "stderr": (dimensions, error), "sgd": (("observable", "time"), sgd)},
            coords={"model": labels, "observable": names, "time": self.times},
            attrs={"conventions": str(self.conventions), **{key: str(value) for key, value in self.recipe.items()}},
        )

    def _value(self, name: str, time: int) -> float:
        estimate = self.surrogate.trace if name == "tr Cov" else self.surrogate.observables[name]
        return float(np.asarray(estimate.value)[time])


def _stacked(function: Callable[[Tensor], Tensor], states: Tensor) -> np.ndarray:
    """A function's values at every save, ``[T, P, k]``."""
    return np.stack([function(points).to(torch.float64).cpu().numpy().reshape(points.shape[0], -1) for points in states])


def _deviations(values: np.ndarray) -> np.ndarray:
    """|v_p − mean|²·P/(P−1), ``[P, T]``, of values ``[T, P, k]``."""
    paths = values.shape[1]
    centred = values - values.mean(1, keepdims=True)
    return (centred**2).sum(2).T * (paths / (paths - 1))


def moments_of(ensemble: Ensemble) -> Moments:
    """Means, covariances and observables with standard errors over paths."""
    states = ensemble.states
    paths, dim = states.shape[1:]
    mean = states.mean(1)
    centred = states - mean[:, None]
    covariance = None
    if dim <= 64:
        value = np.einsum("tpi,tpj->tij", centred, centred) / (paths - 1)
        fourth = np.einsum("tpi,tpj->tij", centred**2, centred**2) / paths
        covariance = Estimate.normal(value, np.sqrt(np.maximum(fourth - value**2, 0) / paths), paths)
    return Moments(
        mean=Estimate.normal(mean, states.std(1, ddof=1) / paths**0.5, paths),
        covariance=covariance,
        trace=column_means(ensemble.spreads()),
        observables={name: column_means(values) for name, values in {**ensemble.values, **ensemble.variances}.items()},
    )


def column_means(values: np.ndarray) -> Estimate:
    """The mean over paths of ``[P, T]`` values with Student's interval; NaN at times at which a path has diverged."""
    finite = np.isfinite(values).all(0)
    estimate = mean_estimate(np.where(finite, values, 0.0))
    masked = [np.where(finite, part, np.nan) for part in (estimate.value, estimate.stderr, estimate.low, estimate.high)]
    return Estimate(masked[0], masked[1], estimate.n, masked[2], masked[3])


def _percent(difference: Estimate, base: float, time: int) -> str:
    value, half = 100 * float(np.asarray(difference.value)[time]) / base, 196 * float(np.asarray(difference.stderr)[time]) / abs(base)
    return f"{value:+.3g} ± {half:.2g}"


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
