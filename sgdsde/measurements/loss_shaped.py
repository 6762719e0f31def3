"""Escape under noise proportional to the loss: Σ ∝ L·H makes exit times a power of L(border)/L(minimum).

Continuously watched exits of SGD's first-order SDE from L(θ) < c (scale function on the line; radial integrals in n dimensions), and SGD's own at
iterates (Nyström, paths). Around a minimum with L = L₀ + ½h|θ|², Σ = 2hL/B·I and b = B/(ηh):  d log Eτ/d log c → b + 1 − n/2. Label noise gives Σ its true
form: least squares, whose inputs' kurtosis κ decides, Σ = (h/B)(2L₀ + (κ − 1)hθ²), and a diagonal net on its invariant line v = 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import logsumexp
from torch import Tensor

from sgdsde.exits import exit_times
from sgdsde.kernels import SGD
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.interval_exits import NAMES
from sgdsde.noise import Noise
from sgdsde.noises import Gaussian, Minibatch
from sgdsde.objective import Facts, Objective, identity_rows
from sgdsde.objectives import DiagonalNet, LeastSquares, Quadratic
from sgdsde.oracles import sde_mean_exit, sgd_mean_exit
from sgdsde.plots.panel import Panel, Series
from sgdsde.regions import Ball, Interval
from sgdsde.sdes import SME1
from sgdsde.stats import quantile_z
from sgdsde.types import Estimate

#: of the oracles' means
FLOOR = 1e-7
#: nodes of the radial integrals on a logarithmic grid
_NODES = 40_001

#: (c/L₀) → log Eτ and its relative error
LogMean = Callable[[float], tuple[float, float]]


@dataclass(frozen=True)
class LossShaped:
    """Σ = 2h(L₀ + ½h|θ|²)/B·I, or with ``additive`` noise of the minimum's size everywhere."""

    curvature: float
    least: float
    batch: float
    additive: bool = False

    def __call__(self, theta: Tensor) -> Tensor:
        loss = self.least + (0.0 if self.additive else 0.5 * self.curvature) * (theta**2).sum(1)
        return (2 * self.curvature * loss / self.batch)[:, None, None] * identity_rows(theta)


class OnTheLine(Objective):
    """A diagonal net with one feature on the line v = 0, which SGD and its SDEs do not leave: every per-sample gradient in v is proportional to v."""

    dim = 1

    def __init__(self, net: DiagonalNet) -> None:
        self.net = net
        self.facts = Facts()

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return self.net.sample_loss(torch.cat([theta, torch.zeros_like(theta)], 1), batch)


def inputs_of(kurtosis: float) -> Float[np.ndarray, " inputs"]:
    """Symmetric inputs with E x² = 1 and E x⁴ = ``kurtosis`` ≥ 1: 0 with probability 1 − 1/κ, else ±√κ (24 of them, so that 24/κ must be whole)."""
    count = round(24 / kurtosis)
    return np.concatenate([np.zeros(24 - count), math.sqrt(24 / count) * np.where(np.arange(count) % 2, 1.0, -1.0)])


