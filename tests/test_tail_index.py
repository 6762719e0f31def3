"""Kesten indices: closed forms for the SDEs, Monte Carlo and an identity for SGD, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde.oracles.tail_index import kesten_index
from sgdsde.types import InputError, OracleRefusal


class Growing:
    """Σ(w) = λ²w²/B + .1, as a picklable function."""

    def __init__(self, batch_size: float) -> None:
        self.batch_size = batch_size

    def __call__(self, w: torch.Tensor) -> torch.Tensor:
        return w[:, :, None] ** 2 / self.batch_size + 0.1


def noise(batch_size: float = 1.0) -> sg.noises.Gaussian:
    return sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), Growing(batch_size))


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("x", [0.1, 0.5, 0.9])
def test_closed_forms(x: float, batch_size: int) -> None:
    """SME-1 1 + 2B/x, SME-2 1 + B(2+x)/x, HA-SME (both forms) 1 + B(2−x)/x, to 1e-10."""
    wanted = {
        "SME1": 1 + 2 * batch_size / x,
        "SME2": 1 + batch_size * (2 + x) / x,
        "HASME": 1 + batch_size * (2 - x) / x,
        "HASMEProduct": 1 + batch_size * (2 - x) / x,
    }
    for name, value in wanted.items():
        assert kesten_index(getattr(sg.sdes, name)(noise(batch_size), x)) == pytest.approx(value, rel=1e-10)


def test_sgd_regression_numbers_and_an_exact_case() -> None:
    """21.86, 5.55 at x = .1, .5; exactly 2 at x = 1, B = 1 (G = z and E z² = 1); at index 2 in general (1−x)² + x²/B = 1."""
    assert kesten_index(noise(), 0.1) == pytest.approx(21.863444, abs=1e-6)
    assert kesten_index(noise(), 0.5) == pytest.approx(5.550606, abs=1e-6)
    assert kesten_index(noise(), 1.0) == pytest.approx(2.0, abs=1e-9)
    assert kesten_index(noise(4), 2 / (1 + 1 / 4)) == pytest.approx(2.0, abs=1e-9)


def test_sgd_index_by_monte_carlo() -> None:
    """E|G|^α = 1 at the index, from 4e5 normals within 4 standard errors (false alarm 6e-5, resolves 1 % in α); SME-1's index fails by more (mutant)."""
    x = 0.5
    z = np.random.default_rng(0).normal(size=400_000)
    for alpha, holds in ((kesten_index(noise(), x), True), (kesten_index(sg.sdes.SME1(noise(), x)), False)):
        power = np.abs(1 - x + x * z) ** alpha
        assert (abs(power.mean() - 1) < 4 * power.std() / len(z) ** 0.5) == holds


def test_refusals() -> None:
    constant = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
    with pytest.raises(OracleRefusal, match="Gaussian tails"):
        kesten_index(constant, 0.1)
    with pytest.raises(OracleRefusal, match="no stationary law"):
        kesten_index(noise(), 3.0)
    with pytest.raises(OracleRefusal, match="above 200"):
        kesten_index(noise(1000), 0.1)
    with pytest.raises(InputError, match="needs the step size"):
        kesten_index(noise())
    with pytest.raises(InputError, match="leave eta out"):
        kesten_index(sg.sdes.SME1(noise(), 0.1), 0.1)
    with pytest.raises(InputError, match="dimension is 2"):
        kesten_index(sg.noises.Gaussian(sg.objectives.Quadratic([1.0, 2.0]), 1.0), 0.1)
