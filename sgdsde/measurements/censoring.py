"""What censoring does to estimates of a mean exit time: memoryless exits, exactly and by draws, and exits of SGD from a well.

n exits Exp(1), watched until their median ln 2. The mean over those that were seen is 1 − ln 2 = .307 in expectation. Total time over exits, T/D, the
maximum-likelihood estimate, has  E[T/D] = μ + ln 2·(n·E[1/D] − 1)  with μ = 1 − ln 2 and D ~ Bin(n, ½) given D ≥ 1: 1 + ln 2/(n/2) + O(1/n²).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.stats

from sgdsde.exits import exit_times
from sgdsde.kernels import SGD
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.interval_exits import noise_at
from sgdsde.oracles import sgd_mean_exit
from sgdsde.plots.panel import Panel, Series
from sgdsde.quasi_stationary import QuasiStationary
from sgdsde.regions import Interval
from sgdsde.stats import mean_estimate, quantile_z
from sgdsde.types import Estimate, InputError

MEDIAN = math.log(2)
#: draws are made in blocks of at most so many numbers
BLOCK = 2_000_000


def memoryless(*, seed: int, level: float, counts: Sequence[int], simulated: Sequence[int], repeats: int) -> Measured:
    """``n/bias``: the maximum-likelihood mean's bias times the expected exits n/2, exactly; ``n/draws``: the mean estimate itself from draws; ``n/naive``: the
    mean over the exits seen; ``n/naive uncensored``: the same watched to the end.
    """
    estimates: dict[str, Estimate] = {f"{n}/bias": exactly((likelihood_mean(n) - 1) * n / 2, 1e-9) for n in counts}
    rng = np.random.default_rng(seed)
    for n in simulated:
        ratios, seen = [], []
        for first in range(0, repeats, max(1, BLOCK // n)):
            times = rng.standard_exponential((min(max(1, BLOCK // n), repeats - first), n))
            left = times < MEDIAN
            exits = left.sum(1)
            total = np.minimum(times, MEDIAN).sum(1)
            some = exits > 0
            ratios.append(total[some] / exits[some])
            seen.append((times * left).sum(1)[some] / exits[some])
            if first == 0:
                estimates[f"{n}/naive uncensored"] = mean_estimate(times.mean(1), level=level)
        estimates[f"{n}/draws"] = mean_estimate(np.concatenate(ratios), level=level)
        estimates[f"{n}/naive"] = mean_estimate(np.concatenate(seen), level=level)
    x = np.array(counts, dtype=float)
    bias = np.array([likelihood_mean(n) - 1 for n in counts])
    series = (Series("HASME", "exact", x, bias, kind="band"), Series("SME1", "ln 2 / (n/2)", x, MEDIAN / (x / 2)))
    panel = Panel("Bias of total time / exits at median censoring", "paths n", "bias / truth", series, log="xy")
    return Measured(estimates, panels=(panel,), conventions="exponential exit times of mean 1, watched until ln 2")


def likelihood_mean(n: int) -> float:
    """E[T/D | D ≥ 1]."""
    d = np.arange(1, n + 1)
    weights = scipy.stats.binom.pmf(d, n, 0.5)
    inverse = float((weights / d).sum() / weights.sum())
    return 1 - MEDIAN + MEDIAN * (n * inverse - 1)


def censored_exits(*, seed: int, level: float, wells: Mapping[str, tuple[float, float]], paths: int) -> Measured:
    """SGD out of (−R, R) from its quasi-stationary law, for each (x, R/s), times its exact rate: ``well/naive/h``, the mean over the paths that left within the
    horizon h median times; ``well/likelihood/h``, total time / exits; ``well/refused/h``: 1 where ``.mean()`` refuses.
    """
    estimates: dict[str, Estimate] = {}
    for number, (name, (x, distance)) in enumerate(wells.items()):
        noise, region = noise_at(x), Interval(-distance, distance)
        rate = sgd_mean_exit(noise, 1.0, 0.0, region).rate
        start = QuasiStationary(SGD(noise, 1.0), [0.0], region, burn_in=12 / x)
        for offset, medians in enumerate((0.5, 1.0, 2.0)):
            run = exit_times(
                SGD(noise, 1.0), start, region=region, horizon=medians * MEDIAN / rate, paths=paths, seed=seed + 10 * number + offset, progress=False
            )
            seen = mean_estimate(run.times[~run.censored].numpy(), level=level)
            estimates[f"{name}/naive/{medians:g}"] = _times(seen, rate)
            found = run.rate(level=level)
            half = math.log(found.high / found.value)
            value = rate / found.value
            estimates[f"{name}/likelihood/{medians:g}"] = Estimate(value, value * half / quantile_z(level), found.n, rate / found.high, rate / found.low)
            try:
                run.mean()
                refused = 0.0
            except InputError:
                refused = 1.0
            estimates[f"{name}/refused/{medians:g}"] = exactly(refused, 0.0)
    return Measured(estimates, notes=(f"{paths} paths, quasi-stationary start",), conventions="SGD, 1-D quadratic, Gaussian noise, η = σ = 1, iterates")


def naive_limit(medians: float) -> float:
    """E[τ | τ < h] for Exp(1), h = ``medians`` median times: 1 − h·e^{−h}/(1 − e^{−h})."""
    h = medians * MEDIAN
    return 1 - h / math.expm1(h)


def _times(estimate: Estimate, factor: float) -> Estimate:
    return Estimate(estimate.value * factor, estimate.stderr * factor, estimate.n, estimate.low * factor, estimate.high * factor)
