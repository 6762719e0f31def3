"""How many paths a question about exit times needs, before running.

Exit times are positive, so precision is relative: an estimate within ±p of a mean with coefficient of variation c (1 for memoryless exits, smaller at saddles)
takes n = (z·c/p)² paths; telling two means apart by a factor r takes n = 2(z_{1−α/2} + z_power)²c²/ln²r paths each; the log-rank test for a hazard ratio r
takes 4(z_{1−α/2} + z_power)²/ln²r exits in all (Schoenfeld, Biometrics 39, 1983).
"""

from __future__ import annotations

import math

import scipy.stats

from sgdsde.stats import LEVEL, quantile_z
from sgdsde.types import InputError, positive


def paths_for_mean(precision: float, *, cv: float = 1.0, level: float = LEVEL) -> int:
    """Paths (all of which must exit) that give the mean within ±``precision`` of itself."""
    return math.ceil((quantile_z(level) * positive(cv, "cv") / positive(precision, "precision")) ** 2)


def exits_for_rate(precision: float, *, level: float = LEVEL) -> int:
    """Exits that give the rate an exact interval of half-width ``precision`` times itself."""
    precision, tail = positive(precision, "precision"), (1 - level) / 2
    quantile_z(level)  # refuses a level that is none

    def half_width(exits: int) -> float:
        return float(scipy.stats.gamma.isf(tail, exits + 1) - scipy.stats.gamma.ppf(tail, exits)) / (2 * exits)

    high = 1
    while half_width(high) > precision:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if half_width(middle) <= precision else (middle, high)
    return high


def paths_for_ratio(ratio: float, *, cv: float = 1.0, false_alarm: float = 0.05, power: float = 0.9) -> int:
    """Paths in each of two groups that tell mean exits apart that differ by the factor ``ratio``."""
    return math.ceil(2 * (_z(false_alarm, power) * positive(cv, "cv") / _log(ratio, "ratio")) ** 2)


def paths_for_equivalence(margin: float, *, cv: float = 1.0, false_alarm: float = 0.05, power: float = 0.9) -> int:
    """Paths in each of two groups with equal means whose ratio's interval then lies inside 1/(1 + margin) … 1 + margin."""
    z = float(scipy.stats.norm.isf(false_alarm)) + float(scipy.stats.norm.isf((1 - power) / 2))
    return math.ceil(2 * (z * positive(cv, "cv") / math.log1p(positive(margin, "margin"))) ** 2)


def paths_for_log_rank(hazard_ratio: float, *, exiting: float = 1.0, false_alarm: float = 0.05, power: float = 0.9) -> int:
    """Paths in each of two groups for the log-rank test to see ``hazard_ratio`` where a share ``exiting`` of the paths exits within the horizon."""
    if not 0 < exiting <= 1:
        raise InputError(f"exiting = {exiting}; wanted the share of paths that exit, in (0, 1].")
    return math.ceil(4 * (_z(false_alarm, power) / _log(hazard_ratio, "hazard_ratio")) ** 2 / (2 * exiting))


def _z(false_alarm: float, power: float) -> float:
    if not (0 < false_alarm < 1 and 0 < power < 1):
        raise InputError(f"false_alarm = {false_alarm}, power = {power}; wanted numbers between 0 and 1.")
    return quantile_z(1 - false_alarm) + float(scipy.stats.norm.ppf(power))


def _log(ratio: float, name: str) -> float:
    if positive(ratio, name) == 1:
        raise InputError(f"{name} = 1: no number of paths tells equal things apart; for showing that they are equal use paths_for_equivalence.")
    return math.log(ratio)
