"""Networks on digits trained to a stop rule under several settings, with paired seeds: λmax in training mode, test accuracy, and what predicts it.

Seed s has one start, one set of permutations for all settings. Protocol of Kaur, Cohen and Lipton (arXiv 2206.10654): stop at 99 % training accuracy, λmax of
the loss in training mode on the first 1,000 training samples (all of them where there are fewer). Noise-aligned sharpness is tr(HΣ) and the stationary loss
½tr(HV) = (η/4)tr[(I − ηH/2)⁻¹Σ], Σ of the setting's own batches, exact for SGD and for HA-SME on the quadratic around the point (AV + VA − ηAVA = ηΣ).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.stats
import torch
from torch import Tensor, nn

from sgdsde.calculus import hvp_at, weighted_grad
from sgdsde.data import Data, digits
from sgdsde.measurement import Measured, exactly
from sgdsde.objective import Objective
from sgdsde.objectives import Network
from sgdsde.plots.panel import Panel, Series
from sgdsde.rng import stream
from sgdsde.stats import mean_estimate
from sgdsde.training import SAM, SGD, Plain, Trainable, TrainAccuracy, TrainingNetwork, largest_between, largest_eigenvalues, train
from sgdsde.types import Estimate, Status

WIDTHS = (20, 20)
SHARE, CURVATURE_SAMPLES = 0.99, 1000
#: the split is drawn once and for all: which digits are for training says nothing about a setting
SPLIT_SEED = 0
TEST_FROM = 1000
PREDICTORS = ("lambda", "trace", "aligned", "stationary loss")
#: the accuracy on every other test digit
HALF = "half"
RESAMPLES = 500


def split(samples: int) -> tuple[Data, Data]:
    """The first ``samples`` ≤ 1,000 of a fixed permutation to train on, all from 1,000 on to test on."""
    data = digits()
    order = torch.randperm(len(data), generator=stream(SPLIT_SEED, "digits split"))
    first, rest = order[:samples], order[TEST_FROM:]
    return replace(data, x=data.x[first], y=data.y[first]), replace(data, x=data.x[rest], y=data.y[rest])


def network(setting: Mapping[str, Any], data: Data, seeds: int, seed: int) -> tuple[Trainable, Tensor]:
    """The MLP 64-20-20-10 of a setting and the starts, which settings of one width without BatchNorm share.

    ``dropout``: p after each hidden layer; ``norm``: "batch"; ``width``: units of both hidden layers.
    """
    layers: list[nn.Module] = []
    width, share, norm = data.x.shape[1], float(setting.get("dropout", 0.0)), setting.get("norm", "none")
    for hidden in (int(setting["width"]),) * 2 if "width" in setting else WIDTHS:
        layers += [nn.Linear(width, hidden), *([nn.BatchNorm1d(hidden)] if norm == "batch" else []), nn.ReLU(), *([nn.Dropout(share)] if share else [])]
        width = hidden
    module = nn.Sequential(*layers, nn.Linear(width, 10))
    modal = share > 0 or norm == "batch"
    trainable = TrainingNetwork(module, "cross_entropy", data.x, data.y) if modal else Plain(Network(module, "cross_entropy", data.x, data.y))
    holder = trainable.frozen if isinstance(trainable, TrainingNetwork) else trainable.whole
    assert isinstance(holder, Network)
    return trainable, holder.initial(seeds, stream(seed, "starts")).to(torch.float32)


@dataclass(frozen=True)
class _Runs:
    """One setting's runs, each ``[seeds]``."""

    values: dict[str, np.ndarray]
    reached: float
    steps: float
    mode: str
    #: where λmax is taken, if not at the last iterate
    protocol: str = ""


