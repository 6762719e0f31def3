"""Intervals against exact coverage, standard errors against known moments, distances against closed forms, and checks that can fail."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import torch

from sgdsde import stats
from sgdsde.types import Estimate, InputError

rng = np.random.default_rng


def test_mean_interval_is_students() -> None:
    x = rng(1).normal(size=(7, 2))
    estimate = stats.mean_estimate(torch.from_numpy(x))
    for column in range(2):
        interval = scipy.stats.ttest_1samp(x[:, column], 0.0).confidence_interval()
        assert estimate.low[column] == pytest.approx(interval.low, rel=1e-12)
        assert estimate.high[column] == pytest.approx(interval.high, rel=1e-12)


@pytest.mark.parametrize(("law", "fourth"), [("normal", 3.0), ("exponential", 9.0), ("uniform", 1.8)])
def test_variance_standard_error_uses_the_fourth_moment(law: str, fourth: float) -> None:
    """Var s² ≈ (μ₄ − σ⁴)/n. Relative sampling error of the fourth moment at n = 4e5 is below 1.5 % for all three laws; the Gaussian formula √(2/n) is
    off by 2× for the exponential law and by 0.63× for the uniform one.
    """
    x = getattr(rng(2), law)(size=400_000)
    x = (x - x.mean()) / x.std()
    estimate = stats.variance_estimate(x)
    assert estimate.value == pytest.approx(1.0, rel=1e-5)
    assert estimate.stderr == pytest.approx(math.sqrt((fourth - 1) / len(x)), rel=0.05)


def test_variance_standard_error_is_exact_in_expectation_for_small_samples() -> None:
    """All 3⁴ samples of size 4 from a three-point law: the spread of s² over them is the formula with the law's own moments."""
    points = np.array([-1.0, 0.0, 2.0])
    samples = np.stack(np.meshgrid(points, points, points, points), -1).reshape(-1, 4)
    s2 = samples.var(1, ddof=1)
    sigma4, mu4, n = points.var() ** 2, ((points - points.mean()) ** 4).mean(), 4
    assert s2.var() == pytest.approx((mu4 - sigma4 * (n - 3) / (n - 1)) / n, rel=1e-12)


@pytest.mark.parametrize("trials", [5, 40])
def test_clopper_pearson_covers_at_every_p(trials: int) -> None:
    """Exact: the sum of binomial probabilities over the counts whose interval holds p is at least the level, for p on a grid."""
    intervals = [stats.proportion(k, trials, level=0.9) for k in range(trials + 1)]
    for p in np.linspace(0.01, 0.99, 50):
        held = [scipy.stats.binom.pmf(k, trials, p) for k, i in enumerate(intervals) if i.low <= p <= i.high]
        assert sum(held) >= 0.9
    wald_misses = sum(scipy.stats.binom.pmf(k, 5, 0.5) for k in (0, 5))  # the normal interval has width 0 there
    assert wald_misses > 0


def test_rate_interval_covers_at_every_rate() -> None:
    intervals = [stats.rate(k, 2.0, level=0.9) for k in range(200)]
    for mean in np.linspace(0.05, 60, 80):
        held = sum(scipy.stats.poisson.pmf(k, mean) for k, i in enumerate(intervals) if i.low <= mean / 2.0 <= i.high)
        assert held >= 0.9
    assert intervals[0].low == 0.0
    assert intervals[0].high == pytest.approx(-math.log(0.05) / 2)


def test_variance_ratio_and_its_paired_form() -> None:
    """y = 1.1·x + a little: both forms agree on the value; pairing cuts the standard error > 20×; false alarm 1e-6."""
    x, e = rng(3).normal(size=(2, 50_000))
    y = 1.1 * x + 0.02 * e
    apart, paired = stats.variance_ratio(y, x), stats.paired_variance_ratio(y, x)
    assert paired.value == pytest.approx(apart.value, rel=1e-12)
    assert apart.stderr == pytest.approx(apart.value * math.sqrt(4 / 50_000), rel=0.05)
    assert paired.stderr < apart.stderr / 20
    assert stats.check(paired, 1.1**2 + 0.02**2).resolvable < 0.0015


