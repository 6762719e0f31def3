"""SGD on real digits against its SDE models: logistic regression of odd against even digits on a few principal components.

A model's error in an observable φ is max over saved iterates of |E φ(X_kη) − E φ(θ_k)|, as in the definition of weak approximation. It is measured twice:
against the Gaussian surrogate of SGD on shared Brownian increments (the SDE's own error), and against true minibatch SGD (with what no Gaussian model
can mend). Integrator: Heun at n steps a tick, plus 2·(2n steps − n steps) from further coupled paths, which removes its leading error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from sgdsde import sdes
from sgdsde.compare import Loss, SquaredDistance
from sgdsde.comparison import Ensemble
from sgdsde.data import digits
from sgdsde.kernel import DrivenKernel
from sgdsde.kernels import SGD, Coupled, Heun
from sgdsde.measurement import Measured, exactly
from sgdsde.noises import Minibatch, gaussian_surrogate
from sgdsde.objectives import LogisticRegression
from sgdsde.plots.panel import Panel, Series
from sgdsde.simulate import simulate
from sgdsde.stats import quantile_z
from sgdsde.types import Estimate

MODELS = ("SME1", "SME2", "SPF", "HASME")
NAMES = {"SME1": "SME-1", "SME2": "SME-2", "SPF": "SPF", "HASME": "HA-SME"}
OBSERVABLES = {"loss": "E loss", "squared distance": "E‖θ − θ₀‖²", "tr Cov": "tr Cov θ"}
REFERENCES = ("surrogate", "minibatch")
COMPONENTS, SAVES = 5, 4
#: paths of SGD and its surrogate behind the noise law, for each path of a model
LAW_PATHS = 16
#: the step-halving correction, whose variance is small, takes this fraction of the paths
CORRECTION = 3


def digits_comparison(*, seed: int, level: float, settings: Mapping[str, Mapping[str, Any]], samples: int, paths: int, substeps: int) -> Measured:
    """For each setting (``eta``, ``batch``, ``steps``, ``start``): ``setting/reference/observable/model:rival``, the worst error of the model over that of the
    rival; ``setting/ok``, the share of all models' paths that reached the horizon.
    """
    data = digits(components=COMPONENTS).against((1, 3, 5, 7, 9)).take(samples)
    objective = LogisticRegression(data.x, data.y, intercept=True)
    estimates: dict[str, Estimate] = {}
    relative: list[tuple[float, dict[str, dict[str, Estimate]]]] = []
    notes = [f"{data.name}: {objective.dim} parameters, {paths} coupled paths a model, {LAW_PATHS * paths} of SGD itself"]
    first = next((setting["batch"], setting["start"]) for setting in settings.values())
    for offset, (name, setting) in enumerate(settings.items()):
        noise = Minibatch(objective, setting["batch"])
        run = _Setting(noise, setting["eta"], setting["steps"], np.asarray(setting["start"], dtype=float), substeps, seed % 10**9 + 100 * offset)
        own = {model: run.errors(model, paths) for model in MODELS}
        law = run.noise_law(LAW_PATHS * paths)
        for observable in OBSERVABLES:
            errors = {"surrogate": {model: own[model].against_surrogate[observable] for model in MODELS}}
            errors["minibatch"] = {model: _minus(error, law[observable]) for model, error in errors["surrogate"].items()}
            for reference, by_model in errors.items():
                worst = {model: _worst(*error, level=level, n=paths) for model, error in by_model.items()}
                for model, rival in (*(("HASME", rival) for rival in MODELS[:-1]), ("SME1", "SPF")):
                    estimates[f"{name}/{reference}/{observable}/{model}:{rival}"] = _over(worst[model], worst[rival])
        estimates[f"{name}/ok"] = exactly(float(np.mean([result.ok for result in own.values()])), 0.0)
        if (setting["batch"], setting["start"]) == first:  # others do not belong on one line
            relative.append((setting["eta"], {o: {m: own[m].relative(o, level=level, n=paths) for m in MODELS} for o in OBSERVABLES}))
        moved = max(float(np.abs(own[m].correction[o]).max() / np.abs(own[m].against_surrogate[o][0]).max()) for o in OBSERVABLES for m in MODELS[:-1])
        notes.append(f"{name}: the step-halving correction is at most {100 * moved:.2g} % of a rival's worst error")
    return Measured(estimates, panels=_panels(relative), notes=tuple(notes), conventions=str(SGD(noise, setting["eta"]).conventions()))


#: a value and its standard error at each save
Curve = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Errors:
    """One model's errors against the surrogate, corrected for the integrator; the correction; the surrogate's values at the horizon; surviving paths."""

    against_surrogate: dict[str, Curve]
    correction: dict[str, np.ndarray]
    base: dict[str, float]
    ok: float

    def relative(self, observable: str, *, level: float, n: int) -> Estimate:
        """The error at the horizon in percent of the surrogate's value."""
        value, stderr = self.against_surrogate[observable]
        return Estimate.normal(100 * value[-1] / self.base[observable], 100 * stderr[-1] / self.base[observable], n, quantile_z(level))


