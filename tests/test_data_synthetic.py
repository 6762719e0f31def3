"""Synthetic data from a seed."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from sgdsde import data
from sgdsde.data import Data
from sgdsde.types import InputError


@pytest.mark.parametrize("make", [data.blobs, data.linear_teacher, data.logistic_teacher, data.tanh_teacher])
def test_a_seed_fixes_the_data(make: Callable[..., Data]) -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one, again, other = make(3), make(3), make(4)
    assert torch.equal(one.x, again.x)
    assert torch.equal(one.y, again.y)
    assert one.digest == again.digest != other.digest
    assert torch.equal(torch.get_rng_state(), state)
    assert one.x.dtype == torch.float64


def test_linear_teacher_is_linear_in_its_first_coordinates() -> None:
    d = data.linear_teacher(5, dim=6, count=50, noise=0.0, nonzero=2)
    w = torch.linalg.lstsq(d.x, d.y[:, None]).solution[:, 0]
    assert float(w[2:].abs().max()) < 1e-12
    assert float(w[:2].abs().min()) > 1e-3
    assert d.classes is None


def test_linear_teacher_noise_has_its_standard_deviation() -> None:
    """20,000 residuals: their standard deviation has a standard error of 0.5 %, the bound of 2 % is four of them (false alarm 6e-5); the mutant, a
    variance for a deviation (0.09 for 0.3), is off by 70 %."""
    d = data.linear_teacher(6, dim=3, count=20_000, noise=0.3)
    residual = d.y - d.x @ torch.linalg.lstsq(d.x, d.y[:, None]).solution[:, 0]
    assert float(residual.std()) == pytest.approx(0.3, rel=0.02)
    mutant = data.linear_teacher(6, dim=3, count=20_000, noise=0.3**2)
    residual = mutant.y - mutant.x @ torch.linalg.lstsq(mutant.x, mutant.y[:, None]).solution[:, 0]
    assert float(residual.std()) != pytest.approx(0.3, rel=0.02)


def test_logistic_teacher_has_the_strength_asked_for() -> None:
    """The maximum-likelihood weights of 20,000 samples have length 2 within four standard errors, 4·0.03 (false alarm 6e-5); the mutant of
    strength 1.7 falls outside."""
    from sgdsde.objectives import LogisticRegression

    def length(strength: float) -> float:
        d = data.logistic_teacher(7, dim=3, count=20_000, strength=strength)
        return float(LogisticRegression(d.x, d.y, classes=d.classes).minimizer().norm())

    assert length(2.0) == pytest.approx(2.0, abs=0.12)
    assert length(1.7) != pytest.approx(2.0, abs=0.12)


def test_blobs_have_unit_width_around_separate_centres() -> None:
    """Within-class variance 1: 5,000 samples × 4 features give a standard error of 1 %, the bound is 4 % (false alarm 6e-5; a spread of √2 fails)."""
    d = data.blobs(8, classes=5, dim=4, count=5000, separation=4.0)
    assert torch.bincount(d.y).tolist() == [1000] * 5
    centres = torch.stack([d.x[d.y == c].mean(0) for c in range(5)])
    within = d.x - centres[d.y]
    assert float(within.square().mean()) == pytest.approx(1.0, rel=0.04)
    assert float((2**0.5 * within).square().mean()) != pytest.approx(1.0, rel=0.04)
    assert float(torch.pdist(centres).min()) > 1.0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: data.blobs(1, classes=1), "two classes or more"),
        (lambda: data.blobs(1, classes=5, count=3), "a sample of each"),
        (lambda: data.blobs(-1), "seed = -1"),
        (lambda: data.blobs(1, separation=math.nan), "separation = nan"),
        (lambda: data.linear_teacher(1, dim=0), "dim = 0; wanted an integer ≥ 1"),
        (lambda: data.linear_teacher(1, nonzero=6), "nonzero = 6 exceeds dim = 5"),
        (lambda: data.linear_teacher(1, noise=-1.0), r"noise = -1\.0; wanted a finite number ≥ 0"),
        (lambda: data.logistic_teacher(1, count=0), "count = 0"),
    ],
)
def test_synthetic_data_refuse(make: Callable[[], Data], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()