def test_paired_variance_ratio_has_the_spread_that_it_states() -> None:
    """Over 400 replications the log ratio's standard deviation is the stated one within 15 % (false alarm 1e-4: 4 sd of a sd estimate from 400)."""
    z = rng(4).normal(size=(2, 400, 500))
    x, y = z[0], 0.8 * z[0] + 0.6 * z[1]
    made = [stats.paired_variance_ratio(a, b) for a, b in zip(x, y, strict=True)]
    spread = np.log([m.value for m in made]).std()
    stated = np.mean([m.stderr / m.value for m in made])
    assert spread == pytest.approx(stated, rel=0.15)
    assert stated < 0.75 * math.sqrt(4 / 500)  # what ignoring the pairing would state


def test_differences() -> None:
    a, b = stats.mean_estimate([1.0, 2.0, 3.0, 4.0]), Estimate.exact(2.0)
    apart = stats.difference(a, b)
    assert (apart.value, apart.stderr, apart.n) == (0.5, a.stderr, 4)
    x = rng(5).normal(size=1000)
    assert stats.paired_difference(x + 0.25, x).stderr < 1e-12


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.995, 1.005, "inside"), (0.98, 0.995, "undecided"), (1.02, 1.03, "outside"), (float("nan"), float("nan"), "undecided")],
)
def test_equivalence(low: float, high: float, verdict: str) -> None:
    assert stats.equivalence(Estimate((low + high) / 2, 0.001, 10, low, high), 0.99, 1.01) == verdict


def test_power_is_what_it_says() -> None:
    """A true discrepancy equal to the resolvable one is found with probability 0.9: the exact power of the two-sided z-test."""
    alpha, stderr = 1e-3, 0.7
    delta = stats.resolvable(stderr, false_alarm=alpha, power=0.9)
    limit = stats.quantile_z(1 - alpha)
    power = scipy.stats.norm.sf(limit - delta / stderr) + scipy.stats.norm.cdf(-limit - delta / stderr)
    assert power == pytest.approx(0.9, abs=1e-6)
    n = stats.paths_needed(2.0, 0.05, false_alarm=alpha)
    assert stats.resolvable(2.0 / math.sqrt(n), false_alarm=alpha) <= 0.05 < stats.resolvable(2.0 / math.sqrt(n - 1), false_alarm=alpha)
    assert stats.bonferroni(0.05, 10) == pytest.approx(0.005)


def test_distances_against_closed_forms() -> None:
    x = rng(6).normal(size=2000)
    assert stats.wasserstein1(x, x + 0.3) == pytest.approx(0.3)
    assert stats.wasserstein1(x, x[:500]) == pytest.approx(scipy.stats.wasserstein_distance(x, x[:500]))
    line = np.stack([x, np.zeros_like(x)], 1)
    other = np.stack([1.5 * x, np.zeros_like(x)], 1)
    assert stats.energy_distance(line, other) == pytest.approx(scipy.stats.energy_distance(x, 1.5 * x), rel=1e-10)
    turned = line @ np.array([[0.6, -0.8], [0.8, 0.6]])
    assert stats.energy_distance(turned, other @ np.array([[0.6, -0.8], [0.8, 0.6]])) == pytest.approx(stats.energy_distance(line, other), rel=1e-10)
    # a shift along a unit vector is read as |u·e| by direction u: the mean is 2/π in the plane
    assert stats.sliced_wasserstein(line, line + np.array([0.0, 1.0]), directions=4000) == pytest.approx(2 / math.pi, rel=0.02)
    assert math.isnan(stats.wasserstein1(x, np.append(x[1:], np.nan)))
    assert math.isnan(stats.energy_distance(line, np.full((3, 2), np.nan)))


