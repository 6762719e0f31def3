"""Exits of noise of finitely many values where they are rare: the mean without subtraction, and its exponent."""

from __future__ import annotations

import math

import numpy as np
import pytest

import sgdsde as sg
from sgdsde.oracles import TwoPointLaw, exit_atoms, sgd_exponent, sgd_mean_exit
from sgdsde.regions import Interval
from sgdsde.types import OracleRefusal

WELL = Interval(-2.0, 0.0)


def quartic(sigma: float) -> sg.Noise:
    return sg.noises.Gaussian(sg.objectives.DoubleWell(), sigma**2)


@pytest.mark.parametrize("eta", [0.2, 0.1])
def test_elimination_agrees_with_the_sparse_solve(eta: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """σ = .7: means of 5e3 and 4e6 steps, the same by both ways to ten digits fewer than the mean has; sides too."""
    noise, law = quartic(0.7), TwoPointLaw()
    sparse = sgd_mean_exit(noise, eta, -1.0, WELL, law=law, tolerance=5e-3)
    monkeypatch.setattr(exit_atoms, "_SPARSE_STEPS", 1.0)
    reduced = sgd_mean_exit(noise, eta, -1.0, WELL, law=law, tolerance=5e-3)
    assert reduced.mean == pytest.approx(sparse.mean, rel=1e-15 * sparse.steps + 1e-12)
    assert reduced.sides[1] == pytest.approx(sparse.sides[1], abs=1e-8)


def test_exponent_at_twenty_decades() -> None:
    """Rademacher noise, σ = .5, means up to 3e20 steps: the slope of log Eτ in 1/η is the law's exponent within .5 %; the Gaussian one is 34 % off."""
    noise, law = quartic(0.5), TwoPointLaw()
    means = [sgd_mean_exit(noise, eta, -1.0, WELL, law=law, tolerance=0.03).mean for eta in (0.1, 0.07)]
    slope = math.log(means[1] / means[0]) / (1 / 0.07 - 10)
    assert means[1] > 1e19
    assert slope == pytest.approx(sgd_exponent(noise, 1.0, -1.0, 0.0, law=law), rel=5e-3)
    assert abs(slope / sgd_exponent(noise, 1.0, -1.0, 0.0) - 1) > 0.3


def test_refusal_names_the_mean() -> None:
    """Where the largest grid that can be reduced is too coarse, the refusal says how far it came."""
    with pytest.raises(OracleRefusal, match=r"2048 and 4096 cells differ by .* at a mean near 2\.\de\+20 steps"):
        sgd_mean_exit(quartic(0.5), 0.07, -1.0, WELL, law=TwoPointLaw())


def test_survival_of_a_rare_exit_is_flat() -> None:
    """A mean of 1e9 steps: no exit to be seen in the first hundred."""
    law = sgd_mean_exit(quartic(0.7), 0.07, -1.0, WELL, law=TwoPointLaw(), tolerance=5e-3)
    assert np.abs(law.survival([0.0, 3.5, 7.0]) - 1).max() < 1e-6
