"""What an atlas says of one problem and point: per model existence, one-step errors, predicted weak errors, substeps; and a recommendation.

Printed it fits 80 columns; ``to_dict`` and ``to_json`` hold every number with its unit.
"""

from __future__ import annotations

import dataclasses
import json
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sgdsde.existence import Existence
from sgdsde.one_step_error import OneStepError
from sgdsde.predicted_error import Prediction
from sgdsde.types import Conventions

WIDTH = 80
#: units of the numbers in :meth:`Atlas.to_dict`
UNITS = {
    "eta_lambda": "1",
    "defect": "negative / positive mass of Q's spectrum",
    "one_step.mean": "θ",
    "one_step.covariance": "θ²",
    "one_step.*_relative": "share of SGD's own step (ηg, η²Σ)",
    "one_step.*_order": "exponent of η, measured between η and η/2",
    "predictions.error": "units of the test function",
    "predictions.relative": "standard deviations of the test function under SGD's law at the horizon",
    "substeps": "integrator steps a tick η",
    "skewness": "units of the test function",
}


@dataclass(frozen=True)
class Chart:
    """One model's page. ``predictions`` is empty and ``one_step`` None where the model does not exist at θ; ``substeps`` None where no number suffices."""

    model: str
    order: int | None
    existence: Existence
    one_step: OneStepError | None
    predictions: Mapping[str, Prediction]
    substeps: Mapping[str, int | None]

    @property
    def worst(self) -> float:
        """The largest predicted error over the test functions, in standard deviations; infinite where there is none."""
        sizes = [abs(p.relative) for p in self.predictions.values()]
        return max(sizes) if sizes and all(math.isfinite(size) for size in sizes) else math.inf

    @property
    def settled(self) -> bool:
        """Whether the closures agree on the largest error, at this η."""
        return bool(self.predictions) and max(self.predictions.values(), key=lambda p: abs(p.relative)).settled

    @property
    def asymptotic(self) -> bool:
        """Whether every prediction may be carried over to other step sizes."""
        return bool(self.predictions) and all(p.asymptotic for p in self.predictions.values())