def test_split_half_floor_separates_same_from_different() -> None:
    x = rng(7).normal(size=(4000, 2))
    floor = stats.split_half_floor(x, stats.sliced_wasserstein)
    same, other = rng(8).normal(size=(2000, 2)), 1.2 * rng(8).normal(size=(2000, 2))
    assert stats.sliced_wasserstein(x[:2000], same) < 1.5 * floor.high
    assert stats.sliced_wasserstein(x[:2000], other) > 2 * floor.high
    assert floor.n == 2000


def test_check_has_the_false_alarm_rate_that_it_states() -> None:
    """2,000 samples of 20 normals at a false-alarm rate of 0.2, shared by two components: the share of failures holds 0.2 (interval of level 1 − 1e-5)."""
    failures = 0
    for seed in range(2000):
        try:
            stats.check_mean(rng(seed).normal(size=(20, 2)), 0.0, false_alarm=0.2)
        except stats.CheckFailed:
            failures += 1
    share = stats.proportion(failures, 2000, level=1 - 1e-5)
    assert share.low < 0.19 < share.high  # Bonferroni over two independent components: 1 − 0.9² = 0.19


def test_check_finds_what_it_says_it_resolves() -> None:
    """At the resolvable discrepancy the power is 0.9: of 400 samples between 82 % and 96 % fail (level 1 − 1e-5)."""
    resolvable = stats.check_mean(rng(0).normal(size=400), 0.0).resolvable
    caught = 0
    for seed in range(400):
        try:
            stats.check_mean(rng(seed + 1).normal(size=400), resolvable)
        except stats.CheckFailed:
            caught += 1
    assert 0.82 < caught / 400 < 0.96


def test_check_covariance_sees_a_transpose_and_a_scale() -> None:
    """n = 1e5, false alarm 1e-6, resolves 0.03: a scale of 1.05 and two exchanged variances fail."""
    sigma = np.array([[1.0, 0.3], [0.3, 0.5]])
    x = rng(9).multivariate_normal([1.0, -2.0], sigma, size=100_000)
    assert stats.check_covariance(x, sigma).resolvable < 0.03
    for wrong in (1.05 * sigma, sigma[::-1, ::-1], sigma * [[1, -1], [-1, 1]]):
        with pytest.raises(stats.CheckFailed):
            stats.check_covariance(x, wrong)


def test_check_of_exact_and_broken_values() -> None:
    stats.check(Estimate.exact(1.0), 1.0)
    stats.check(Estimate.exact(1.0 + 1e-9), 1.0, rounding=1e-8)
    with pytest.raises(stats.CheckFailed, match="resolves a discrepancy"):
        stats.check(Estimate.exact(1.0 + 1e-7), 1.0, rounding=1e-8)
    with pytest.raises(stats.CheckFailed):
        stats.check_mean([1.0, float("nan"), 2.0], 1.0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stats.mean_estimate([1.0]), "n ≥ 2"),
        (lambda: stats.mean_estimate(np.zeros((2, 2, 2))), "wanted"),
        (lambda: stats.quantile_z(1.0), "between 0 and 1"),
        (lambda: stats.proportion(4, 3), "successes"),
        (lambda: stats.rate(3, 0.0), "time at risk"),
        (lambda: stats.paired_difference([1.0, 2.0], [1.0, 2.0, 3.0]), "shapes"),
        (lambda: stats.variance_ratio([1.0, 2.0], [1.0, 1.0]), "variance 0"),
        (lambda: stats.equivalence(Estimate.exact(1.0), 2.0, 1.0), "empty"),
        (lambda: stats.paths_needed(0.0, 1.0, false_alarm=0.1), "wanted both"),
        (lambda: stats.energy_distance(np.zeros((10**5, 2)), np.zeros((10**5, 2))), "sliced_wasserstein"),
        (lambda: stats.split_half_floor([1.0, 2.0], stats.wasserstein1), "at least 4"),
        (lambda: stats.bonferroni(0.1, 0), "number of tests"),
    ],
)
def test_bad_input_is_refused_in_words(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()
