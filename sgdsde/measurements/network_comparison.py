"""SGD on an 18-parameter digits network against its SDE models, paired so that few paths decide.

At one horizon, for each model: E φ(X) − E φ(θ_k) against the Gaussian surrogate on shared Brownian increments, the same for all models, so that the errors of
two models are known together (Fieller's interval of their ratio). Integrator: Heun at n steps a tick, and what halving its step changes. With few paths that
is only a doubt: of a check on a sixth of the paths, twice the part that chance does not explain widens the intervals. With many it is a correction: twice the
change is added path by path, which removes the leading error and costs two to four times the scatter squared, less than a correction from other paths.
Minibatch − surrogate: independent ensembles, the former with control variates from the linear world at the start; it shifts all models' errors alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde import sdes
from sgdsde.calculus import hessian
from sgdsde.comparison import Ensemble
from sgdsde.error_ratio import Errors
from sgdsde.kernel import DrivenKernel, Kernel
from sgdsde.kernels import SGD, Coupled, Heun
from sgdsde.local_control import LocalControl, means
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.digits_network import digits_network, held_out, start_at
from sgdsde.noises import Minibatch, Surrogate, gaussian_surrogate
from sgdsde.objectives import ShallowTanh
from sgdsde.observables import Accuracy, FunctionDistance, Loss, SquaredDistance, top_eigenspace
from sgdsde.plots.panel import Panel, Series
from sgdsde.sde import SDE
from sgdsde.simulate import simulate
from sgdsde.stats import difference, mean_estimate, quantile_z
from sgdsde.types import Estimate

Observables = dict[str, Callable[[Tensor], Tensor]]
#: errors against the surrogate by observable; the surrogate's values; surviving share; the last model's tally
Found = tuple[dict[str, Errors], dict[str, float], float, str]
#: models of the claims, HA-SME last
MODELS = ("SME1", "SME2", "SPF", "HASME")
NAMES = {"SME1": "SME-1", "SME2": "SME-2", "SPF": "SPF", "HASME": "HA-SME"}
#: what breaks the statement: HA-SME's drift with another diffusion, and a model without noise
BROKEN = ("SPF", "GradientFlow")
OBSERVABLES = {
    "tr Cov": "tr Cov θ",
    "top": "variance in the top eigenspace",
    "squared distance": "E‖θ − θ₀‖²",
    "loss": "E loss",
    "function": "E function-space distance",
}
REFERENCES = ("surrogate", "minibatch")
TOP, HELD_OUT = 2, 200
BLOCK = 128
#: the step-halving check takes this fraction of the paths; minibatch SGD and the surrogate behind the noise law take this many times the paths
CHECK, LAW_PATHS = 6, 12
#: a first-order bias is twice what halving the step changes
FIRST_ORDER = 2
#: with which power the paths told by the notes decide
POWER = 0.9


def network_comparison(*, seed: int, level: float, settings: Mapping[str, Mapping[str, Any]], samples: int, paths: int, substeps: int) -> Measured:
    """For each setting (``start``, ``training`` (seed), ``x``, ``batch``, ``steps``; ``middle``; ``times`` as many paths):
    ``setting/reference/observable/model:rival``, |error of the model / error of the rival|; ``setting/reference/observable/model`` the error in percent;
    ``setting/law/observable``; ``setting/ok``. The notes tell how many paths would decide what is open. The integrator's error is doubted.
    """
    return _compared(NetworkRun.doubted, seed, level, settings, samples, paths, substeps)


def corrected_network_comparison(*, seed: int, level: float, settings: Mapping[str, Mapping[str, Any]], samples: int, paths: int, substeps: int) -> Measured:
    """The same with the integrator's error corrected: for many paths."""
    return _compared(NetworkRun.corrected, seed, level, settings, samples, paths, substeps)