def labelled(kurtosis: float, least: float, slope: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs times slope plus label noise ±√(2L₀), every combination once, so that noise and inputs are independent: (x [n, 1], y [n])."""
    x = np.repeat(inputs_of(kurtosis), 2)
    return x[:, None], slope * x + math.sqrt(2 * least) * np.tile([1.0, -1.0], 24)


def slopes_of(log_mean: LogMean, ratios: Sequence[float]) -> list[tuple[float, float]]:
    """(d log Eτ/d log c, its error) between neighbouring ratios c/L₀."""
    found = [log_mean(ratio) for ratio in ratios]
    runs = [math.log(b / a) for a, b in pairwise(ratios)]
    return [((b[0] - a[0]) / run, (a[1] + b[1] + FLOOR) / run) for (a, b), run in zip(pairwise(found), runs, strict=True)]


def on_the_line(process: str, noise: Noise, eta: float, start: float, border: Callable[[float], Interval], ratio: float) -> tuple[float, float]:
    """log Eτ out of L < ratio·L₀."""
    region = border(ratio)
    law = sgd_mean_exit(noise, eta, start, region) if process == "SGD" else sde_mean_exit(SME1(noise, eta), start, region)
    return math.log(law.mean), law.error


def ball_of(curvature: float, least: float, ratio: float) -> Interval:
    """{½hx² < (ratio − 1)L₀}."""
    radius = math.sqrt(2 * least * (ratio - 1) / curvature)
    return Interval(-radius, radius)


def net_of(least: float, slope: float, ratio: float) -> Interval:
    """{u : ½(u² − slope)² < (ratio − 1)L₀} around u = √slope."""
    miss = math.sqrt(2 * least * (ratio - 1))
    return Interval(math.sqrt(slope - miss), math.sqrt(slope + miss))


def radial(dim: int, b: float, ratio: float) -> tuple[float, float]:
    """log Eτ (in units of 1/h) from the minimum to L = ratio·L₀ in ``dim`` dimensions, Σ = 2hL/B·I.

    r = |θ|√(h/(2L₀)): L/L₀ = 1 + r², s′ = r^{1−n}(1 + r²)^b, m = 2b·r^{n−1}(1 + r²)^{−1−b} (speed in units of 1/h), Eτ = ∫s′∫m.
    """
    answers = []
    for nodes in (_NODES // 2, _NODES):
        x = np.linspace(math.log(1e-6), 0.5 * math.log(ratio - 1), nodes)  # log r
        grow = np.log1p(np.exp(2 * x))
        speed = (dim - 1) * x - (1 + b) * grow + x
        scale = (1 - dim) * x + b * grow + x
        inner = np.logaddexp.accumulate(np.logaddexp(speed[1:], speed[:-1])) + math.log((x[1] - x[0]) / 2)
        first = dim * x[0] - math.log(dim)  # ∫ from 0 to the first node
        inner = np.concatenate([[first], np.logaddexp(inner, first)])
        weights = np.full(nodes, math.log(x[1] - x[0]))
        weights[[0, -1]] -= math.log(2)
        answers.append(float(logsumexp(scale + inner + weights)) + math.log(2 * b))
    return answers[1], abs(answers[1] - answers[0])


def log_barrier(
    *, seed: int, level: float, cases: Mapping[str, Mapping[str, float]], ratios: Sequence[float], curvature: float, least: float, additive: bool
) -> Measured:
    """For each case {eta, batch}: ``case/process/c``, the slope of log Eτ in log c up to c/L₀ from the ratio before, over b + ½, SME1 and SGD."""
    estimates: dict[str, Estimate] = {}
    series = []
    for name, case in cases.items():
        b = case["batch"] / (case["eta"] * curvature)
        noise = Gaussian(Quadratic([curvature]), LossShaped(curvature, least, case["batch"], additive))
        for process in ("SME1", "SGD"):
            found = slopes_of(partial(on_the_line, process, noise, case["eta"], 0.0, partial(ball_of, curvature, least)), ratios)
            for ratio, (slope, error) in zip(ratios[1:], found, strict=True):
                estimates[f"{name}/{process}/{ratio:g}"] = exactly(slope / (b + 0.5), error / (b + 0.5))
            y = np.array([slope for slope, _ in found]) / (b + 0.5)
            series.append(Series(f"{name} {process}", f"{name}, {NAMES[process]}", np.asarray(ratios[1:]), y, kind="band"))
    panel = Panel("Linear barrier" if additive else "Logarithmic barrier", "c/L₀", "(d log Eτ/d log c) / (b + ½)", tuple(series), log="x", level=1.0)
    return Measured(estimates, panels=(panel,), conventions="1-D, L = L₀ + ½hθ², Σ = 2hL/B, exit from L < c, float64")


def radial_slopes(*, seed: int, level: float, dims: Sequence[int], bs: Sequence[float], ratios: Sequence[float]) -> Measured:
    """``n/b/c``: the slope of log Eτ in log c in n dimensions over b + 1 − n/2; ``n/b/line``: over b + ½, the line's exponent, at the last ratio."""
    estimates: dict[str, Estimate] = {}
    for dim in dims:
        for b in bs:
            found = slopes_of(partial(radial, dim, b), ratios)
            for ratio, (slope, error) in zip(ratios[1:], found, strict=True):
                estimates[f"{dim}/{b:g}/{ratio:g}"] = exactly(slope / (b + 1 - dim / 2), error / (b + 1 - dim / 2))
            slope, error = found[-1]
            estimates[f"{dim}/{b:g}/line"] = exactly(slope / (b + 0.5), error / (b + 0.5))
    return Measured(estimates, conventions="n dimensions, L = L₀ + ½h|θ|², Σ = 2hL/B·I, SME-1 watched continuously, float64")


def radial_paths(*, seed: int, level: float, dim: int, eta: float, batch: float, ratios: Sequence[float], paths: int) -> Measured:
    """``slope``: the slope of log Eτ in log c of SGD by paths (h = 1, looked at iterates) over that of the radial integrals; ``exponent``: over b + 1 − n/2;
    ``line``: over b + ½.
    """
    noise, b = Gaussian(Quadratic([1.0] * dim), LossShaped(1.0, 0.5, batch)), batch / eta
    means, notes = [], []
    for number, ratio in enumerate(ratios):
        truth = math.exp(radial(dim, b, ratio)[0])
        region = Ball([0.0] * dim, math.sqrt(ratio - 1))
        exits = exit_times(SGD(noise, eta), [0.0] * dim, region=region, horizon=200 * truth, paths=paths, seed=seed + number, progress=False)
        means.append(exits.mean(level=level))
        notes.append(f"c/L₀ = {ratio:g}: mean exit {means[-1]}, radial integral t = {truth:.4g}")
    run = math.log(ratios[-1] / ratios[0])
    spread = math.hypot(*(mean.stderr / mean.value for mean in means)) / run
    slope = Estimate.normal(math.log(means[-1].value / means[0].value) / run, spread, paths, quantile_z(level))
    expected = (radial(dim, b, ratios[-1])[0] - radial(dim, b, ratios[0])[0]) / run
    estimates = {
        key: Estimate(slope.value / by, slope.stderr / by, paths, slope.low / by, slope.high / by)
        for key, by in (("slope", expected), ("exponent", b + 1 - dim / 2), ("line", b + 0.5))
    }
    return Measured(estimates, notes=tuple(notes), conventions=f"SGD, η = {eta:g}, {dim} dimensions, looked at iterates, float64")


def over_exponents(kurtosis: float, batch: int, b: float, slopes: Mapping[float, tuple[float, float]]) -> dict[str, Estimate]:
    """``κ/B/c``, the slope over b + ½; ``κ/B/c/own``, over b/(κ − 1) + ½ (κ > 1). ``slopes``: c → slope and its error."""
    estimates = {}
    for ratio, (slope, error) in slopes.items():
        key, own = f"{kurtosis:g}/{batch:g}/{ratio:g}", b / (kurtosis - 1) + 0.5 if kurtosis > 1 else None
        estimates[key] = exactly(slope / (b + 0.5), error / (b + 0.5))
        if own is not None:
            estimates[f"{key}/own"] = exactly(slope / own, error / own)
    return estimates


def label_noise(*, seed: int, level: float, kurtoses: Sequence[float], eta: float, batches: Sequence[int], ratios: Sequence[float], least: float) -> Measured:
    """Least squares on the line: ``κ/B/c``, the slope of log Eτ in log c over b + ½; ``κ/B/c/own``, over b/(κ − 1) + ½ (κ > 1); SME-1 of minibatches."""
    estimates: dict[str, Estimate] = {}
    for kurtosis in kurtoses:
        x, y = labelled(kurtosis, least)
        for batch in batches:
            b = batch / eta
            noise = Minibatch(LeastSquares(x, y), batch)
            found = slopes_of(partial(on_the_line, "SME1", noise, eta, 0.0, partial(ball_of, 1.0, least)), ratios)
            estimates |= over_exponents(kurtosis, batch, b, dict(zip(ratios[1:], found, strict=True)))
    return Measured(estimates, conventions="least squares on the line, E x² = 1, label noise of constant size, SME-1 watched continuously, float64")


def diagonal_net(*, seed: int, level: float, kurtoses: Sequence[float], eta: float, batches: Sequence[int], ratios: Sequence[float], least: float) -> Measured:
    """A diagonal net fitting y = x + label noise, from u = 1 on the line v = 0, where h = 4: keys as in :func:`label_noise`."""
    estimates: dict[str, Estimate] = {}
    for kurtosis in kurtoses:
        net = DiagonalNet(*labelled(kurtosis, least, slope=1.0))
        for batch in batches:
            b = batch / (4 * eta)
            noise = Minibatch(OnTheLine(net), batch)
            found = slopes_of(partial(on_the_line, "SME1", noise, eta, 1.0, partial(net_of, least, 1.0)), ratios)
            estimates |= over_exponents(kurtosis, batch, b, dict(zip(ratios[1:], found, strict=True)))
    return Measured(estimates, conventions="diagonal net with one feature, label noise of constant size, SME-1 watched continuously, float64")
