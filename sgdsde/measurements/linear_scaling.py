"""SGD at (κη, κB) against SGD at (η, B) in equilibrium, on a scale-invariant network with weight decay, and SVAG beside it.

Two processes on L (decay λ included) are C-close if their R = E‖θ‖², step·N, N = E tr Σ, and G = E‖∇L‖² differ by factors within [1/C, C] (Li, Malladi, Arora
2102.12470, section 5); C* is the smallest such C. Since ⟨θ, ∇L⟩ = λ‖θ‖² there, equilibrium means 2λR = step·(G + N). Of two such processes whose steps have
the ratio κ, with the same step·Σ(θ), G and N those of the larger step: κ(G + N) = (R/R₁)(G₁ + N₁) ≤ C²(G + κN), so

    C*² ≥ c²(κ) := κ(G + N)/(G + κN),

which rises to 1 + G/N as κ → ∞ (the SDE). That is the condition N/G ≥ (1 − C²/κ)/(C² − 1), or η ≤ (C² − 1)N̄/Ḡ for the SDE. SVAG(l) at (η, B) has SGD's
balance with step η/l and noise lN, so it takes the part of the smaller step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde.calculus import sample_grads
from sgdsde.kernels import SGD, SVAG
from sgdsde.measurement import Measured
from sgdsde.measurements.digits_network import digits_network, start_at
from sgdsde.noises import Minibatch
from sgdsde.objectives import ScaleInvariant, WeightDecay
from sgdsde.plots.panel import Panel, Series
from sgdsde.simulate import simulate
from sgdsde.stats import quantile_z
from sgdsde.types import Estimate

QUANTITIES = ("R", "G", "N")
#: the C of the paper's figures
CLOSE = 2**0.5
#: in units of 1/λ of SDE time: what is left out, and what is averaged; looks at the latter
BURN_IN, AVERAGED, LOOKS = 5.0, 2.0, 8
#: from this κ on runs of SGD are so short that they afford this many times the paths
SHORT, MORE = 16, 4
#: ‖θ‖ at the start, several times that in equilibrium
START = 8.0


def linear_scaling(
    *,
    seed: int,
    level: float,
    settings: Mapping[str, Mapping[str, Any]],
    kappas: Sequence[int],
    amplified: Sequence[int],
    amplification: int,
    samples: int,
    paths: int,
) -> Measured:
    """For each setting ``s`` (``eta``, ``strength`` λ, ``radius``, ``training``) and batches of κ: ``s/κ/balance``, 2λR/(step·(G + N)); ``s/κ/close``, C*;
    ``s/κ/excess``, C*²/c²; ``s/κ/early``, that after κmax steps of η; ``s/κ/gradient over noise``; ``s/κ/condition``, G/N over the most that C = √2 allows;
    ``s/κ/SVAG``, C* of SVAG at κ against SGD at 1; ``s/κ/SVAG excess``, C*²/c²(l) of SGD against SVAG, both at κ; ``s/κ/holds`` and ``s/κ/fails``,
    above 1 where the condition holds and C* > √2, and below 1 where it fails and C* < √2.
    """
    estimates: dict[str, Estimate] = {}
    notes, curves = [], []
    for offset, (name, setting) in enumerate(settings.items()):
        run = _Setting(setting, samples, paths, max(kappas), seed % 10**9 + 1000 * offset)
        base, first = run.equilibrium(1, 1)
        z = quantile_z(level)
        wide = quantile_z(1 - (1 - level) / len(QUANTITIES))
        verdicts: dict[int, tuple[Estimate, Estimate]] = {}
        for kappa in kappas:
            late, early = run.equilibrium(kappa, 1)
            key = f"{name}/{kappa}"
            estimates[f"{key}/balance"] = late.balance(run.strength, z)
            estimates[f"{key}/excess"] = excess(late, base, wide)
            estimates[f"{key}/early"] = excess(early, first, wide)
            estimates[f"{key}/close"] = closeness(late, base, wide)
            estimates[f"{key}/gradient over noise"] = late.gradient_over_noise(z)
            estimates[f"{key}/condition"] = late.condition(kappa, z)
            for word, pick in (("holds", min), ("fails", max)):
                estimates[f"{key}/{word}"] = _either(estimates[f"{key}/close"], estimates[f"{key}/condition"], pick)
            verdicts[kappa] = estimates[f"{key}/close"], estimates[f"{key}/condition"]
            if kappa in amplified:
                svag, _ = run.equilibrium(kappa, amplification)
                estimates[f"{key}/SVAG"] = closeness(svag, base, wide)
                estimates[f"{key}/SVAG excess"] = excess(late, svag, wide)
                estimates[f"{key}/SVAG balance"] = svag.balance(run.strength, z)
        ratios = ", ".join(f"{estimates[f'{name}/{kappa}/gradient over noise'].value:.3g} at κ = {kappa}" for kappa in kappas)
        notes.append(f"{name}: G/N = {ratios}")
        curves.append((name, verdicts, {k: estimates[f"{name}/{k}/excess"] for k in kappas}))
    return Measured(estimates, panels=_panels(curves, estimates, amplified), notes=tuple(notes), conventions=run.conventions)


@dataclass(frozen=True)
class Equilibrium:
    """R, G, step·N of a process and the covariance of these means, its ``step`` and the number of paths."""

    value: np.ndarray
    covariance: np.ndarray
    step: float
    n: int

    def balance(self, strength: float, z: float) -> Estimate:
        """2λR/(step·(G + N)), 1 in equilibrium."""
        R, G, noise = self.value
        total = self.step * G + noise
        gradient = np.array([1 / R, -self.step / total, -1 / total])
        return _exponential(np.log(2 * strength * R / total), gradient @ self.covariance @ gradient, z, self.n)

    def gradient_over_noise(self, z: float) -> Estimate:
        """G/N."""
        _, G, noise = self.value
        gradient = np.array([0.0, 1 / G, -1 / noise])
        return _exponential(np.log(self.step * G / noise), gradient @ self.covariance @ gradient, z, self.n)

    def condition(self, kappa: int, z: float) -> Estimate:
        """(G/N)·(1 − C²/κ)/(C² − 1) for C = √2: at most 1 where the condition holds."""
        factor = max(1 - CLOSE**2 / kappa, 0.0) / (CLOSE**2 - 1)
        e = self.gradient_over_noise(z)
        return Estimate(factor * e.value, factor * e.stderr, e.n, factor * e.low, factor * e.high)


def closeness(a: Equilibrium, b: Equilibrium, z: float) -> Estimate:
    """C*: the largest of the factors by which R, G and step·N differ; the interval holds for all three at once where z is wide enough for three."""
    return _largest(a, b, z, power=1.0, offset=0.0, slope=np.zeros(3))


def excess(large: Equilibrium, small: Equilibrium, z: float) -> Estimate:
    """C*²/c²(κ), κ the ratio of the steps."""
    _, G, noise = large.value
    N, kappa = noise / large.step, large.step / small.step
    bound = kappa * (G + N) / (G + kappa * N)
    slope = np.array([0.0, 1 / (G + N) - 1 / (G + kappa * N), (1 / (G + N) - kappa / (G + kappa * N)) / large.step])
    return _largest(large, small, z, power=2.0, offset=-float(np.log(bound)), slope=-slope)


def _largest(a: Equilibrium, b: Equilibrium, z: float, *, power: float, offset: float, slope: np.ndarray) -> Estimate:
    """exp of the largest of power·|log aⱼ/bⱼ| + offset; delta method, ``slope`` the gradient of the offset in a."""
    ratios = np.log(a.value / b.value)
    found = []
    for j, ratio in enumerate(ratios):
        unit = power * np.sign(ratio) * np.eye(3)[j]
        left, right = unit / a.value + slope, unit / b.value
        found.append((power * abs(ratio) + offset, float(left @ a.covariance @ left + right @ b.covariance @ right)))
    value, variance = max(found)
    low, high = (max(v + sign * z * s**0.5 for v, s in found) for sign in (-1, 1))
    if power == 1.0:
        low = max(low, 0.0)
    size = float(np.exp(value))
    return Estimate(size, size * variance**0.5, min(a.n, b.n), float(np.exp(low)), float(np.exp(high)))


def _exponential(value: float, variance: float, z: float, n: int) -> Estimate:
    size, spread = float(np.exp(value)), float(np.sqrt(variance))
    return Estimate(size, size * spread, n, size * float(np.exp(-z * spread)), size * float(np.exp(z * spread)))


def _either(close: Estimate, condition: Estimate, pick: Callable[[float, float], float]) -> Estimate:
    """``pick`` of C*/√2 and what the condition leaves, 1/condition: their minimum is above 1 where the condition holds and the processes are not close, their
    maximum below 1 where it fails and they are.
    """
    value, low, high = (pick(a / CLOSE, 1 / b) for a, b in ((close.value, condition.value), (close.low, condition.high), (close.high, condition.low)))
    return Estimate(value, max(float(close.stderr) / CLOSE, float(condition.stderr) / float(condition.value) ** 2), close.n, low, high)


class _Setting:
    """One network, decay and base step size."""

    def __init__(self, setting: Mapping[str, Any], samples: int, paths: int, longest: int, seed: int) -> None:
        self.eta, self.strength, self.paths, self.longest, self.seed = setting["eta"], setting["strength"], paths, longest, seed
        self.objective = WeightDecay(ScaleInvariant(digits_network(samples, ridge=0.0), setting["radius"]), self.strength)
        anchor = start_at(digits_network(samples), "mid-training", setting["training"])
        self.start = anchor * (START / anchor.norm())
        self.conventions = str(SGD(Minibatch(self.objective, 1), self.eta).conventions())

    def equilibrium(self, kappa: int, amplification: int) -> tuple[Equilibrium, Equilibrium]:
        """(in equilibrium, after κmax·η of SDE time) of SGD at (κη, κB), or of SVAG there."""
        noise, eta = Minibatch(self.objective, kappa), kappa * self.eta
        kernel = SGD(noise, eta) if amplification == 1 else SVAG(noise, eta, amplification)
        burn, gap = (max(1, round(time / (self.strength * eta))) for time in (BURN_IN, AVERAGED / LOOKS))
        ticks = [self.longest // kappa, *(burn + gap * i for i in range(LOOKS))]
        paths = self.paths * (MORE if kappa >= SHORT and amplification == 1 else 1)
        seed = 100 * self.seed + 10 * kappa.bit_length() + (amplification > 1)
        run = simulate(kernel, self.start, horizon=ticks[-1] * eta, save=[k * eta for k in ticks], paths=paths, seed=seed, progress=False)
        table = torch.stack([self._terms(points, kappa) for points in run.states])  # [times, paths, 3]
        step = eta / amplification
        return _of(table[1:].mean(0), step, amplification), _of(table[0], step, amplification)

    def _terms(self, theta: Tensor, batch: int) -> Tensor:
        slopes = sample_grads(self.objective, theta)
        mean = (slopes.mean(1) ** 2).sum(1)
        return torch.stack([(theta**2).sum(1), mean, ((slopes**2).sum(2).mean(1) - mean) / batch], 1)


def _of(rows: Tensor, step: float, amplification: int) -> Equilibrium:
    """From R, G, N of each path; SVAG's noise is l times that of its stochastic gradients."""
    table = rows.numpy() * np.array([1.0, 1.0, step * amplification])
    return Equilibrium(table.mean(0), np.cov(table, rowvar=False) / len(table), step, len(table))