def trained_digits(
    *,
    seed: int,
    level: float,
    settings: Mapping[str, Mapping[str, Any]],
    ratios: Sequence[tuple[str, str]] = (),
    gains: Sequence[tuple[str, str]] = (),
    interactions: Sequence[tuple[str, str, str, str]] = (),
    seeds: int,
    samples: int,
    most: int,
    predictors: bool = False,
) -> Measured:
    """For settings (``rate``, ``batch``; ``radius`` of SAM, ``dropout``, ``norm``, ``width``): ``name/reached``, ``name/lambda`` (geometric mean),
    ``name/accuracy`` in %. With ``line`` in a setting its λmax is the largest at so many places from the last iterate to the next;
    ``name/lambda at iterate`` is that of the last iterate.

    ``a : b/lambda`` is the geometric mean of paired ratios, ``a − b/accuracy`` the mean paired difference in points, ``(a − b) − (c − d)/accuracy`` that of
    differences. With ``predictors``: ``rank/predictor/B = …`` and ``…/all``, Spearman's correlation with test accuracy over the runs of one batch size
    (settings not marked ``drawn``) and over all, intervals by resampling seeds; ``rank/half/…`` is that of the accuracy on every other test digit.
    """
    data, test = split(samples)
    starting: dict[tuple[Any, ...], Tensor] = {}  # λmax at the start, one for all settings of one network
    runs = {name: _runs(setting, data, test, seeds, samples, most, seed, predictors, starting) for name, setting in settings.items()}
    estimates: dict[str, Estimate] = {}
    for name, run in runs.items():
        estimates[f"{name}/reached"] = exactly(run.reached, 0.0)
        estimates[f"{name}/lambda"] = _geometric(run.values["lambda"], level)
        if "at iterate" in run.values:
            estimates[f"{name}/lambda at iterate"] = _geometric(run.values["at iterate"], level)
        estimates[f"{name}/sharpening"] = _geometric(run.values["lambda"] / run.values["start"], level)
        estimates[f"{name}/accuracy"] = mean_estimate(run.values["accuracy"], level=level)
    for a, b in ratios:
        estimates[f"{a} : {b}/lambda"] = _geometric(runs[a].values["lambda"] / runs[b].values["lambda"], level)
    if ratios:  # the largest of them: at least one ratio lies above each of its intervals' lower ends
        found = [estimates[f"{a} : {b}/lambda"] for a, b in ratios]
        top = max(found, key=lambda part: float(part.value))
        estimates["largest ratio/lambda"] = Estimate(top.value, top.stderr, top.n, max(float(p.low) for p in found), max(float(p.high) for p in found))
    accuracy = {name: run.values["accuracy"] for name, run in runs.items()}
    for a, b in gains:
        estimates[f"{a} − {b}/accuracy"] = mean_estimate(accuracy[a] - accuracy[b], level=level)
    for a, b, c, d in interactions:
        estimates[f"({a} − {b}) − ({c} − {d})/accuracy"] = mean_estimate(accuracy[a] - accuracy[b] - (accuracy[c] - accuracy[d]), level=level)
    if predictors:
        for B in sorted({int(setting["batch"]) for setting in settings.values() if "drawn" not in setting}):
            chosen = [name for name, setting in settings.items() if setting["batch"] == B and "drawn" not in setting]
            estimates |= _ranks({name: runs[name] for name in chosen}, {name: settings[name]["rate"] for name in chosen}, f"B = {B}", seed, level)
        estimates |= _ranks(runs, {name: setting["rate"] for name, setting in settings.items()}, "all", seed, level)
    notes = [
        f"{name}: {run.steps:.0f} steps on average, {100 * run.reached:.0f} % of the seeds reached the stop; {run.mode}; "
        f"λmax {estimates[f'{name}/lambda'].value:.3g}{run.protocol}, test accuracy {estimates[f'{name}/accuracy'].value:.2f} % "
        f"(spread over seeds {run.values['accuracy'].std(ddof=1):.2f})"
        for name, run in runs.items()
    ]
    protocol = (
        f"MLP 64-{'-'.join(map(str, WIDTHS))}-10, cross-entropy, {samples} training and {len(test)} test digits, epochs, float32; stop at "
        f"{100 * SHARE:.0f} % training accuracy (evaluation mode) or {most} steps; λmax in training mode on the first "
        f"{min(samples, CURVATURE_SAMPLES)} samples; {seeds} seeds, paired"
    )
    return Measured(estimates, panels=_panels(settings, estimates), notes=tuple(notes), conventions=protocol)


def _runs(
    setting: Mapping[str, Any],
    data: Data,
    test: Data,
    seeds: int,
    samples: int,
    most: int,
    seed: int,
    predictors: bool,
    starting: dict[tuple[Any, ...], Tensor],
) -> _Runs:
    trainable, start = network(setting, data, seeds, seed)
    rate, radius, batch = float(setting["rate"]), float(setting.get("radius", 0.0)), int(setting["batch"])
    optimiser = SAM(rate, radius=radius) if radius else SGD(rate)
    run = train(trainable, start, optimiser=optimiser, batch_size=batch, steps=int(setting.get("most", most)), seed=seed, stop=TrainAccuracy(share=SHARE))
    f = trainable.objective(min(samples, CURVATURE_SAMPLES), seed=seed % 2**31)
    last = largest_eigenvalues(f, run.final, tolerance=1e-2).values
    kind = tuple(setting.get(name) for name in ("dropout", "norm", "width"))
    if kind not in starting:
        starting[kind] = largest_eigenvalues(f, start, tolerance=1e-2).values
    accuracy, half = (100 * trainable.evaluate(run.final, test.x[part], test.y[part]).accuracy for part in (slice(None), slice(None, None, 2)))
    values = {"start": starting[kind], "lambda": last, "accuracy": accuracy, HALF: half}
    protocol = ""
    if "line" in setting:
        following = train(trainable, run.final, optimiser=optimiser, batch_size=batch, steps=1, seed=seed + 1).final
        values |= {"at iterate": last, "lambda": largest_between(f, run.final, following, points=int(setting["line"]), tolerance=1e-2).values}
        protocol = f" (the largest at {setting['line']} places between two iterates; {float(last.double().log().mean().exp()):.3g} at the first)"
    if predictors:
        values |= dict(zip(PREDICTORS[1:], _noise_measures(f, run.final, rate, batch, seed), strict=True))
    reached = float((run.status == int(Status.EXITED)).double().mean())
    found = {name: value.double().numpy() for name, value in values.items()}
    return _Runs(found, reached, float(run.ended.double().mean()), trainable.mode, protocol)