def _compared(
    errors_of: Callable[[NetworkRun, tuple[str, ...], int, int], Found],
    seed: int,
    level: float,
    settings: Mapping[str, Mapping[str, Any]],
    samples: int,
    paths: int,
    substeps: int,
) -> Measured:
    objective = digits_network(samples)
    estimates: dict[str, Estimate] = {}
    notes = [f"digits, odd against even, 4 principal components, 3 tanh units: {objective.dim} parameters, {samples} samples, {paths} coupled paths a model"]
    for offset, (name, setting) in enumerate(settings.items()):
        anchor = start_at(objective, setting["start"], setting["training"], setting.get("middle", 100))
        values = torch.linalg.eigvalsh(hessian(objective, anchor[None])[0])
        eta = setting["x"] / float(values[-1])
        run = NetworkRun(Minibatch(objective, setting["batch"]), eta, anchor, setting["steps"], seed % 10**9 + 100 * offset, samples)
        many, models = setting.get("times", 1) * paths, tuple(dict.fromkeys((*BROKEN, *MODELS)))  # HA-SME last: its tally is told
        needed: dict[str, float] = {}
        own, base, ok, tally = errors_of(run, models, many, substeps)
        law = run.noise_law(LAW_PATHS * many)
        for observable in OBSERVABLES:
            scale = 100 / base[observable]
            against = {"surrogate": own[observable], "minibatch": own[observable].minus_common(float(law[observable].value), float(law[observable].stderr))}
            for reference, errors in against.items():
                for model in MODELS:
                    estimates[f"{name}/{reference}/{observable}/{model}"] = errors.estimate(models.index(model), scale=scale, level=level)
                for model, rival in (*(("HASME", rival) for rival in MODELS[:-1]), *((broken, "SME1") for broken in BROKEN)):
                    i, j = models.index(model), models.index(rival)
                    ratio = estimates[f"{name}/{reference}/{observable}/{model}:{rival}"] = errors.ratio(i, j, level=level)
                    if ratio.low < 1 < ratio.high and model == MODELS[-1]:
                        what = f"{OBSERVABLES[observable]} ({reference})"
                        needed[what] = max(needed.get(what, 0.0), errors.paths_to_tell(i, j, level=level, power=POWER))
            shift = law[observable]
            estimates[f"{name}/law/{observable}"] = Estimate.normal(float(shift.value) * scale, float(shift.stderr) * scale, shift.n, quantile_z(level))
        estimates[f"{name}/ok"] = exactly(ok, 0.0)
        notes.append(f"{name}: λ from {float(values[0]):.3g} to {float(values[-1]):.3g}, η = {eta:.3g}; HA-SME's run: {tally or 'always in its domain'}")
        if needed:
            told = ", ".join(f"{what} {count:,.2g}" for what, count in needed.items())
            notes.append(f"{name}, {many} paths: were the errors as found, all rivals would be told apart with power {POWER} by this many paths: {told}")
    return Measured(estimates, panels=_panels(settings, estimates), notes=tuple(notes), conventions=str(SGD(run.noise, eta).conventions()))