def _panels(
    curves: Sequence[tuple[str, Mapping[int, tuple[Estimate, Estimate]], Mapping[int, Estimate]]], estimates: Mapping[str, Estimate], amplified: Sequence[int]
) -> tuple[Panel, ...]:
    """C* against κ with what the condition allows, for the first setting."""
    name, verdicts, over = curves[0]
    kappas = np.array(list(verdicts), dtype=float)
    close = [e for e, _ in verdicts.values()]
    lines = [_series("SGD", "SGD at (κη, κB)", kappas, close)]
    least = np.array([(e.value**2 / over[k].value) ** 0.5 for k, (e, _) in verdicts.items()])
    lines.append(Series("SME1", "least C by the condition", kappas, least))
    chosen = np.array([k for k in verdicts if k in amplified], dtype=float)
    if len(chosen):
        lines.append(_series("SVAG", "SVAG at (κη, κB)", chosen, [estimates[f"{name}/{int(k)}/SVAG"] for k in chosen]))
    return (Panel("How far SGD at (κη, κB) is from SGD at (η, B)", "κ", "C* (1: equal)", tuple(lines), log="xy", level=CLOSE),)


def _series(look: str, label: str, x: np.ndarray, found: Sequence[Estimate]) -> Series:
    value, low, high = (np.array([getattr(e, part) for e in found], dtype=float) for part in ("value", "low", "high"))
    return Series(look, label, x, value, low, high, "band")
