"""Large-deviation bounds on one step's loss difference: against exact tails of a Gaussian quadratic, and of every batch of a small population.

No Monte Carlo but one check of a quantile's interval, which is exact for any law: 400 repetitions at level .9 miss 400·.1 ± 5·6 times (false alarm below 1e-6).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from sgdsde.bounds import StepTails, step_tails
from sgdsde.data import digits
from sgdsde.measurements import hessian_large_deviations as measured
from sgdsde.measurements.hessian_network import Dense, perceptron, start
from sgdsde.rng import stream
from sgdsde.types import InputError

DELTAS = (0.5, 0.2, 0.1, 0.03, 0.01, 1e-3, 1e-6)


def scalar_tail(c: float, k: float, height: float) -> float:
    """P(cz + ½kz² ≥ height), z standard normal."""
    if k == 0:
        return float(scipy.stats.norm.sf(height / c))
    root = c * c + 2 * k * height
    if root <= 0:
        return 1.0
    low, high = (-c - math.sqrt(root)) / k, (-c + math.sqrt(root)) / k
    return float(scipy.stats.norm.cdf(low) + scipy.stats.norm.sf(high))


def scalar(c: float, k: float) -> StepTails:
    """The bound for one direction with linear part c and curvature k."""
    return StepTails(0.0, k / 2, c * c + k * k / 2, k, 0, 0, 0, 0, 1)


@pytest.mark.parametrize("c", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("k", [0.0, 0.1, 1.0, 5.0])
def test_the_sub_gaussian_bound_is_above_exact_gaussian_tails(c: float, k: float) -> None:
    if c == k == 0:
        return
    for delta in DELTAS:
        height = scalar(c, k).subgaussian(delta)
        assert scalar_tail(c, k, height) <= delta
        assert scalar(c, k).subgaussian_probability(height) == pytest.approx(delta)
    halved = StepTails(0.0, k / 4, c * c / 2 + k * k / 8, k / 2, 0, 0, 0, 0, 1)  # mutant: the noise's variance halved
    assert any(scalar_tail(c, k, halved.subgaussian(delta)) > delta for delta in DELTAS)


def population(n: int = 9, dim: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Skewed gradients with one heavy sample, a curvature of rank two, unequal steps."""
    rng = np.random.default_rng(4)
    g = rng.exponential(size=(n, dim)) - 0.7
    g[0] *= 6
    root = rng.standard_normal((dim, 2))
    return torch.from_numpy(g), torch.from_numpy(root @ root.T), torch.tensor([0.3, 0.1, 0.6], dtype=torch.float64)


def every_step(g: Tensor, H: Tensor, p: Tensor, batch: int, *, replacement: bool) -> np.ndarray:
    """−μᵀPĝ + ½ĝᵀPHPĝ of every batch, by a loop."""
    choose = itertools.product(range(len(g)), repeat=batch) if replacement else itertools.combinations(range(len(g)), batch)
    mean = g.mean(0)
    found = []
    for rows in choose:
        d = -p * g[list(rows)].mean(0)
        found.append(float(mean @ d + 0.5 * d @ H @ d))
    return np.array(found)


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("batch", [1, 2, 4])
def test_the_bound_for_any_minibatch_holds_for_every_batch_there_is(batch: int, replacement: bool) -> None:
    """Exact tails over all 9^B (or 9 choose B) batches; the numbers of both bounds against loops; a batch taken for all samples (mutant) is exceeded."""
    g, H, p = population()
    values = every_step(g, H, p, batch, replacement=replacement)
    tails = step_tails(g, H, p, batch_size=batch, replacement=replacement)
    for delta in DELTAS:
        assert float((values >= tails.bounded(delta)).mean()) <= delta
    wrong = StepTails(**{**vars(tails), "batch_size": 400 * batch})
    assert any(float((values >= wrong.bounded(delta)).mean()) > delta for delta in DELTAS)
    mean, A = g.mean(0), torch.diag(p) @ H @ torch.diag(p)
    Sigma = (g - mean).T @ (g - mean) / len(g) / batch * (1 if replacement else (len(g) - batch) / (len(g) - 1))
    a = A @ mean - p * mean
    assert tails.descent + tails.bend == pytest.approx(values.mean())  # E of the quadratic, exactly
    assert tails.spread == pytest.approx(float(a @ Sigma @ a + 0.5 * (A @ Sigma @ A @ Sigma).trace()))
    assert tails.scale == pytest.approx(float(torch.linalg.eigvals(A @ Sigma).real.max()))
    assert tails.linear_variance / batch * (1 if replacement else (len(g) - batch) / (len(g) - 1)) == pytest.approx(float(a @ Sigma @ a))


def test_steps_drawn_anew_have_the_second_order_mean() -> None:
    """A hundredth of the steps makes third order negligible; 4,000 redraws, means within five standard errors; spreads with 1/B (mutant) are out."""
    network = perceptron(digits(count=60), (5,))
    point = measured.Redraws(Dense(network, start(network, 3)[0]))
    flat, shaped = (point.steps(kind) for kind in measured.KINDS)
    assert float(shaped.mean()) == pytest.approx(float(flat.mean()))
    assert float(shaped.max() / shaped.min()) > 3
    values = torch.linalg.eigvalsh(point.positive)
    assert float(values[0]) > -1e-12
    assert float(values[-1]) == pytest.approx(float(torch.linalg.eigvalsh(point.dense.H)[-1]))
    for noise in ("minibatch", "Gaussian"):
        small = 0.01 * flat
        delta = point.differences(small, noise, 4_000, stream(1, noise))
        error = delta.std() / math.sqrt(len(delta))
        assert abs(delta.mean() - point.mean(small)) < 5 * error + 1e-3 * abs(point.mean(small))
        linear = small * point.dense.mean
        spread = math.sqrt(float(linear @ point.dense.Sigma @ linear) / measured.BATCH * (60 - measured.BATCH) / 59)
        assert delta.std() == pytest.approx(spread, rel=0.1)
        assert delta.std() != pytest.approx(spread * math.sqrt(59 / (60 - measured.BATCH)), rel=0.1)


def test_a_quantiles_interval_covers_as_often_as_it_says() -> None:
    rng, missed = np.random.default_rng(0), 0
    for _ in range(400):
        found = measured.upper_quantile(rng.exponential(size=500), 0.1, 0.9)
        missed += not found.low <= math.log(10) <= found.high
    assert missed <= 40 + 30
    assert missed >= 10  # not wider than it must be
    assert measured.looseness(3.0, 1.0, found).value == pytest.approx(2.0 / (float(found.value) - 1.0))


def test_bad_input_is_refused_in_words() -> None:
    g, H, p = population()
    with pytest.raises(InputError, match="1 ≤ B ≤ n"):
        step_tails(g, H, p, batch_size=10)
    with pytest.raises(InputError, match="positive part of the Hessian"):
        step_tails(g, -H, p, batch_size=2)
    with pytest.raises(InputError, match=r"wanted \[n, dim\]"):
        step_tails(g, H[:2], p, batch_size=2)
    with pytest.raises(InputError, match="probability between 0 and 1"):
        step_tails(g, H, 0.1, batch_size=2).subgaussian(1.0)
