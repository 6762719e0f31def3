"""How often one step raises the loss far above its mean, against two explicit large-deviation bounds, along training.

At each checkpoint thousands of steps are drawn anew: Δ = f(θ − p∘ĝ) − f(θ) with p = η for all parameters or a diagonal preconditioner p ∝ 1/(√Mᵢᵢ + ε)
with the same mean, M the second moment of per-sample gradients at that θ. The bounds are of :mod:`sgdsde.bounds.step_tails`, with H̄ = H₊.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import scipy.stats
import torch
from torch import Tensor

from sgdsde.bounds import StepTails, step_tails
from sgdsde.data import digits
from sgdsde.measurement import Measured
from sgdsde.measurements.hessian_network import BATCH, RATE, Dense, perceptron, start
from sgdsde.plots.panel import Panel, Series
from sgdsde.rng import stream
from sgdsde.stats import proportion, quantile_z
from sgdsde.training import SGD, train
from sgdsde.types import Estimate

KINDS = ("fixed", "preconditioned")
#: what the controls get wrong: the batch is taken for four times as large, or for all samples
WRONG = 4
#: ε of the preconditioner over the largest √Mᵢᵢ
DAMPING = 1e-3


def hessian_large_deviations(
    *,
    seed: int,
    level: float,
    starts: Sequence[int],
    steps: Sequence[int],
    deltas: Sequence[float],
    redraws: int,
    samples: int,
    hidden: Sequence[int],
    noises: Sequence[str],
) -> Measured:
    """For each start, step, kind of steps, noise and δ: ``…/sub-Gaussian`` and ``…/bounded`` are (bound's threshold − E)/(measured quantile − E), with E the
    second-order mean of Δ: the looseness, at least 1 where the bound holds. ``… , wrong batch`` the same with a wrong batch size (four times as large for the
    first bound, all samples for the second), of the first start's fixed steps at the last step; ``…/frequency`` how often Δ is above the sub-Gaussian
    threshold, over δ; ``…/rises`` P(Δ > 0).
    """
    network = perceptron(digits(count=samples), hidden)
    estimates: dict[str, Estimate] = {}
    notes, panels = [], []
    for which, number in enumerate(starts):
        run = train(network, start(network, number), optimiser=SGD(RATE), batch_size=BATCH, steps=steps[-1], save=steps, seed=number)
        for step, states in zip(run.steps, run.states, strict=True):
            point = Redraws(Dense(network, states[0]))
            for kind in KINDS:
                p = point.steps(kind)
                tails = step_tails(point.dense.gradients, point.positive, p, batch_size=BATCH)
                control = which == 0 and step == steps[-1] and kind == KINDS[0]
                longer, whole = (step_tails(point.dense.gradients, point.positive, p, batch_size=B) if control else tails for B in (WRONG * BATCH, network.n))
                mean, share = point.mean(p), (network.n - BATCH) / ((network.n - 1) * BATCH)
                for noise in noises:
                    delta = point.differences(p, noise, redraws, stream(number, f"redraws {kind} {noise}", step))
                    key = f"start {which + 1}/{step}/{kind}/{noise}"
                    estimates[f"{key}/rises"] = proportion(int((delta > 0).sum()), redraws, level=level)
                    for one in deltas:
                        quantile = upper_quantile(delta, one, level)
                        estimates |= {
                            f"{key}/{one:g}/sub-Gaussian": looseness(tails.subgaussian(one), mean, quantile),
                            f"{key}/{one:g}/bounded": looseness(tails.bounded(one), mean, quantile),
                            f"{key}/{one:g}/frequency": _over(proportion(int((delta >= tails.subgaussian(one)).sum()), redraws, level=level), one),
                        }
                        if control:
                            estimates[f"{key}/{one:g}/sub-Gaussian, wrong batch"] = looseness(longer.subgaussian(one), mean, quantile)
                            estimates[f"{key}/{one:g}/bounded, wrong batch"] = looseness(whole.bounded(one), mean, quantile)
                    notes.append(
                        f"{key}: loss {point.dense.loss:.3g}, mean Δ {delta.mean():.3g} (second order {mean:.3g}), spread {delta.std():.3g}, P(Δ>0) "
                        f"{(delta > 0).mean():.3f}; linear part {share * tails.linear_variance / max(tails.spread, 1e-300):.2f} of the bound's variance"
                    )
                    if which == 0 and noise == "minibatch" and step in (steps[0], steps[-1]):
                        panels.append(_panel(delta, mean, tails, f"{kind} steps, checkpoint {step:,}"))
    words = f"digits in [0, 1], n = {samples}, ReLU 64-{'-'.join(map(str, hidden))}-10, cross-entropy, SGD η = {RATE}, B = {BATCH}, float64"
    return Measured(estimates, panels=tuple(panels), notes=tuple(notes), conventions=f"{words}; {redraws} redraws, batches without replacement; H̄ = H₊")


class Redraws:
    """One checkpoint: dense matrices, the kinds of steps, and steps drawn anew."""

    def __init__(self, dense: Dense) -> None:
        self.dense = dense

    @cached_property
    def positive(self) -> Tensor:
        """H₊, the positive part of the Hessian."""
        values, vectors = torch.linalg.eigh(self.dense.H)
        return (vectors * values.clamp(min=0)) @ vectors.T

    def steps(self, kind: str) -> Tensor:
        """p ``[dim]``: η everywhere, or η·dim·q/Σq with q = 1/(√Mᵢᵢ + ε)."""
        flat = torch.full_like(self.dense.mean, RATE)
        if kind == "fixed":
            return flat
        size = self.dense.M.diagonal().sqrt()
        q = 1 / (size + DAMPING * size.max())
        return flat * q * len(q) / q.sum()

    def mean(self, p: Tensor) -> float:
        """E Δ to second order, batches without replacement."""
        H, mean, n = self.dense.H, self.dense.mean, self.dense.network.n
        A = p[:, None] * H * p
        aligned = float((A * self.dense.Sigma).sum()) * (n - BATCH) / ((n - 1) * BATCH)
        return float(-(p * mean) @ mean + 0.5 * mean @ A @ mean) + 0.5 * aligned

    def differences(self, p: Tensor, noise: str, redraws: int, generator: torch.Generator) -> np.ndarray:
        """Δ of independent steps with ``minibatch`` noise, or with ``Gaussian`` noise of its covariance."""
        g, mean, n = self.dense.gradients, self.dense.mean, self.dense.network.n
        theta, network = self.dense.theta[None], self.dense.network
        found = []
        for start_at in range(0, redraws, 500):
            count = min(500, redraws - start_at)
            if noise == "Gaussian":
                z = torch.randn(count, n, generator=generator, dtype=g.dtype)
                weights = (z - z.mean(1, keepdim=True)) * math.sqrt((n - BATCH) / ((n - 1) * n * BATCH))
                drawn = mean + weights @ g
            else:
                rows = torch.rand(count, n, generator=generator).argsort(1)[:, :BATCH]
                drawn = torch.zeros(count, n, dtype=g.dtype).scatter_(1, rows, 1 / BATCH) @ g
            found.append(network.loss(theta - p * drawn) - network.loss(theta))
        return torch.cat(found).numpy()


def upper_quantile(values: np.ndarray, delta: float, level: float) -> Estimate:
    """The (1 − δ)-quantile with its distribution-free interval between order statistics."""
    ordered, n = np.sort(values), len(values)
    tail = (1 - level) / 2
    low, high = (int(scipy.stats.binom.ppf(share, n, 1 - delta)) for share in (tail, 1 - tail))
    bottom, top = ordered[max(low - 1, 0)], ordered[min(high, n - 1)]
    return Estimate(float(np.quantile(ordered, 1 - delta)), float(top - bottom) / (2 * quantile_z((1 + level) / 2)), n, float(bottom), float(top))


def looseness(threshold: float, mean: float, quantile: Estimate) -> Estimate:
    """(threshold − mean)/(quantile − mean), infinite where the quantile's interval reaches the mean."""
    value, low, high = ((threshold - mean) / (float(at) - mean) if float(at) > mean else math.inf for at in (quantile.value, quantile.high, quantile.low))
    ends = sorted((low, high))
    return Estimate(value, abs(value) * float(quantile.stderr) / max(float(quantile.value) - mean, 1e-300), quantile.n, *ends)


def _over(estimate: Estimate, delta: float) -> Estimate:
    return Estimate(float(estimate.value) / delta, float(estimate.stderr) / delta, estimate.n, float(estimate.low) / delta, float(estimate.high) / delta)


def _panel(delta: np.ndarray, mean: float, tails: StepTails, title: str) -> Panel:
    """P(Δ ≥ height) against height in spreads above the mean: measured, and both bounds."""
    spread = float(delta.std())
    ordered = np.sort(delta)[::-1]
    share = np.arange(1, len(delta) + 1) / len(delta)
    probabilities = np.geomspace(1 / len(delta), 0.99, 60)
    series = [Series("measured", "SGD, redrawn steps", (ordered - mean) / spread, share, kind="steps")]
    for name, label, bound in (("sub-Gaussian", "sub-Gaussian bound", tails.subgaussian), ("bounded", "bound for any minibatch", tails.bounded)):
        series.append(Series(name, label, np.array([(bound(float(one)) - mean) / spread for one in probabilities]), probabilities))
    reach = max(float((ordered[0] - mean) / spread), 3.0)
    return Panel(title, "(Δ − E Δ)/spread", "P(Δ ≥ height)", tuple(series), log="y", x_range=(-1.0, 1.6 * reach), y_range=(0.5 / len(delta), 1.2))
