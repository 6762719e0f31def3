"""Exit rates of a flat and a sharp well of equal depth, for noise shaped by the curvature and for isotropic noise.

Σ = C/B along the line, C = √(f″² + ε²) (|H|, smooth), ½(f″ + √(f″² + ε²)) + ε/2 ([H]⁺ + ε, smooth), or constant. The exponent is W = (2B/η)∫f′/C dx from
the minimum to the top. Means without Monte Carlo: SGD looked at iterates by Nyström's method, its first-order model watched continuously by the scale function.
An exit is the arrival at the other minimum (at the top itself the cubic term would cost a factor 1 + O(√T)).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from sgdsde.calculus import hessian
from sgdsde.exits import exit_times
from sgdsde.kernels import SGD
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.interval_exits import NAMES
from sgdsde.noises import Gaussian
from sgdsde.objective import Objective, identity_rows
from sgdsde.objectives import SharpFlatWells
from sgdsde.oracles import sde_exponent, sde_mean_exit, sgd_mean_exit
from sgdsde.plots.panel import Panel, Series
from sgdsde.regions import HalfSpace, Interval
from sgdsde.sdes import SME1
from sgdsde.stats import quantile_z
from sgdsde.types import Estimate

#: relative accuracy asked of the oracles: the noise nearly vanishes at the inflection points
TOLERANCE = 1e-4
PROCESSES = ("SME1", "SGD")

#: {flat, sharp, barrier, floor}
Wells = Mapping[str, float]


@dataclass(frozen=True)
class Form(ABC):
    """Σ(θ) = C(θ)/B."""

    objective: Objective
    batch: float
    floor: float

    @abstractmethod
    def __call__(self, theta: Tensor) -> Tensor:
        """Σ, [paths, dim, dim]."""


class Shaped(Form):
    """C from the Hessian's eigenvalues."""

    @abstractmethod
    def of(self, values: Tensor) -> Tensor:
        """C's eigenvalues from H's."""

    def __call__(self, theta: Tensor) -> Tensor:
        H = hessian(self.objective, theta)
        diagonal = H.diagonal(dim1=1, dim2=2)
        if torch.equal(H, torch.diag_embed(diagonal)):  # axes of H: nothing to decompose
            return torch.diag_embed(self.of(diagonal)) / self.batch
        values, vectors = torch.linalg.eigh(H)
        return (vectors * self.of(values)[:, None, :]) @ vectors.transpose(1, 2) / self.batch


class Absolute(Shaped):
    """√(H² + ε²)."""

    def of(self, values: Tensor) -> Tensor:
        return (values**2 + self.floor**2).sqrt()


class Positive(Shaped):
    """½(H + √(H² + ε²)) + ε/2."""

    def of(self, values: Tensor) -> Tensor:
        return (values + (values**2 + self.floor**2).sqrt() + self.floor) / 2


class Isotropic(Form):
    """C is the identity."""

    def __call__(self, theta: Tensor) -> Tensor:
        return identity_rows(theta).expand(theta.shape[0], -1, -1) / self.batch


FORMS: dict[str, Callable[[Objective, float, float], Form]] = {"absolute": Absolute, "positive": Positive, "isotropic": Isotropic}

LABELS = {"absolute": "|H| noise", "positive": "[H]⁺ + ε noise", "isotropic": "isotropic noise"}


@dataclass(frozen=True)
class Pair:
    """log Eτ from the flat and the sharp minimum, the exponents W, and the oracles' relative error."""

    logs: tuple[float, float]
    exponents: tuple[float, float]
    error: float

    @property
    def gap(self) -> float:
        """log(τ_flat/τ_sharp)."""
        return self.logs[0] - self.logs[1]


def pair_of(wells: Wells, form: str, process: str, eta: float, batch: float) -> Pair:
    """Both wells by the oracles."""
    objective = wells_of(wells)
    noise = Gaussian(objective, FORMS[form](objective, batch, wells["floor"]))
    sde = SME1(noise, eta)
    laws, exponents = [], []
    (flat,), (sharp,) = objective.facts.minima
    for start, region in ((flat, Interval(-math.inf, sharp)), (sharp, Interval(flat, math.inf))):
        if process == "SGD":
            laws.append(sgd_mean_exit(noise, eta, start, region, tolerance=TOLERANCE))
        else:
            laws.append(sde_mean_exit(sde, start, region, tolerance=TOLERANCE))
        exponents.append(sde_exponent(sde, start, 0.0))
    return Pair((math.log(laws[0].mean), math.log(laws[1].mean)), (exponents[0], exponents[1]), laws[0].error + laws[1].error + 1e-9)


def wells_of(wells: Wells, dim: int = 1) -> SharpFlatWells:
    """The objective of a case."""
    return SharpFlatWells(dim, flat=wells["flat"], sharp=wells["sharp"], barrier=wells["barrier"])