def _noise_measures(f: Objective, theta: Tensor, rate: float, batch: int, seed: int, draws: int = 8, products: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    """tr H, tr(HΣ) and (η/4)tr[(I − ηH/2)⁻¹Σ], means over ``draws`` of signs and of noise; the inverse by conjugate gradients.

    Where ηλ > 2 in a direction of the noise there is no stationary law: the last is infinite.
    """
    generator = stream(seed, "noise measures")
    trace, aligned, stationary = (theta.new_zeros(len(theta)) for _ in range(3))
    apply, unstable = hvp_at(f, theta), torch.zeros(len(theta), dtype=torch.bool)
    for _ in range(draws):
        v = 2.0 * torch.randint(2, theta.shape, generator=generator).to(theta) - 1
        trace += (v * apply(v)).sum(1) / draws
        z = torch.randn(len(theta), f.n, generator=generator, dtype=theta.dtype)
        u = weighted_grad(f, theta, (z - z.mean(1, keepdim=True)) / (f.n * batch) ** 0.5, None)
        aligned += (u * apply(u)).sum(1) / draws
        x, r = torch.zeros_like(u), u.clone()
        p, square = r.clone(), (r * r).sum(1)
        for _ in range(products):
            q = p - 0.5 * rate * apply(p)
            curvature = (p * q).sum(1)
            unstable |= curvature < 0
            step = square / curvature.clamp(min=1e-30)
            step = torch.where(unstable, torch.zeros_like(step), step)
            x, r = x + step[:, None] * p, r - step[:, None] * q
            following = (r * r).sum(1)
            p, square = r + (following / square.clamp(min=1e-30))[:, None] * p, following
        stationary += 0.25 * rate * (u * x).sum(1) / draws
    stationary[unstable] = torch.inf
    return trace.detach(), aligned.detach(), stationary.detach()


def _ranks(runs: Mapping[str, _Runs], rates: Mapping[str, float], where: str, seed: int, level: float) -> dict[str, Estimate]:
    """Spearman's correlation over runs (settings times seeds). Its interval: Fisher's transform, spread over resampled seeds (all settings at once)."""
    table = {name: np.stack([run.values[name] for run in runs.values()]) for name in (*PREDICTORS, HALF, "accuracy")}  # [settings, seeds]
    table["rate"] = np.stack([np.full_like(run.values["accuracy"], rates[name]) for name, run in runs.items()])
    seeds = table["accuracy"].shape[1]
    rng = np.random.default_rng([seed, 11])
    chosen = rng.integers(seeds, size=(RESAMPLES, seeds))
    found = {}
    pairs = {name: (name, "accuracy") for name in (*PREDICTORS, "rate")} | {"half": (HALF, "accuracy")}
    for name, (one, other) in pairs.items():
        value = _spearman(table[one], table[other])
        again = np.array([_spearman(table[one][:, index], table[other][:, index]) for index in chosen])
        spread = float(again.std(ddof=1))
        z = float(scipy.stats.norm.isf((1 - level) / 2))
        fisher = spread / max(1 - value**2, 1e-9)
        found[f"rank/{name}/{where}"] = Estimate(
            value, spread, seeds, float(np.tanh(np.arctanh(value) - z * fisher)), float(np.tanh(np.arctanh(value) + z * fisher))
        )
    return found


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(scipy.stats.rankdata(a), scipy.stats.rankdata(b))[0, 1])


def _geometric(values: np.ndarray, level: float) -> Estimate:
    """The geometric mean with Student's interval on the log scale."""
    log = mean_estimate(np.log(np.maximum(values, 1e-12)), level=level)
    value = float(np.exp(log.value))
    return Estimate(value, value * float(log.stderr), log.n, float(np.exp(log.low)), float(np.exp(log.high)))


def _panels(settings: Mapping[str, Mapping[str, Any]], estimates: Mapping[str, Estimate]) -> tuple[Panel, ...]:
    """λmax and accuracy against the learning rate, a curve for each batch size, of plain SGD."""
    plain = {name: setting for name, setting in settings.items() if set(setting) == {"rate", "batch"}}
    batches = sorted({int(setting["batch"]) for setting in plain.values()})
    panels = []
    for what, label, log in (("lambda", "λmax at the stop", "xy"), ("accuracy", "test accuracy, %", "x")):
        series = []
        for B in batches:
            names = sorted((name for name in plain if plain[name]["batch"] == B), key=lambda name: plain[name]["rate"])
            found = [estimates[f"{name}/{what}"] for name in names]
            value, low, high = (np.array([getattr(part, end) for part in found], dtype=float) for end in ("value", "low", "high"))
            series.append(Series(f"B = {B}", f"B = {B}", np.array([plain[name]["rate"] for name in names]), value, low, high, "band"))
        if series:
            panels.append(Panel(label, "learning rate η", label, tuple(series), log=log))
    return tuple(panels)