@dataclass(frozen=True, eq=False)
class Atlas:
    """Which model to trust at one point of one problem. ``print`` it.

    Attributes:
        eta, theta, horizon: step size, the point, SDE time at which errors are predicted.
        eta_lambda, eta_lambda_around: the largest ηλ at θ, and three standard deviations around SGD's law.
        not_smooth: why the loss has no continuous second derivative where SGD goes, which every model presumes; "" where nothing was found
            (:mod:`sgdsde.smoothness` says what can be missed).
        charts: one per model.
        skewness: what the noise's skewness adds to every model's error, by test function (None: the law of the noise is not known).
        scales: the standard deviation of each test function under SGD's law at the horizon.
        share: the share of a model's error that the integrator may add.
        recommended: the name of the model to use, None where none can be recommended.
        recommendation: sentences.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> found = sg.atlas(noise, 0.5, [1.0], models=["SME1", "HASME"])
        >>> found.eta_lambda, found.charts["HASME"].worst < 1e-9
        (0.5, True)
    """

    eta: float
    theta: tuple[float, ...]
    horizon: float
    steps: int
    eta_lambda: float
    eta_lambda_around: float
    not_smooth: str
    charts: Mapping[str, Chart]
    skewness: Mapping[str, float] | None
    scales: Mapping[str, float]
    share: float
    recommended: str | None
    recommendation: tuple[str, ...]
    conventions: Conventions

    def __getitem__(self, model: str) -> Chart:
        return self.charts[model]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings, lists and dictionaries; undefined and infinite numbers are None."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"units": UNITS, **{name: _plain(value) for name, value in fields.items()}}

    def to_json(self, **options: Any) -> str:
        """``to_dict`` as JSON; ``options`` go to ``json.dumps``."""
        return json.dumps(self.to_dict(), allow_nan=False, ensure_ascii=False, **options)

    def __str__(self) -> str:
        head = [
            f"Atlas: eta = {self.eta:.4g}, horizon {self.horizon:.4g} ({self.steps} steps), dimension {len(self.theta)}",
            f"largest eta·lambda: {self.eta_lambda:.3g} at θ, {self.eta_lambda_around:.3g} within 3 sd of SGD's law",
            "",
            "Predicted errors at the horizon in standard deviations of each function",
            "under SGD's law; ? = not asymptotic. Substeps a tick for an integrator bias",
            f"below {self.share:.0%} of them. One step: error/SGD's step, exponent of eta.",
            "",
        ]
        return "\n".join([*head, *self._table(), *self._notes(), ""] + [_wrapped(text) for text in self.recommendation])

    def _table(self) -> list[str]:
        groups = _groups(list(self.scales))
        titles = [_fit(title, 8) for title in groups]
        lines = [f"{'model':<14}{'exists':<8}" + "".join(f"{t:>9}" for t in titles) + f"{'mean':>9}{'cov':>9}{'Euler':>6}{'Heun':>6}"]
        for chart in self.charts.values():
            cells = [_cell([chart.predictions[name] for name in names]) if chart.predictions else "–" for names in groups.values()]
            step = chart.one_step
            local = ["–", "–"] if step is None else [_local(step.mean_relative, step.mean_order), _local(step.covariance_relative, step.covariance_order)]
            counts = [str(chart.substeps.get(scheme) or "–") for scheme in ("Euler", "Heun")]
            numbers = "".join(f"{c:>9}" for c in [*cells, *local])
            lines.append(f"{_fit(chart.model, 13):<14}{chart.existence.where:<8}{numbers}{counts[0]:>6}{counts[1]:>6}")
        return lines

    def _notes(self) -> list[str]:
        absent: dict[str, list[str]] = {}
        for chart in self.charts.values():
            if chart.existence.reason:
                absent.setdefault(chart.existence.reason, []).append(chart.model)
        lines = [_wrapped(f"! The loss is not smooth: {self.not_smooth}.")] if self.not_smooth else []
        lines += [_wrapped(f"{', '.join(models)}: {reason}.") for reason, models in absent.items()]
        for chart in self.charts.values():
            doubtful = {name: p.reason for name, p in chart.predictions.items() if not p.asymptotic}
            if doubtful:
                name, reason = next(iter(doubtful.items()))
                count = "" if len(doubtful) == 1 else f" ({len(doubtful)} of {len(chart.predictions)} functions)"
                lines.append(_wrapped(f"? {chart.model}, {name}: {reason}{count}."))
        if self.skewness is None:
            lines.append(_wrapped("The law of this noise is not known to the atlas: errors are against SGD with Gaussian noise of the same covariance."))
        elif any(self.skewness.values()):
            parts = ", ".join(f"{name} {self.skewness[name] / self.scales[name]:+.1e}" for name in list(self.skewness)[:3])
            lines.append(_wrapped(f"Skewness of the minibatch noise adds to every model's error (no SDE mends it): {parts} sd."))
        return ["", *lines] if lines else []


def _groups(names: list[str]) -> dict[str, list[str]]:
    """Three columns: the first two functions, and the worst of the others (coordinates as a rule)."""
    groups = {name: [name] for name in names[:2]}
    rest = names[2:]
    if rest:
        coordinates = all(name.startswith("θ") for name in rest)
        groups[rest[0] if len(rest) == 1 else ("worst θᵢ" if coordinates else "others")] = rest
    return groups


def _cell(predictions: list[Prediction]) -> str:
    worst = max(predictions, key=lambda p: abs(p.relative) if math.isfinite(p.relative) else math.inf)
    mark = "" if worst.asymptotic else "?"
    return _short(f"{worst.relative:+.1e}") + mark if math.isfinite(worst.relative) else "–?"


def _local(relative: float, order: float) -> str:
    return _short(f"{relative:.0e}") + (f"^{order:.1f}" if math.isfinite(order) else "")


def _short(number: str) -> str:
    """1.2e-03 as 1.2e-3, 1.2e+00 as 1.2e0."""
    mantissa, exponent = number.split("e")
    return f"{mantissa}e{int(exponent)}"


def _fit(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value