def flat_against_sharp(
    *, seed: int, level: float, cases: Mapping[str, Wells], forms: Sequence[str], processes: Mapping[str, tuple[float, Sequence[float]]]
) -> Measured:
    """For each case, form, process (with its η and batch sizes) and batch size: ``case/form/process/B/slope``, d log(τ_flat/τ_sharp)/d(B/η) from the batch
    size before; ``…/reversed``, of τ_sharp/τ_flat; ``…/relative``, the slope over the exponents' difference (for isotropic noise: over that of
    C = √(H² + ε²)); ``…/polynomial``, τ_flat/τ_sharp over √(H_s/H_f).
    """
    estimates: dict[str, Estimate] = {}
    series, notes = [], []
    for name, wells in cases.items():
        flat, sharp, _ = wells_of(wells).curvatures
        for form in forms:
            for process, (eta, batches) in processes.items():
                pairs = [pair_of(wells, form, process, eta, batch) for batch in batches]
                shaped = pairs if form != "isotropic" else [pair_of(wells, "absolute", "SME1", eta, batch) for batch in batches]
                power = [pair.gap - 0.5 * math.log(sharp / flat) for pair in pairs]
                for i, batch in enumerate(batches):
                    key, error = f"{name}/{form}/{process}/{batch:g}", pairs[i].error
                    estimates[f"{key}/polynomial"] = exactly(math.exp(power[i]), math.exp(power[i]) * error)
                    if i == 0:
                        continue
                    run, error = (batch - batches[i - 1]) / eta, error + pairs[i - 1].error
                    slope = (pairs[i].gap - pairs[i - 1].gap) / run
                    limit = (shaped[i].exponents[0] - shaped[i].exponents[1]) * eta / batch
                    estimates[f"{key}/slope"] = exactly(slope, error / run)
                    estimates[f"{key}/relative"] = exactly(slope / limit, error / run / abs(limit))
                    estimates[f"{key}/reversed"] = exactly(-slope, error / run)
                notes.append(
                    f"{name}, {form}, {process}: log(τ_flat/τ_sharp) "
                    + ", ".join(f"{pair.gap:.3f} at B = {b:g}" for pair, b in zip(pairs, batches, strict=True))
                )
                y = np.array([pair.gap for pair in pairs])
                series.append(Series(f"{form} {process}", f"{name}: {LABELS[form]}, {NAMES[process]}", np.asarray(batches) / eta, y, kind="band"))
    panel = Panel("Times between two wells of equal depth", "B/η", "log mean time, flat / sharp", tuple(series[: 2 * len(forms)]))
    return Measured(estimates, panels=(panel,), notes=tuple(notes), conventions="1-D wells of equal depth, exit at the other minimum, Σ = C/B, float64")


def power_of_sharpness(*, seed: int, level: float, ratios: Sequence[float], wells: Wells, form: str, process: str, eta: float, batch: float) -> Measured:
    """``ratio``: d log(τ_flat/τ_sharp)/d log H_sharp between this ratio of curvatures and the one before, H_flat fixed."""
    estimates: dict[str, Estimate] = {}
    found = []
    for ratio in ratios:
        case = dict(wells) | {"sharp": ratio * wells["flat"]}
        found.append((math.log(wells_of(case).curvatures[1]), pair_of(case, form, process, eta, batch)))
    for ratio, ((x0, a), (x1, b)) in zip(ratios[1:], pairwise(found), strict=True):
        estimates[f"{ratio:g}"] = exactly((b.gap - a.gap) / (x1 - x0), (a.error + b.error) / (x1 - x0))
    return Measured(estimates, conventions="1-D wells of equal depth, exit at the other minimum, float64")


def published_exponent(*, seed: int, level: float, cases: Mapping[str, Wells], floors: Sequence[float]) -> Measured:
    """``case/ε``: W·η/(2BΔL) for C = √(H² + ε²) out of the flat well, over the larger of the published bounds 1/H_minimum and 1/|H_top|;
    ``case/ε/halved``: the same for C = H_minimum/2, half the noise that the bounds speak of.
    """
    estimates: dict[str, Estimate] = {}
    for name, wells in cases.items():
        objective = wells_of(wells)
        flat, _, top = objective.curvatures
        bound = max(1 / flat, 1 / top)
        (start,) = objective.facts.minima[0]
        for floor in floors:
            noise = Gaussian(objective, Absolute(objective, 1.0, floor * flat))
            value = sde_exponent(SME1(noise, 1.0), start, 0.0) / (2 * objective.height)
            estimates[f"{name}/{floor:g}"] = exactly(value / bound, 1e-6)
            steady = sde_exponent(SME1(Gaussian(objective, flat / 2), 1.0), start, 0.0) / (2 * objective.height)
            estimates[f"{name}/{floor:g}/halved"] = exactly(steady / bound, 1e-9)
    return Measured(estimates, conventions="large-deviation exponent of SME-1 from the minimum to the top, float64")


def in_the_plane(*, seed: int, level: float, wells: Wells, forms: Mapping[str, float], eta: float, paths: int) -> Measured:
    """``form``: τ_flat/τ_sharp of SGD in the plane by paths (exit rates), Σ = C(H)/B with the whole Hessian, over the chain's exact one on the line."""
    estimates: dict[str, Estimate] = {}
    notes = []
    objective = wells_of(wells, 2)
    for number, (form, batch) in enumerate(forms.items()):
        exact = pair_of(wells, form, "SGD", eta, batch)
        kernel = SGD(Gaussian(objective, FORMS[form](objective, batch, wells["floor"])), eta)
        rates = []
        for side, (start, normal) in enumerate(zip(objective.facts.minima, ([1.0, 0.0], [-1.0, 0.0]), strict=True)):
            border = abs(objective.facts.minima[1 - side][0])
            horizon = math.exp(exact.logs[side])
            run = exit_times(kernel, start, region=HalfSpace(normal, border), horizon=horizon, paths=paths, seed=seed + 2 * number + side, progress=False)
            rates.append(run.rate(level=level))
            notes.append(f"{form}, {'sharp' if side else 'flat'}: rate {rates[-1]}")
        value = rates[1].value / rates[0].value / math.exp(exact.gap)
        spread = math.hypot(*(rate.stderr / rate.value for rate in rates))
        factor = math.exp(quantile_z(level) * spread)
        estimates[form] = Estimate(value, value * spread, min(rate.n for rate in rates), value / factor, value * factor)
    return Measured(estimates, notes=tuple(notes), conventions=f"SGD, η = {eta:g}, plane, half-plane up to the other minimum, looked at iterates, float64")
