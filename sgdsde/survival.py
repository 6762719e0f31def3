"""Statistics of exit times of which some are censored: Kaplan–Meier, log-rank, rates with exact intervals, restricted means.

A path that has not left by the end of its watch is not a path without an exit time. The mean over those that left is not the mean exit: stopped at the median
it is 1 − ln 2 = .31 of the truth. What censored data do give: the curve P(τ > t) up to the end of the watch, E min(τ, t), and, where exits are
memoryless, the rate (exits / total time watched). scipy.stats underneath.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float

from sgdsde.stats import LEVEL, mean_estimate
from sgdsde.stats import rate as poisson_rate
from sgdsde.types import Estimate, InputError, numbers

Times = Float[np.ndarray, " paths"]
Flags = Bool[np.ndarray, " paths"]


@dataclass(frozen=True)
class SurvivalCurve:
    """Kaplan–Meier: P(τ > t) just after each time of an exit, with a pointwise band (log-log, which stays within 0 and 1).

    ``watched`` is until when the curve is known: the longest watch of a path that did not exit, infinite where all have (the curve is 0 from then on).
    """

    times: Float[np.ndarray, " T"]
    probability: Float[np.ndarray, " T"]
    low: Float[np.ndarray, " T"]
    high: Float[np.ndarray, " T"]
    n: int
    watched: float = math.inf

    def at(self, times: Any) -> Estimate:
        """P(τ > t) at any times within the watch, as an estimate of arrays ``[T]``.

        Raises:
            InputError: a time beyond the watch, where nothing is known, or no real number.
        """
        t = np.atleast_1d(numbers(times, "times"))
        if not bool((t <= self.watched * (1 + 1e-12)).all()):
            raise InputError(f"times up to {t.max():g}: no path was watched beyond {self.watched:g}, and nothing is known of P(τ > t) there.")
        place = np.searchsorted(self.times, t, side="right")
        value, low, high = (np.concatenate([[1.0], part])[place] for part in (self.probability, self.low, self.high))
        # the band is not symmetric; its half-width stands in for a standard error
        return Estimate(value, (high - low) / (2 * scipy.stats.norm.ppf((1 + LEVEL) / 2)), self.n, low, high)


def kaplan_meier(times: Times, exited: Flags, *, level: float = LEVEL) -> SurvivalCurve:
    """The survival curve from times (of exit, or of the end of the watch) and whether each path exited.

    Raises:
        InputError: no path, or times that are not finite.
    """
    times, exited = _checked(times, exited)
    sf = scipy.stats.ecdf(_censored(times, exited)).sf
    with np.errstate(divide="ignore", invalid="ignore"):
        band = _log_log_band(times, exited, sf.quantiles, sf.probabilities, level)
    watched = math.inf if exited[times == times.max()].all() else float(times.max())
    return SurvivalCurve(sf.quantiles, sf.probabilities, *band, n=len(times), watched=watched)


def log_rank(a: tuple[Times, Flags], b: tuple[Times, Flags]) -> tuple[float, float]:
    """(statistic, p-value) of the log-rank test that two groups of (times, exited) have one survival curve; statistic > 0: the first leaves earlier."""
    result = scipy.stats.logrank(_censored(*_checked(*a)), _censored(*_checked(*b)))
    return float(result.statistic), float(result.pvalue)


def exit_rate(times: Times, exited: Flags, *, level: float = LEVEL) -> Estimate:
    """Exits per unit of time watched, with the exact (Garwood) interval: the inverse mean exit where exits are memoryless, and only there.

    The maximum-likelihood mean, total time / exits, is consistent: of n paths stopped at the median it is too high by 8 % for n = 20, .7 % for n = 200.
    """
    times, exited = _checked(times, exited)
    return poisson_rate(int(exited.sum()), float(times.sum()), level=level)


def restricted_mean(times: Times, exited: Flags, t: float, *, level: float = LEVEL) -> Estimate:
    """E min(τ, t), which needs no exit after t.

    Raises:
        InputError: a path that did not exit was watched for less than t.
    """
    times, exited = _checked(times, exited)
    watched = float(times[~exited].min()) if (~exited).any() else math.inf
    if not 0 < t <= watched * (1 + 1e-12):
        raise InputError(f"restricted_mean(t={t:g}): a path without exit was watched only up to {watched:g}; wanted 0 < t ≤ {watched:g}.")
    return mean_estimate(np.minimum(times, t), level=level)


def _checked(times: Any, exited: Any) -> tuple[Times, Flags]:
    times, exited = np.asarray(times, dtype=float), np.asarray(exited, dtype=bool)
    if times.ndim != 1 or times.shape != exited.shape or times.size == 0 or not np.isfinite(times).all():
        raise InputError(f"times {times.shape} and exited {exited.shape}; wanted finite times [paths] and as many flags, at least one.")
    return times, exited


def _censored(times: Times, exited: Flags) -> scipy.stats.CensoredData:
    return scipy.stats.CensoredData(uncensored=times[exited], right=times[~exited])


def _log_log_band(times: Times, exited: Flags, at: np.ndarray, survival: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """S^{exp(±z·s)} with s² = Greenwood's sum / log²S (Kalbfleisch, Prentice)."""
    order = np.sort(times)
    risk = len(times) - np.searchsorted(order, at, side="left")
    events = np.searchsorted(np.sort(times[exited]), at, side="right") - np.searchsorted(np.sort(times[exited]), at, side="left")
    greenwood = np.cumsum(np.where(risk > events, events / (risk * np.maximum(risk - events, 1)), 0.0))
    z = scipy.stats.norm.ppf((1 + level) / 2)
    scale = np.where((survival > 0) & (survival < 1), np.sqrt(greenwood) / np.abs(np.log(survival)), 0.0)
    return np.where(survival > 0, survival ** np.exp(z * scale), 0.0), np.where(survival > 0, survival ** np.exp(-z * scale), 0.0)