@dataclass(frozen=True)
class NetworkRun:
    """One SGD on the network from one start: how it and its models are run, and what is read off."""

    noise: Minibatch
    eta: float
    anchor: Tensor
    steps: int
    seed: int
    samples: int

    def doubted(self, models: tuple[str, ...], paths: int, substeps: int) -> Found:
        """The models' errors with slack for the integrator."""
        surrogate = gaussian_surrogate(self.noise)
        own: dict[str, list[np.ndarray]] = {}
        change: dict[str, list[np.ndarray]] = {}
        ok, tally, base = 1.0, "", {}
        for model in models:
            sde = build(model, surrogate, self.eta)
            coarse, fine = Heun(sde, self.eta / substeps), Heun(sde, self.eta / (2 * substeps))
            twin, found, share, tally = self._pair(SGD(surrogate, self.eta), coarse, paths, purpose=1)
            rough, better, _, _ = self._pair(coarse, fine, paths // CHECK, purpose=2)
            ok, base = min(ok, share), {name: float(column.mean()) for name, column in twin.items()}
            for name in OBSERVABLES:
                own.setdefault(name, []).append(found[name] - twin[name])
                change.setdefault(name, []).append(better[name] - rough[name])
        errors = {name: Errors.of(np.stack(own[name], 1)).doubted(Errors.of(np.stack(change[name], 1)), FIRST_ORDER) for name in OBSERVABLES}
        return errors, base, ok, tally

    def corrected(self, models: tuple[str, ...], paths: int, substeps: int) -> Found:
        """The models' errors, the integrator's leading error taken off path by path."""
        surrogate, fine = gaussian_surrogate(self.noise), self.eta / (2 * substeps)
        # an ODE beside SGD makes it draw its increments on the models' finer grid
        twin, _, ok, _ = self._pair(SGD(surrogate, self.eta), Heun(sdes.GradientFlow(surrogate, self.eta), fine), paths, purpose=1)
        own: dict[str, list[np.ndarray]] = {name: [] for name in OBSERVABLES}
        tally = ""
        for model in models:
            sde = build(model, surrogate, self.eta)
            rough, better, share, tally = self._pair(Heun(sde, self.eta / substeps), Heun(sde, fine), paths, purpose=1)
            ok = min(ok, share)
            for name in OBSERVABLES:
                own[name].append(rough[name] + FIRST_ORDER * (better[name] - rough[name]) - twin[name])
        return {name: Errors.of(np.stack(rows, 1)) for name, rows in own.items()}, {name: float(column.mean()) for name, column in twin.items()}, ok, tally

    def noise_law(self, paths: int) -> dict[str, Estimate]:
        """Minibatch SGD − surrogate by observable."""
        control, seed = LocalControl(self.noise, self.eta, self.anchor), 10 * self.seed
        direct, shadow = (self._states(kernel, paths, seed + 3) for kernel in (SGD(self.noise, self.eta), control.sgd()))
        features = control.features(shadow, [self.steps])
        minibatch = {name: means(column[:, None], features) for name, column in self.table(direct).items()}
        # the root in place of the dense surrogate: the same law without an eigenvalue problem a step; its shadow would cost what it saves
        twin = {
            name: mean_estimate(column[:, None]) for name, column in self.table(self._states(SGD(Surrogate(self.noise), self.eta), paths, seed + 4)).items()
        }
        parts = (minibatch, twin)
        return {name: difference(parts[0][name], parts[1][name])[0] for name in OBSERVABLES}

    def _states(self, kernel: Kernel, paths: int, seed: int) -> Tensor:
        return simulate(kernel, self.anchor, horizon=self.steps * self.eta, paths=paths, seed=seed, block_size=BLOCK, progress=False).states

    def _pair(self, a: DrivenKernel, b: DrivenKernel, paths: int, *, purpose: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], float, str]:
        pair = Coupled(a, b)
        run = simulate(pair, self.anchor, horizon=self.steps * self.eta, paths=paths, seed=10 * self.seed + purpose, block_size=BLOCK, progress=False)
        first, second = pair.split(run.states)
        counters = {**run.tally.counts, **{f"worst {name}": round(value, 4) for name, value in run.tally.worst.items()}}
        return self.table(first), self.table(second), run.counts().get("ok", 0) / paths, ", ".join(f"{n} {v}" for n, v in counters.items() if v)

    def table(self, states: Tensor) -> dict[str, np.ndarray]:
        """Values whose means are compared at the last save, ``[P]`` by observable, test accuracy included."""
        objective = self.noise.objective
        assert isinstance(objective, ShallowTanh)
        inputs, labels = held_out(self.samples, HELD_OUT)
        origin, answer = tuple(self.anchor.tolist()), objective.logits
        observe: Observables = {"loss": Loss(objective), "squared distance": SquaredDistance(origin), "function": FunctionDistance(answer, inputs, origin)}
        ensemble = Ensemble.of(states[-1:], observe | {"accuracy": Accuracy(answer, inputs, labels)}, {"top": top_eigenspace(objective, self.anchor, TOP)})
        return {name: column[:, 0] for name, column in ensemble.columns.items()}


def build(model: str, noise: Any, eta: float) -> SDE:
    """A model by name; past its domain the logarithm is clipped and an indefinite Q projected, both counted."""
    policies: dict[str, str] = {}
    if model not in ("GradientFlow", "SME1", "SME2", "SME3"):
        policies["log"] = "clip"
    if model in ("HASME", "HASME3"):
        policies["psd"] = "project"
    built: SDE = getattr(sdes, model)(noise, eta, **policies)
    return built


def _panels(settings: Mapping[str, Mapping[str, Any]], estimates: Mapping[str, Estimate]) -> tuple[Panel, ...]:
    """Error against ηλ from each start that has several step sizes, in percent of the surrogate's value."""
    panels = []
    for start in dict.fromkeys(setting["start"] for setting in settings.values()):
        chosen = sorted((s["x"], name) for name, s in settings.items() if s["start"] == start and s["batch"] == 1 and "middle" not in s)
        if len(chosen) < 2:
            continue
        for observable in ("tr Cov", "loss"):
            series = []
            for model in MODELS:
                found = [estimates[f"{name}/surrogate/{observable}/{model}"] for _, name in chosen]
                value, low, high = (np.array([getattr(e, part) for e in found], dtype=float) for part in ("value", "low", "high"))
                series.append(Series(model, NAMES[model], np.array([x for x, _ in chosen]), value, low, high, kind="band"))
            after = settings[chosen[0][1]]["steps"]
            title = f"From {start}, k = {after}: error in {OBSERVABLES[observable]}"
            panels.append(Panel(title, "x = ηλmax at the start", "% of SGD's value", tuple(series), level=0.0))
    return tuple(panels)
