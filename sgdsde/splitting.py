"""Rare exits by fixed-effort multilevel splitting: mean exit times that no direct simulation reaches, with an interval.

A path that is put back to its start whenever it leaves has a stationary exit flux of exactly 1/Eτ (renewal theorem). That flux is the flux of paths that
come from home A = {score ≤ z} and pass a first level, times the chance that such a path leaves before it is home again; the chance is a product
over levels, each estimated from ``particles`` trials started where the level before was passed (Allen, Frenkel, ten Wolde, J. Chem. Phys. 124, 2006;
Garvels 2000). Levels are passed within ticks too (:mod:`splitting_clock`), exits count at whole ticks. Unbiased for the flux whatever the score; a poor
score costs variance, which independent replicas measure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.stats
import torch
from torch import Generator, Tensor

from sgdsde.ensemble import run_jobs
from sgdsde.kernel import Kernel
from sgdsde.kernels.shuffled_sgd import ShuffledSGD
from sgdsde.loop import one_thread
from sgdsde.region import Bordered, Region
from sgdsde.regions import as_region
from sgdsde.rng import stream
from sgdsde.splitting_pilot import Ground, Plan, explore
from sgdsde.splitting_trials import run_home, run_trials
from sgdsde.stats import LEVEL
from sgdsde.types import Estimate, InputError, as_points, warn

Score = Callable[[Tensor], Tensor]


def rare_exit(
    kernel: Kernel,
    theta0: Any,
    *,
    region: Any,
    seed: int,
    score: Score | None = None,
    particles: int = 1024,
    replicas: int = 16,
    executor: Executor | None = None,
) -> RareExit:
    """Mean exit time from a metastable region, watched at iterates.

    Args:
        kernel: SGD or an integrator; its law must not depend on the time (no epoch shuffling).
        theta0: one start point inside, at home in the region (a minimum).
        region: a Region, or a function true inside.
        score: ``[P, dim]`` → ``[P]``, growing on the way out; default: minus the distance to the nearest face.
        particles: trials a level in each replica.
        replicas: independent repetitions, ≥ 8; the interval comes from their spread.

    Raises:
        InputError: wrong shapes, a start outside, a region without border and no score, or a kernel that depends on time.
        DomainError: the model does not exist on the way, or diverges inside the region.
    """
    region = as_region(region)
    score = _checked_score(region, score)
    if isinstance(kernel, ShuffledSGD):
        raise InputError("ShuffledSGD has a position in the epoch, so its paths cannot be restarted from a point; splitting needs a time-homogeneous kernel.")
    if particles < 16 or replicas < 8:
        raise InputError(f"particles = {particles}, replicas = {replicas}; wanted at least 16 and 8.")
    start = as_points(theta0, kernel.start_dim, name="theta0")
    if start.shape[0] != 1 or kernel.start_dim != kernel.dim:
        raise InputError(f"theta0 has shape {tuple(start.shape)}; splitting takes one start point of a single kernel.")
    if not bool(region.inside(start).all()):
        raise InputError("theta0 lies outside the region; start inside.")
    kernel.check(start)
    with one_thread(), torch.no_grad():
        plan = explore(Ground(kernel, region, score, start), particles, stream(seed, "rare_exit pilot", 0, start.device))
    jobs = [_Job(Ground(kernel, region, score, start), plan, particles, seed, index) for index in range(replicas)]
    runs = run_jobs(_replica, jobs, executor, lambda job, run: None)
    fluxes = np.array([run.flux for run in runs])
    if (fluxes == 0).any():
        lost = int((fluxes == 0).sum())
        warn(f"{lost} of {replicas} replicas found no way out: the interval is too narrow. Give more particles, or a score that grows on the way out.")
    return RareExit(fluxes / kernel.tick, kernel.tick, plan.levels, np.mean([run.chances for run in runs], axis=0), sum(run.cost for run in runs) + plan.cost)


@dataclass(frozen=True)
class RareExit:
    """What splitting found.

    Attributes:
        rates: exits per unit of SDE time in each replica.
        levels: the scores of the levels.
        chances: the mean chance to pass from each level to the next, the last one to the exit.
        cost: path-ticks spent in all.
    """

    rates: np.ndarray
    tick: float
    levels: tuple[float, ...]
    chances: np.ndarray = field(repr=False)
    cost: float

    def rate(self, *, level: float = LEVEL) -> Estimate:
        """Exits per unit of SDE time: the mean over replicas, with Student's interval on the log scale."""
        value = float(self.rates.mean())
        stderr = float(self.rates.std(ddof=1)) / math.sqrt(len(self.rates))
        if value == 0:
            raise InputError("No replica found a way out; give more particles, or a score that grows on the way out.")
        factor = math.exp(float(scipy.stats.t.isf((1 - level) / 2, len(self.rates) - 1)) * stderr / value)
        return Estimate(value, stderr, len(self.rates), value / factor, value * factor)

    def mean(self, *, level: float = LEVEL) -> Estimate:
        """Eτ = 1/rate in SDE time."""
        rate = self.rate(level=level)
        return Estimate(1 / rate.value, rate.stderr / rate.value**2, rate.n, 1 / rate.high, 1 / rate.low)

    def __str__(self) -> str:
        mean = self.mean()
        return f"RareExit: mean exit t = {mean} ({mean.value / self.tick:.4g} ticks) over {len(self.levels)} levels, {self.cost:.3g} path-ticks"


@dataclass(frozen=True)
class _Job:
    ground: Ground
    plan: Plan
    particles: int
    seed: int
    replica: int


@dataclass(frozen=True)
class _Run:
    flux: float
    chances: tuple[float, ...]
    cost: float


def _replica(job: _Job) -> _Run:
    plan = job.plan
    walkers = job.ground.walkers(plan.pieces)
    generator = stream(job.seed, "rare_exit", job.replica, walkers.start.device)
    with one_thread(), torch.no_grad():
        home = run_home(job.ground.walkers(1), walkers, job.particles, plan, generator)
        states, out, cost, chances = home.crossings, home.out, home.cost, []
        for target in (*plan.levels[1:], math.inf):
            if out.numel() == 0:
                chances.append(0.0)
                continue
            picks = _systematic(out.numel(), job.particles, generator)
            trial = run_trials(walkers, states.take(picks), out[picks], target, plan.home, generator)
            cost += trial.cost
            chances.append(float(trial.passed.to(torch.float64).mean()))
            passed = torch.nonzero(trial.passed)[:, 0]
            states, out = trial.states.take(passed), trial.out[passed]
    return _Run(home.flux * math.prod(chances), tuple(chances), cost)


def _systematic(count: int, wanted: int, generator: Generator) -> Tensor:
    """``wanted`` indices below ``count``, each equally likely, as evenly as can be: in random order every index ⌊wanted/count⌋ or ⌈wanted/count⌉ times."""
    order = torch.randperm(count, generator=generator, device=generator.device)
    offset = torch.rand((), generator=generator, dtype=torch.float64, device=generator.device)
    places = ((torch.arange(wanted, dtype=torch.float64, device=generator.device) + offset) * (count / wanted)).floor().long().clamp_max(count - 1)
    return order[places]


@dataclass(frozen=True)
class _MinusDistance:
    """The default score."""

    region: Bordered

    def __call__(self, theta: Tensor) -> Tensor:
        return -self.region.distances(theta).amin(1)


def _checked_score(region: Region, score: Score | None) -> Score:
    if score is not None:
        return score
    if not isinstance(region, Bordered):
        raise InputError(f"{type(region).__name__} has no border to measure progress by; give score=…, a function that grows on the way out.")
    return _MinusDistance(region)
