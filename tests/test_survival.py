"""Statistics of censored exit times, against exact values and by coverage; the power calculator, against what it promises."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from sgdsde import power, survival
from sgdsde.types import InputError


def exponential(paths: int, horizon: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    times = np.random.default_rng(seed).exponential(size=paths)
    return np.minimum(times, horizon), times <= horizon


def test_naive_mean_and_maximum_likelihood_at_median_censoring() -> None:
    """B14, exactly: the mean over those that left is 1 − ln 2 = .307 of the truth; total time / exits is 8 % too high with 20 paths, .7 % with 200."""
    ln2 = math.log(2)
    for paths, excess in ((20, 0.083), (200, 0.007)):
        exits = np.arange(1, paths + 1)
        weights = scipy.stats.binom.pmf(exits, paths, 0.5)
        likelihood = ((1 - ln2) + (paths - exits) / exits * ln2) @ weights / weights.sum()
        assert likelihood - 1 == pytest.approx(excess, abs=5e-4)
        # the estimators themselves, on 4,000 samples: the standard error of both means is below .5 %
        rng, naive, ratio = np.random.default_rng(1), [], []
        for _ in range(4000):
            t = rng.exponential(size=paths)
            left = t <= ln2
            if left.any():
                naive.append(t[left].mean())
                ratio.append(1 / survival.exit_rate(np.minimum(t, ln2), left).value)
        assert np.mean(naive) == pytest.approx(1 - ln2, abs=0.01)
        assert np.mean(ratio) == pytest.approx(likelihood, abs=5 * np.std(ratio) / math.sqrt(len(ratio)))


def test_rate_interval_covers() -> None:
    """95 % intervals of 2,000 censored samples cover in 95 ± 1.5 % (false alarm 3e-3; a 90 % interval would fail with power > .99)."""
    hits = 0
    for seed in range(2000):
        e = survival.exit_rate(*exponential(40, 0.8, seed))
        hits += e.low < 1 < e.high
    assert abs(hits / 2000 - 0.95) < 0.018


def test_kaplan_meier_band_covers_and_is_the_empirical_curve_without_censoring() -> None:
    times, exited = exponential(500, math.inf)
    curve = survival.kaplan_meier(times, exited)
    assert np.allclose(curve.probability, 1 - np.arange(1, 501) / 500)
    assert curve.at([0.0, 1e9]).value.tolist() == [1.0, 0.0]
    hits = []
    for seed in range(400):
        e = survival.kaplan_meier(*exponential(100, 1.0, seed)).at([0.3, 0.9])
        hits.append((e.low < np.exp([-0.3, -0.9])) & (np.exp([-0.3, -0.9]) < e.high))
    assert (np.abs(np.mean(hits, 0) - 0.95) < 0.035).all()


def test_restricted_mean() -> None:
    times, exited = exponential(40_000, 1.0)
    e = survival.restricted_mean(times, exited, 1.0)
    assert abs(e.value - (1 - math.exp(-1))) < 5 * e.stderr
    with pytest.raises(InputError, match="watched only up to 1"):
        survival.restricted_mean(times, exited, 1.5)


def test_log_rank_sees_a_hazard_ratio_and_not_a_scale_of_nothing() -> None:
    a, b = exponential(800, 1.0, 1), exponential(800, 1.0, 2)
    fast = (np.minimum(a[0] / 1.5, 1.0), a[1])
    assert survival.log_rank(a, b)[1] > 1e-3
    statistic, p = survival.log_rank(fast, b)
    assert statistic > 0
    assert p < 1e-4


def test_bad_samples_are_refused() -> None:
    with pytest.raises(InputError, match="finite times"):
        survival.exit_rate(np.array([1.0, np.nan]), np.array([True, True]))
    with pytest.raises(InputError, match="as many flags"):
        survival.kaplan_meier(np.array([1.0, 2.0]), np.array([True]))


def test_paths_for_a_ratio_find_it_as_often_as_promised() -> None:
    """Exponential exits 20 % apart at power .8: 1,000 experiments find it in 80 ± 5 % (false alarm 1e-4); half the paths would not."""
    paths, rng = power.paths_for_ratio(1.2, power=0.8), np.random.default_rng(3)

    def found(n: int) -> float:
        a, b = rng.exponential(size=(1000, n)), 1.2 * rng.exponential(size=(1000, n))
        z = np.log(b.mean(1) / a.mean(1)) / math.sqrt(2 / n)
        return float((np.abs(z) > 1.96).mean())

    assert abs(found(paths) - 0.8) < 0.05
    assert found(paths // 2) < 0.65


def test_paths_for_equivalence_show_it_as_often_as_promised() -> None:
    paths, rng = power.paths_for_equivalence(0.05, cv=0.5, power=0.8), np.random.default_rng(4)
    a, b = (1 + 0.5 * rng.standard_normal((300, paths)) for _ in range(2))
    half = 1.645 * 0.5 * math.sqrt(2 / paths)
    shown = np.abs(np.log(b.mean(1) / a.mean(1))) + half < math.log(1.05)
    assert abs(shown.mean() - 0.8) < 0.09


def test_exits_for_a_rate_give_its_precision() -> None:
    for precision in (0.5, 0.2, 0.05):
        exits = power.exits_for_rate(precision)
        for n, enough in ((exits, True), (exits - 1, False)):
            e = survival.exit_rate(np.ones(n), np.ones(n, dtype=bool))
            assert ((e.high - e.low) / 2 <= precision * e.value) == enough
    assert power.exits_for_rate(0.05) == pytest.approx((1.96 / 0.05) ** 2, rel=0.02)  # the exact interval is a little wider


def test_paths_for_log_rank_follow_schoenfeld() -> None:
    assert power.paths_for_log_rank(1.5, exiting=0.5) == math.ceil(4 * (1.959964 + 1.281552) ** 2 / math.log(1.5) ** 2)
    assert power.paths_for_mean(0.01, cv=0.3) == math.ceil((1.959964 * 30) ** 2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: power.paths_for_ratio(1.0), "paths_for_equivalence"),
        (lambda: power.paths_for_mean(0.0), "precision"),
        (lambda: power.paths_for_log_rank(2.0, exiting=0.0), "share of paths"),
        (lambda: power.paths_for_ratio(1.2, power=1.0), "between 0 and 1"),
        (lambda: power.exits_for_rate(0.1, level=1.0), "level"),
    ],
)
def test_questions_without_answer_are_refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()
