"""How many outliers the spectra of a population of trained networks have: the share of starts in which a stated rule counts what a statement says.

Counted on G at equal training loss: cut at the largest ratio of neighbouring eigenvalues among the first thirty. The first :data:`TOP` come from
:data:`STEPS` steps of batched Lanczos in float32: the first twenty to a few 1e-5 of themselves, the last where the bulk is dense to some percent, far less
than the ratios that cut (checked against dense matrices by the tests).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from sgdsde.curvature import RatioRule
from sgdsde.measurement import Measured
from sgdsde.measurements.hessian_network import RATE
from sgdsde.measurements.many_spectra import many_spectra
from sgdsde.measurements.many_starts import Population, batched, population
from sgdsde.measurements.positivity import share
from sgdsde.plots.panel import Panel, Series
from sgdsde.rng import stream
from sgdsde.types import Estimate

#: the rule looks at ratios among so many eigenvalues and the next one
TOP, STEPS = 31, 64
RULE = RatioRule(most=TOP - 1)
#: eigenvalues that the figures show, and the part of the starts that their bands hold
SHOWN, BAND = 25, (0.1, 0.9)
CONVENTIONS = f"ReLU unless said, cross-entropy, SGD η = {RATE} by epochs, float32, eigenvalues by Lanczos"


def hessian_outliers(*, seed: int, level: float, runs: Mapping[str, Mapping[str, Any]]) -> Measured:
    """For each run (``starts``; see :func:`~sgdsde.measurements.many_starts.population`): ``run/c−1 or c``, the share of starts whose count is one or the
    other.

    Raises:
        DomainError: a start does not reach its loss.
    """
    estimates: dict[str, Estimate] = {}
    notes, series = [], []
    for name, run in runs.items():
        starts = run["starts"]
        people = population(run, starts=starts, seed=seed)
        values = top_of_G(people, seed)
        counts = np.array([RULE.split(row).count for row in values])
        right = np.isin(counts, (run["classes"] - 1, run["classes"]))
        estimates[f"{name}/c−1 or c"] = share(int(right.sum()), starts, level=level)
        table = ", ".join(f"{count}: {times}" for count, times in zip(*np.unique(counts, return_counts=True), strict=True))
        notes.append(f"{name}: counts of {starts} starts ({table}); {people.network.dim} parameters, n = {people.n}, {said(people.steps)} steps")
        low, middle, high = np.quantile(values[:, :SHOWN].clip(min=1e-12), (BAND[0], 0.5, BAND[1]), axis=0)
        series.append(Series(name, name, np.arange(1.0, SHOWN + 1), middle, low, high, kind="band"))
    note = f"medians and {BAND[0]:.0%}–{BAND[1]:.0%} of starts"
    panel = Panel("Largest eigenvalues of G", "rank", "eigenvalue", tuple(series), log="y", note=note)
    return Measured(estimates, panels=(panel,), notes=(str(RULE), *notes), conventions=CONVENTIONS)


def top_of_G(people: Population, seed: int) -> np.ndarray:
    """The largest eigenvalues of each start's Gauss–Newton matrix, ``[starts, TOP]``."""
    product = batched(people.network).gauss_newton_at(people.theta, people.rows)
    probes = torch.randn(*people.theta.shape, generator=stream(seed, "outliers"), dtype=people.theta.dtype)[:, None]
    return np.asarray(many_spectra(product, probes, STEPS).top(TOP).double().numpy())


def said(steps: torch.Tensor) -> str:
    """The range of the steps that starts took."""
    return f"{int(steps.min()):,}–{int(steps.max()):,}"
