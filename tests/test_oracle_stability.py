"""Mean-square growth and thresholds, against hand-derived formulas, enumerated batches and paths' own second moments."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from oracle_problems import Factor, Regression

from sgdsde.kernels import SGD, SVAG, EulerMaruyama
from sgdsde.noises import Gaussian, Minibatch, MinibatchWithoutReplacement
from sgdsde.objectives import Quadratic
from sgdsde.oracles import mean_square_growth, mean_square_threshold, sde_moments, sgd_moments
from sgdsde.sdes import HASME, SME1, SME2, SPF, EvenStepHASME
from sgdsde.types import InputError

BATCHES = (1, 4, 8, 64)


def interpolating(batch: int) -> Gaussian:
    """One dimension, λ = 1, Gaussian inputs, noise that vanishes at the minimum: Σ(w) = (2/B)λ²w²; η is x."""
    return Gaussian(Quadratic(1.0), Factor(2.0 / batch))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("x", [0.1, 0.5, 0.9])
def test_growth_in_one_dimension(batch: int, x: float) -> None:
    """The exponents by hand; and the growth of E w² over ten ticks is the growth factor to the tenth."""
    noise = interpolating(batch)
    log_m, extra = np.log1p(-x), 2 * x**2 / batch
    by_hand = {
        SME1: np.exp(-2 * x + extra),
        SME2: np.exp(-2 * x - x**2 + extra),
        SPF: np.exp(2 * log_m + extra),
        HASME: np.exp(2 * log_m * (1 - extra / (x * (2 - x)))),
    }
    assert abs(mean_square_growth(noise, x) / ((1 - x) ** 2 + extra) - 1) < 1e-12
    assert abs(mean_square_growth(SGD(noise, x)) / mean_square_growth(noise, x) - 1) < 1e-15
    assert abs(float(sgd_moments(noise, x, [1.0], 10).second) / mean_square_growth(noise, x) ** 10 - 1) < 1e-11
    for model, expected in by_hand.items():
        growth = mean_square_growth(model(noise, x))
        assert abs(growth / expected - 1) < 1e-11
        assert abs(float(sde_moments(model(noise, x), [1.0], 10 * x).second) / growth**10 - 1) < 1e-9


@pytest.mark.parametrize("batch", BATCHES)
def test_thresholds(batch: int) -> None:
    """Claim A13: SGD 2/(1+2/B), SME-1 B, SME-2 2 at B = 1 and none after, SPF none below 1, HA-SME SGD's, past 1 its even-step form."""
    noise = interpolating(batch)
    sgd = 2 / (1 + 2 / batch)
    assert abs(mean_square_threshold(lambda x: mean_square_growth(noise, x), low=0.01, high=3.0) - sgd) < 1e-10
    assert abs(mean_square_threshold(lambda x: mean_square_growth(SME1(noise, x)), low=0.01, high=100.0) - batch) < 1e-10 * batch
    sme2 = mean_square_threshold(lambda x: mean_square_growth(SME2(noise, x)), low=0.01, high=50.0)
    assert sme2 is None if batch > 1 else abs(sme2 - 2) < 1e-10
    assert mean_square_threshold(lambda x: mean_square_growth(SPF(noise, x)), low=0.01, high=0.999) is None
    hasme = mean_square_threshold(lambda x: mean_square_growth(HASME(noise, x)), low=0.01, high=0.999)
    assert hasme is None if sgd > 1 else abs(hasme - sgd) < 1e-10
    beyond = mean_square_threshold(lambda x: mean_square_growth(EvenStepHASME(noise, x)), low=0.013, high=1.999)
    assert abs(beyond - sgd) < 1e-9


def test_sme2_at_batch_two_has_no_threshold() -> None:
    """Exactly at B = 2 the exponent is −2x."""
    assert mean_square_threshold(lambda x: mean_square_growth(SME2(interpolating(2), x)), low=0.01, high=200.0) is None


@pytest.mark.parametrize("replacement", [True, False])
def test_growth_of_least_squares_equals_enumeration(replacement: bool) -> None:
    """The spectral radius of E[G ⊗ G] over all batches of two from four; the other sampling (mutant) fails."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4, 3))
    f, eta = Regression(x, rng.standard_normal(4)), 0.4
    batches = list(itertools.product(range(4), repeat=2)) if replacement else list(itertools.combinations(range(4), 2))
    mean = sum(np.kron(G, G) for G in (np.eye(3) - eta * x[list(b)].T @ x[list(b)] / 2 for b in batches)) / len(batches)
    radius = abs(np.linalg.eigvals(mean)).max()
    noises = (Minibatch(f, 2), MinibatchWithoutReplacement(f, 2))
    right, wrong = noises if replacement else noises[::-1]
    assert abs(mean_square_growth(right, eta) / radius - 1) < 1e-12
    assert abs(mean_square_growth(wrong, eta) / radius - 1) > 1e-5


def test_growth_with_additive_noise_is_that_of_the_map() -> None:
    """(1−x)² for SGD and its substeps to the power for kernels."""
    noise = Gaussian(Quadratic([0.5, 2.5]), 1.0)
    assert abs(mean_square_growth(noise, 1.0) - 2.25) < 1e-12
    assert abs(mean_square_growth(EulerMaruyama(SME1(noise, 1.0), 0.5)) - 0.75**4) < 1e-12
    assert abs(mean_square_growth(SVAG(noise, 1.0, 5)) - 0.9**10) < 1e-12
    assert abs(mean_square_growth(SME1(noise, 1.0)) - np.exp(-1.0)) < 1e-12  # never above 1 past ηλ = 2 (claim A12)


def test_unusable_input_is_refused() -> None:
    noise = interpolating(1)
    with pytest.raises(InputError, match="needs the step size"):
        mean_square_growth(noise)
    with pytest.raises(InputError, match="its own eta"):
        mean_square_growth(SME1(noise, 0.1), 0.1)
    with pytest.raises(InputError, match="no noise, SDE or kernel"):
        mean_square_growth(noise.objective)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="already unstable"):
        mean_square_threshold(lambda x: mean_square_growth(noise, x), low=0.9, high=1.0)
    with pytest.raises(InputError, match="low < high"):
        mean_square_threshold(lambda x: 0.5, low=0.9, high=0.8)