@dataclass(frozen=True)
class _Setting:
    """One SGD: noise, step size, number of steps, start; and how it is integrated."""

    noise: Minibatch
    eta: float
    steps: int
    start: np.ndarray
    substeps: int
    seed: int

    def errors(self, model: str, paths: int) -> _Errors:
        """Model minus surrogate on shared increments, plus twice what halving the integrator's step changes (on shared increments too)."""
        surrogate = gaussian_surrogate(self.noise)
        sde = getattr(sdes, model)(surrogate, self.eta)
        coarse, fine = Heun(sde, self.eta / self.substeps), Heun(sde, self.eta / (2 * self.substeps))
        first, second, ok = self._pair(SGD(surrogate, self.eta), coarse, paths, purpose=1)
        rough, better, _ = self._pair(coarse, fine, paths // CORRECTION, purpose=2)
        against, correction = {}, {}
        for name in OBSERVABLES:
            value, stderr = _difference(second[name], first[name])
            change, spread = _difference(better[name], rough[name])
            against[name], correction[name] = (value + 2 * change, np.hypot(stderr, 2 * spread)), 2 * change
        return _Errors(against, correction, {name: float(table[:, -1].mean()) for name, table in first.items()}, ok)

    def noise_law(self, paths: int) -> dict[str, Curve]:
        """Minibatch SGD minus its Gaussian surrogate, by observable."""
        tables = []
        for purpose, process in ((3, self.noise), (4, gaussian_surrogate(self.noise))):
            run = simulate(SGD(process, self.eta), self.start, **self._clock(), paths=paths, seed=10 * self.seed + purpose, progress=False)
            tables.append(self._table(run.states))
        law = {}
        for name in OBSERVABLES:
            a, b = tables[0][name], tables[1][name]
            law[name] = (a.mean(0) - b.mean(0), np.hypot(a.std(0, ddof=1), b.std(0, ddof=1)) / paths**0.5)
        return law

    def _pair(self, a: DrivenKernel, b: DrivenKernel, paths: int, *, purpose: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], float]:
        pair = Coupled(a, b)
        run = simulate(pair, self.start, **self._clock(), paths=paths, seed=10 * self.seed + purpose, progress=False)
        first, second = pair.split(run.states)
        return self._table(first), self._table(second), run.counts().get("ok", 0) / paths

    def _clock(self) -> dict[str, Any]:
        save = [self.eta * (self.steps * (i + 1) // SAVES) for i in range(SAVES)]
        return {"horizon": save[-1], "save": save}

    def _table(self, states: Tensor) -> dict[str, np.ndarray]:
        """Values of the observables, ``[P, saves]``."""
        loss, distance = Loss(self.noise.objective), SquaredDistance(tuple(self.start.tolist()))
        ensemble = Ensemble.of(states, {"loss": loss, "squared distance": distance})
        return {**ensemble.values, "tr Cov": ensemble.spreads()}


def _difference(a: np.ndarray, b: np.ndarray) -> Curve:
    return (a - b).mean(0), (a - b).std(0, ddof=1) / len(a) ** 0.5


def _minus(a: Curve, b: Curve) -> Curve:
    return a[0] - b[0], np.hypot(a[1], b[1])


def _worst(value: np.ndarray, stderr: np.ndarray, *, level: float, n: int) -> Estimate:
    """max over the saves of |error|, with an interval that holds for all saves at once (Bonferroni)."""
    half = quantile_z(1 - (1 - level) / len(value)) * stderr
    size = np.abs(value)
    return Estimate(float(size.max()), float(stderr[size.argmax()]), n, float(np.maximum(size - half, 0).max()), float((size + half).max()))


def _over(a: Estimate, b: Estimate) -> Estimate:
    """a/b; conservative, because it takes both intervals at once."""
    ratio = a.value / b.value
    return Estimate(ratio, ratio * float(np.hypot(a.stderr / a.value, b.stderr / b.value)), a.n, a.low / b.high, a.high / b.low if b.low > 0 else float("inf"))


def _panels(drawn: list[tuple[float, dict[str, dict[str, Estimate]]]]) -> tuple[Panel, ...]:
    drawn = sorted(drawn, key=lambda pair: pair[0])
    eta = np.array([pair[0] for pair in drawn])
    panels = []
    for observable in ("tr Cov", "squared distance", "loss"):
        series = []
        for model in MODELS:
            found = [table[observable][model] for _, table in drawn]
            value, low, high = (np.array([getattr(e, part) for e in found], dtype=float) for part in ("value", "low", "high"))
            series.append(Series(model, NAMES[model], eta, value, low, high, kind="band"))
        panels.append(Panel(f"Digits: error in {OBSERVABLES[observable]}", "step size η", "% of SGD's value", tuple(series), level=0.0))
    return tuple(panels)
