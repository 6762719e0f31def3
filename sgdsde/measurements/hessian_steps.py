"""What one step of SGD does to the loss along training: redraws of the next step, their second-order law, angles between steps.

Δ = f(θ − ηĝ) − f(θ) over fresh batches. To second order E Δ = −η‖μ‖² + (η²/2)(μᵀHμ + tr(HΣ_B)), μ = ∇f, Σ_B the covariance of the minibatch gradient,
here without replacement: (n−B)/((n−1)B)·Σ. Li et al. 1907.10732 look at the same Δ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sgdsde.calculus import grad
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.hessian_network import BATCH, RATE, Dense, reference, start
from sgdsde.plots.panel import Panel, Series
from sgdsde.stats import mean_estimate, paired_difference, proportion
from sgdsde.training import SGD, LossDifferences, StepAngle, train
from sgdsde.types import Estimate

CONVENTIONS = f"digits in [0, 1], n = 1,000, ReLU 64-20-20-10, cross-entropy, SGD η = {RATE}, B = {BATCH} by epochs, float64"
QUANTILES = (0.05, 0.5, 0.95)


def hessian_steps(*, seed: int, level: float, starts: Sequence[int], steps: Sequence[int], redraws: int, windows: Sequence[int]) -> Measured:
    """For each start and step: ``start/step/rises``, P(Δ > 0); ``…/rises more``, its excess over the first step's; ``…/full batch rises more``, the same of a
    full-batch step at the end; ``…/law`` and ``…/law without noise``, (mean Δ − formula)/(sum of the formula's sizes), with and without tr(HΣ_B);
    ``start/window/cosine`` and ``…/full batch``, the mean cosine between consecutive steps from the window before to this one.
    """
    network = reference()
    estimates: dict[str, Estimate] = {}
    notes, panels = [], []
    for which, number in enumerate(starts):
        name, theta = f"start {which + 1}", start(network, number)
        redrawn = train(network, theta, optimiser=SGD(RATE), batch_size=BATCH, steps=steps[-1], save=steps, seed=number, record={"Δ": LossDifferences(redraws)})
        angles = train(network, theta, optimiser=SGD(RATE), batch_size=BATCH, steps=windows[-1], at=windows, seed=number, record={"cos": StepAngle()})
        full = train(network, theta, optimiser=SGD(RATE), batch_size=network.n, steps=windows[1], at=windows[:2], seed=number, record={"cos": StepAngle()})
        differences = [values[0].numpy() for values in redrawn.recorded["Δ"].values]
        for step, states, delta in zip(steps, redrawn.states, differences, strict=True):
            key, rises = f"{name}/{step}", delta > 0
            estimates[f"{key}/rises"] = proportion(int(rises.sum()), redraws, level=level)
            if step != steps[0]:
                estimates[f"{key}/rises more"] = _more(rises, differences[0] > 0, level)
            estimates |= {f"{key}/{label}": value for label, value in _law(Dense(network, states[0]), delta, level).items()}
            notes.append(f"{name}, step {step}: loss {float(network.loss(states)[0]):.3g}, P(Δ>0) {rises.mean():.3f}, mean Δ {delta.mean():.3g}")
        for window, value in zip(windows, angles.recorded["cos"].values[:, 0].tolist(), strict=True):
            if window:
                estimates[f"{name}/{window}/cosine"] = exactly(value, 0.0)
        last = redrawn.states[-1]
        raised = network.loss(last - RATE * grad(network, last)) > network.loss(last)
        estimates[f"{name}/{steps[-1]}/full batch rises more"] = exactly(float(raised[0]) - float((differences[0] > 0).mean()), 0.0)
        estimates[f"{name}/{windows[1]}/full batch"] = exactly(float(full.recorded["cos"].values[-1, 0]), 0.0)
        if which == 0:
            panels = _panels(steps, differences, windows[1:], angles.recorded["cos"].values[1:, 0].numpy())
    return Measured(estimates, panels=tuple(panels), notes=tuple(notes), conventions=CONVENTIONS)


def _law(point: Dense, delta: np.ndarray, level: float) -> dict[str, Estimate]:
    H, mean, n = point.H, point.mean, point.network.n
    quadratic = float(mean @ H @ mean)
    aligned = float(((point.gradients @ H) * point.gradients).sum() / n) - quadratic
    batch = (n - BATCH) / ((n - 1) * BATCH) * aligned
    descent, bend, noise = -RATE * float(mean @ mean), RATE**2 / 2 * quadratic, RATE**2 / 2 * batch
    size = abs(descent) + abs(bend) + abs(noise)
    return {
        "law": mean_estimate((delta - descent - bend - noise) / size, level=level),
        "law without noise": mean_estimate((delta - descent - bend) / size, level=level),
    }


def _more(now: np.ndarray, before: np.ndarray, level: float) -> Estimate:
    """P now − P before, from equally many independent redraws."""
    order = np.random.default_rng(0).permutation(len(before))  # recorded values are sorted
    return paired_difference(now[order].astype(float), before.astype(float), level=level)


def _panels(steps: Sequence[int], differences: Sequence[np.ndarray], windows: Sequence[int], cosines: np.ndarray) -> list[Panel]:
    x = np.array([max(step, 10) for step in steps], dtype=float)
    low, middle, high = (np.array([np.quantile(delta, q) for delta in differences]) for q in QUANTILES)
    band = Series("Δ", "median, 5 % and 95 %", x, middle, low, high, kind="band")
    share = Series("rises", "P(Δ > 0)", x, np.array([(delta > 0).mean() for delta in differences]), kind="band")
    return [
        Panel("Loss difference of the next step", "step (0 drawn at 10)", "Δ = f(θ⁺) − f(θ)", (band,), log="x", level=0.0),
        Panel("Steps that raise the loss", "step (0 drawn at 10)", "share of redraws", (share,), log="x"),
        Panel(
            "Angle between consecutive steps",
            "step at the end of the window",
            "mean cosine",
            (Series("cos", "", np.array(windows, dtype=float), cosines, kind="band"),),
            log="x",
            level=0.0,
        ),
    ]
