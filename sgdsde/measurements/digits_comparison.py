"""SGD on real digits against its SDE models: logistic regression of odd against even digits on a few principal components.

A model's error in an observable φ is max over saved iterates of |E φ(X_kη) − E φ(θ_k)|, as in the definition of weak approximation. It is measured twice:
against the Gaussian surrogate of SGD on shared Brownian increments (the SDE's own error), and against true minibatch SGD (with what no Gaussian model
can mend: independent ensembles with control variates from the linear world at the start). All models meet the same increments, so their errors are known
together and ratios have Fieller's interval. Integrator: Heun at n steps a tick, plus 2·(2n steps − n steps) from further coupled paths, which removes its
leading error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde import sdes
from sgdsde.compare import Loss, SquaredDistance
from sgdsde.comparison import Ensemble
from sgdsde.control_variate import adjusted
from sgdsde.data import digits
from sgdsde.error_ratio import Errors
from sgdsde.kernel import DrivenKernel
from sgdsde.kernels import SGD, Coupled, Heun
from sgdsde.local_control import LocalControl
from sgdsde.measurement import Measured, exactly
from sgdsde.noises import Minibatch, gaussian_surrogate
from sgdsde.objectives import LogisticRegression
from sgdsde.plots.panel import Panel, Series
from sgdsde.simulate import simulate
from sgdsde.types import Estimate

MODELS = ("SME1", "SME2", "SPF", "HASME")
NAMES = {"SME1": "SME-1", "SME2": "SME-2", "SPF": "SPF", "HASME": "HA-SME"}
OBSERVABLES = {"loss": "E loss", "squared distance": "E‖θ − θ₀‖²", "tr Cov": "tr Cov θ"}
REFERENCES = ("surrogate", "minibatch")
COMPONENTS, SAVES = 5, 4
#: paths of a block, the same for a run and its shadow in the linear world
BLOCK = 512
#: paths of SGD and its surrogate behind the noise law, for each path of a model
LAW_PATHS = 8
#: with which power the paths told by the notes decide
POWER = 0.9
#: the step-halving correction, whose variance is small, takes this fraction of the paths
CORRECTION = 3


def digits_comparison(*, seed: int, level: float, settings: Mapping[str, Mapping[str, Any]], samples: int, paths: int, substeps: int) -> Measured:
    """For each setting (``eta``, ``batch``, ``steps``, ``start``): ``setting/reference/observable/model:rival``, the worst error of the model over that of the
    rival; ``setting/ok``, the share of all models' paths that reached the horizon. The notes tell how many paths would decide what is open.
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
        own = run.errors(paths)
        law = run.noise_law(LAW_PATHS * paths)
        open_rows: list[str] = []
        for observable in OBSERVABLES:
            against = {"surrogate": own.errors[observable], "minibatch": _minus(own.errors[observable], law[observable])}
            for reference, errors in against.items():
                for model, rival in (*(("HASME", rival) for rival in MODELS[:-1]), ("SME1", "SPF")):
                    ratio = estimates[f"{name}/{reference}/{observable}/{model}:{rival}"] = worst_ratio(errors, model, rival, level=level)
                    if ratio.low < 1 < ratio.high:
                        count = errors.paths_to_tell(_worst(errors, model), _worst(errors, rival), level=_each(level), power=POWER)
                        open_rows.append(f"{OBSERVABLES[observable]} ({reference}) of {NAMES[model]} and {NAMES[rival]} {count:,.2g}")
        estimates[f"{name}/ok"] = exactly(own.ok, 0.0)
        if (setting["batch"], setting["start"]) == first:  # others do not belong on one line
            relative.append((setting["eta"], {o: {m: own.relative(o, m, level=level) for m in MODELS} for o in OBSERVABLES}))
        moved = max(own.moved(observable) for observable in OBSERVABLES)
        notes.append(f"{name}: the step-halving correction is at most {100 * moved:.2g} % of a rival's worst error")
        if open_rows:
            notes.append(f"{name}, {paths} paths: were the errors as found, this many paths would tell them apart with power {POWER}: {', '.join(open_rows)}")
    return Measured(estimates, panels=_panels(relative), notes=tuple(notes), conventions=str(SGD(noise, setting["eta"]).conventions()))


@dataclass(frozen=True)
class _Own:
    """The models' errors against the surrogate, by observable, one a model and save, model by model; the correction in them; the surrogate's values at the
    horizon; surviving share.
    """

    errors: dict[str, Errors]
    correction: dict[str, np.ndarray]
    base: dict[str, float]
    ok: float

    def relative(self, observable: str, model: str, *, level: float) -> Estimate:
        """The error at the horizon in percent of the surrogate's value."""
        last = MODELS.index(model) * SAVES + SAVES - 1
        return self.errors[observable].estimate(last, scale=100 / self.base[observable], level=level)

    def moved(self, observable: str) -> float:
        """The correction over the worst error, the largest over the rivals."""
        parts = zip(self.correction[observable].reshape(-1, SAVES)[:-1], self.errors[observable].value.reshape(-1, SAVES)[:-1], strict=True)
        return max(float(np.abs(change).max() / np.abs(error).max()) for change, error in parts)


