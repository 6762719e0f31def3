"""The instrument measures itself: how often intervals miss a known truth, how often the three-zone rule errs where it is easiest to err.

Misses are counted over independent repeats on laws whose mean, variance, probability or rate is known, and divided by the miss rate 1 − ℓ that an interval
at level ℓ states. Mutants are the same intervals with one common mistake each; an instrument that cannot tell them from the real ones is worth nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.stats

from sgdsde.claim import Outcome, judge_estimate
from sgdsde.measurement import Measured, exactly
from sgdsde.plots.panel import Panel, Series
from sgdsde.stats import bonferroni, mean_estimate, proportion, quantile_z, rate, variance_estimate
from sgdsde.types import Estimate
from sgdsde.zone import Within

#: (low, high) of k intervals at a level, and the truth
Intervals = tuple[np.ndarray, np.ndarray, float]
CHUNK = 8_000
TRIALS = 150


@dataclass(frozen=True)
class Case:
    """How many Gaussian samples a mean has, and the probability of the rare event."""

    samples: int
    share: float


def _student(rng: np.random.Generator, count: int, level: float, case: Case) -> Intervals:
    found = mean_estimate(rng.standard_normal((case.samples, count)), level=level)
    return np.asarray(found.low), np.asarray(found.high), 0.0


def _skewed(rng: np.random.Generator, count: int, level: float, case: Case) -> Intervals:
    found = mean_estimate(rng.standard_exponential((1000, count // 4)), level=level)
    return np.asarray(found.low), np.asarray(found.high), 1.0


def _variance(rng: np.random.Generator, count: int, level: float, case: Case) -> Intervals:
    found = variance_estimate(rng.standard_normal((1000, count // 4)), level=level)
    return np.asarray(found.low), np.asarray(found.high), 1.0


def _share(rng: np.random.Generator, count: int, level: float, case: Case) -> Intervals:
    low, high = _shares(level)
    hits = rng.binomial(TRIALS, case.share, count)
    return low[hits], high[hits], case.share


@lru_cache(maxsize=8)
def _shares(level: float) -> tuple[np.ndarray, np.ndarray]:
    """The interval of every possible count."""
    table = [proportion(k, TRIALS, level=level) for k in range(TRIALS + 1)]
    return np.array([e.low for e in table]), np.array([e.high for e in table])


def _rate(rng: np.random.Generator, count: int, level: float, case: Case) -> Intervals:
    table = [rate(k, 20.0, level=level) for k in range(60)]
    events = np.minimum(rng.poisson(6.0, count), 59)
    return np.array([e.low for e in table])[events], np.array([e.high for e in table])[events], 0.3


def _normal_for_student(rng: np.random.Generator, count: int, level: float, case: Case) -> Intervals:
    x = rng.standard_normal((case.samples, count))
    half = quantile_z(level) * x.std(0, ddof=1) / math.sqrt(case.samples)
    return x.mean(0) - half, x.mean(0) + half, 0.0


def _one_tail(rng: np.random.Generator, count: int, level: float, case: Case) -> Intervals:
    x = rng.standard_normal((case.samples, count))
    half = scipy.stats.t.isf(1 - level, case.samples - 1) * x.std(0, ddof=1) / math.sqrt(case.samples)
    return x.mean(0) - half, x.mean(0) + half, 0.0


def _n_for_root_n(rng: np.random.Generator, count: int, level: float, case: Case) -> Intervals:
    x = rng.standard_normal((case.samples, count))
    half = scipy.stats.t.isf((1 - level) / 2, case.samples - 1) * x.std(0, ddof=1) / case.samples
    return x.mean(0) - half, x.mean(0) + half, 0.0


def _wald(rng: np.random.Generator, count: int, level: float, case: Case) -> Intervals:
    p = rng.binomial(TRIALS, case.share, count) / TRIALS
    half = quantile_z(level) * np.sqrt(p * (1 - p) / TRIALS)
    return p - half, p + half, case.share


Method = Callable[[np.random.Generator, int, float, Case], Intervals]
METHODS: dict[str, Method] = {
    "mean, few Gaussian samples": _student,
    "mean, 1,000 exponential samples": _skewed,
    "variance, 1,000 Gaussian samples": _variance,
    "share, rare among 150": _share,
    "rate, 6 events expected": _rate,
}
MUTANTS: dict[str, Method] = {
    "normal quantile for Student's": _normal_for_student,
    "one tail for two": _one_tail,
    "1/n for 1/√n": _n_for_root_n,
    "normal interval of a rare share": _wald,
}


def coverage(*, seed: int, level: float, methods: Sequence[str], levels: Sequence[float], repeats: Mapping[float, int], samples: int, share: float) -> Measured:
    """``method/ℓ``: misses per repeat over 1 − ℓ, for names in :data:`METHODS` and :data:`MUTANTS`; ``samples`` a mean, events of probability ``share``."""
    rng, case = np.random.default_rng(seed), Case(samples, share)
    estimates: dict[str, Estimate] = {}
    for name in methods:
        for stated in levels:
            missed = total = 0
            for _ in range(-(-repeats[stated] // CHUNK)):
                low, high, truth = (METHODS | MUTANTS)[name](rng, CHUNK, stated, case)
                missed, total = missed + int(((truth < low) | (truth > high)).sum()), total + len(low)
            estimates[f"{name}/{stated}"] = _over(missed, total, 1 - stated, level)
    shown = [name for name in methods if name in METHODS]
    series = []
    for index, stated in enumerate(levels):
        found = [estimates[f"{name}/{stated}"] for name in shown]
        value, low, high = (np.array([getattr(e, part) for e in found]) for part in ("value", "low", "high"))
        x = np.arange(len(shown)) + (index - (len(levels) - 1) / 2) * 0.2
        series.append(Series(f"level {stated}", f"level {stated:g}", x, value, low, high, "points"))
    names = tuple(name.replace(", ", ",\n").replace(" samples", "") for name in shown)
    panel = Panel("How often intervals miss", "", "misses / stated misses", tuple(series), level=1.0, x_ticks=names)
    return Measured(
        estimates,
        panels=(panel,),
        notes=(f"{samples} samples a mean, share {share:.3g}; repeats by level: {dict(repeats)}; a quarter for samples of 1,000",),
        conventions="known laws",
    )


def verdicts(*, seed: int, level: float, alpha: float, repeats: int, rows: int, families: int) -> Measured:
    """Estimates ~ N(truth, 1) with intervals at 1 − α against the region [−5, 5], the truth on its edge: ``supported`` and ``contradicted``, shares over α/2.

    ``family``: the share of families of ``rows`` such rows at α/rows each in which any is supported, over α; ``family unshared``: at α each;
    ``overlap``: α/2's multiple for a rule that supports whenever interval and region overlap, the truth 1 outside.
    """
    rng = np.random.default_rng(seed)
    zone, half = Within(-5.0, 5.0), quantile_z(1 - alpha)
    found = 5.0 + rng.standard_normal(repeats)
    outcomes = [judge_estimate(zone, Estimate(value, 1.0, 1000, value - half, value + half))[0] for value in found]
    estimates = {str(outcome): _over(sum(o is outcome for o in outcomes), repeats, alpha / 2, level) for outcome in (Outcome.SUPPORTED, Outcome.CONTRADICTED)}
    for name, each in (("family", bonferroni(alpha, rows)), ("family unshared", alpha)):
        highs = 5.0 + rng.standard_normal((families, rows)) + quantile_z(1 - each)
        estimates[name] = _over(int((highs <= 5.0).any(1).sum()), families, alpha, level)
    lows = 6.0 + rng.standard_normal(repeats) - half
    estimates["overlap"] = _over(int((lows <= 5.0).sum()), repeats, alpha / 2, level)
    estimates["edge of the region"] = exactly(float(zone.high), 0.0)
    return Measured(estimates, notes=(f"{repeats} rows; {families} families of {rows} rows",), conventions="estimates N(truth, 1)")


def _over(hits: int, trials: int, stated: float, level: float) -> Estimate:
    """A share with its exact interval, over what was stated; its standard error is never 0."""
    e = proportion(hits, trials, level=level)
    return Estimate(e.value / stated, max(e.stderr, 1 / trials) / stated, trials, e.low / stated, e.high / stated)
