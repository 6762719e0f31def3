"""λmax and the share of eigenvalues near zero of a population of trained networks, between settings of width, batch size and labels, start by start.

At equal training loss, on H. "Near zero" means |λ| below 1e-3 of λmax; the share comes from stochastic Lanczos quadrature, whose error is part of the scatter
between starts. Ratios of λmax are geometric means over starts (the typical network's ratio), shares are compared by their mean difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from sgdsde.measurement import Measured
from sgdsde.measurements.hessian_network import RATE
from sgdsde.measurements.hessian_outliers import BAND, said
from sgdsde.measurements.many_spectra import Spectra, many_spectra
from sgdsde.measurements.many_starts import Population, batched, population
from sgdsde.plots.panel import Panel, Series
from sgdsde.rng import stream
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate

NEAR_ZERO = 1e-3
#: Lanczos steps and random vectors of each network; float32 resolves NEAR_ZERO by far
STEPS, VECTORS = 64, 2
#: eigenvalues that the figures show: those of which Lanczos has converged
SHOWN = 12
CONVENTIONS = f"digits, ReLU, cross-entropy, SGD η = {RATE} by epochs, float32; H by Lanczos, {VECTORS} × {STEPS} steps a network"


def hessian_sizes(*, seed: int, level: float, runs: Mapping[str, Mapping[str, Any]], ratios: Mapping[str, tuple[str, str]], starts: int) -> Measured:
    """For each run (see :func:`~sgdsde.measurements.many_starts.population`): ``run/λmax`` (geometric mean), ``run/near zero`` (mean); for each pair (a, b)
    of ``ratios``: ``name/λmax`` of b over a (geometric mean of the starts' ratios), ``name/near zero`` of b minus a (mean of the starts' differences).

    Raises:
        DomainError: a start does not reach its loss.
    """
    estimates: dict[str, Estimate] = {}
    top: dict[str, np.ndarray] = {}
    near: dict[str, np.ndarray] = {}
    notes, series = [], []
    for name, run in runs.items():
        people = population(run, starts=starts, seed=seed)
        found = spectra_of_H(people, seed)
        shown = found.top(SHOWN).double().numpy()
        top[name], near[name] = shown[:, 0], found.share_near_zero(NEAR_ZERO).double().numpy()
        estimates[f"{name}/λmax"] = geometric_mean(top[name], level=level)
        estimates[f"{name}/near zero"] = mean_estimate(near[name], level=level)
        notes.append(
            f"{name}: {people.network.dim} parameters, n = {people.n}, {said(people.steps)} steps; λmax {estimates[f'{name}/λmax'].value:.3g} (spread over "
            f"starts {np.log(top[name]).std(ddof=1):.1%}), near zero {near[name].mean():.3f} (spread {near[name].std(ddof=1):.3f})"
        )
        low, middle, high = np.quantile(shown.clip(min=1e-12), (BAND[0], 0.5, BAND[1]), axis=0)
        series.append(Series(name, name, np.arange(1.0, SHOWN + 1), middle, low, high, kind="band"))
    for name, (a, b) in ratios.items():
        estimates[f"{name}/λmax"] = geometric_mean(top[b] / top[a], level=level)
        estimates[f"{name}/near zero"] = mean_estimate(near[b] - near[a], level=level)
    note = f"median and {BAND[0]:.0%}–{BAND[1]:.0%} of {starts} starts"
    panel = Panel("Largest eigenvalues of H", "rank", "eigenvalue", tuple(series), log="y", note=note)
    return Measured(estimates, panels=(panel,), notes=tuple(notes), conventions=CONVENTIONS)


def spectra_of_H(people: Population, seed: int) -> Spectra:
    """Lanczos on each start's Hessian from random vectors."""
    starts, dim = people.theta.shape
    probes = torch.randn(starts, VECTORS, dim, generator=stream(seed, "sizes"), dtype=people.theta.dtype)
    return many_spectra(batched(people.network).hvp_at(people.theta, people.rows), probes, STEPS)


def geometric_mean(values: np.ndarray, *, level: float) -> Estimate:
    """exp of the mean of logarithms, with Student's interval on the log scale."""
    log = mean_estimate(np.log(values), level=level)
    value = float(np.exp(log.value))
    return Estimate(value, value * float(log.stderr), log.n, float(np.exp(log.low)), float(np.exp(log.high)))