@dataclass(frozen=True)
class _Setting:
    """One SGD: noise, step size, number of steps, start; and how it is integrated."""

    noise: Minibatch
    eta: float
    steps: int
    start: np.ndarray
    substeps: int
    seed: int

    def errors(self, paths: int) -> _Own:
        """Model minus surrogate on shared increments, plus twice what halving the integrator's step changes (on shared increments too)."""
        surrogate = gaussian_surrogate(self.noise)
        own: dict[str, list[np.ndarray]] = {name: [] for name in OBSERVABLES}
        change: dict[str, list[np.ndarray]] = {name: [] for name in OBSERVABLES}
        shares, base = [], {}
        for model in MODELS:
            sde = getattr(sdes, model)(surrogate, self.eta)
            coarse, fine = Heun(sde, self.eta / self.substeps), Heun(sde, self.eta / (2 * self.substeps))
            twin, found, ok = self._pair(SGD(surrogate, self.eta), coarse, paths, purpose=1)
            rough, better, _ = self._pair(coarse, fine, paths // CORRECTION, purpose=2)
            shares.append(ok)
            for name in OBSERVABLES:
                own[name].append(found[name] - twin[name])
                change[name].append(2 * (better[name] - rough[name]))
                base[name] = float(twin[name][:, -1].mean())
        errors, correction = {}, {}
        for name in OBSERVABLES:
            raw, moved = Errors.of(np.hstack(own[name])), Errors.of(np.hstack(change[name]))  # [models * saves]
            errors[name] = Errors(raw.value + moved.value, raw.covariance + moved.covariance, raw.n, raw.slack)
            correction[name] = moved.value
        return _Own(errors, correction, base, float(np.mean(shares)))

    def noise_law(self, paths: int) -> dict[str, Errors]:
        """Minibatch SGD minus its Gaussian surrogate, by observable, one a save."""
        control = LocalControl(self.noise, self.eta, torch.from_numpy(self.start))
        ticks = [self.steps * (i + 1) // SAVES for i in range(SAVES)]
        parts = []
        for purpose, process, shadow in ((3, self.noise, control.sgd()), (4, gaussian_surrogate(self.noise), control.surrogate(None))):
            options = {**self._clock(), "paths": paths, "seed": 10 * self.seed + purpose, "block_size": BLOCK, "progress": False}
            table = self._table(simulate(SGD(process, self.eta), self.start, **options).states)
            controls, expected = control.features(simulate(shadow, self.start, **options).states, ticks)
            parts.append({name: np.stack([adjusted(values[:, t], controls[t], expected[t]) for t in range(SAVES)], 1) for name, values in table.items()})
        law = {}
        for name in OBSERVABLES:
            a, b = (Errors.of(part[name]) for part in parts)
            law[name] = Errors(a.value - b.value, a.covariance + b.covariance, paths, a.slack)
        return law

    def _pair(self, a: DrivenKernel, b: DrivenKernel, paths: int, *, purpose: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], float]:
        pair = Coupled(a, b)
        run = simulate(pair, self.start, **self._clock(), paths=paths, seed=10 * self.seed + purpose, block_size=BLOCK, progress=False)
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


def _minus(errors: Errors, law: Errors) -> Errors:
    """Against another reference: a quantity a save taken off all models."""
    models = len(errors.value) // len(law.value)
    covariance = errors.covariance + np.kron(np.ones((models, models)), law.covariance)
    return Errors(errors.value - np.tile(law.value, models), covariance, errors.n, errors.slack)


def worst_ratio(errors: Errors, model: str, rival: str, *, level: float) -> Estimate:
    """max|error| over the saves of the model over that of the rival, from ``errors`` as in ``_Own``.

    With t and s the saves where the two look largest, it is at most max over t' of |a(t')/b(s)| and at least min over s' of |a(t)/b(s')|, whatever the true
    places of the maxima; the intervals (Fieller's) hold for all pairs of saves at once.
    """
    first, second = MODELS.index(model) * SAVES, MODELS.index(rival) * SAVES
    top, bottom, each = _worst(errors, model), _worst(errors, rival), _each(level)
    found = errors.ratio(top, bottom, level=each)
    high = max(errors.ratio(i, bottom, level=each).high for i in range(first, first + SAVES))
    low = min(errors.ratio(top, j, level=each).low for j in range(second, second + SAVES))
    return Estimate(found.value, found.stderr, errors.n, low, high)


def _worst(errors: Errors, model: str) -> int:
    """Where a model's errors look largest."""
    first = MODELS.index(model) * SAVES
    return first + int(np.abs(errors.value[first : first + SAVES]).argmax())


def _each(level: float) -> float:
    """The level of each pair of saves, for all pairs at once."""
    return 1 - (1 - level) / SAVES**2


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
