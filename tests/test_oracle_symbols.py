"""The logarithm of one step on the circle, against sympy's, against SME-3 and against formulas."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch
from symbols import logarithm, one_step

import sgdsde as sg
from sgdsde.measurements.ladder import Varying, Waves
from sgdsde.oracles.symbols import ladder
from sgdsde.types import InputError, OracleRefusal

X, P = sp.symbols("x p")
AMPLITUDES, PHASES, ROOT = (0.4, 0.1), (0.3, 1.1), (0.7, 0.3, 0.4)
POINTS = np.random.default_rng(0).uniform(0, 2 * np.pi, 5)


def noise(swing: float = ROOT[1]) -> sg.Noise:
    return sg.noises.Gaussian(Waves(AMPLITUDES, PHASES), Varying(ROOT[0], swing, ROOT[2]))


def by_sympy(order: int, skewness: float) -> dict[int, sp.Expr]:
    f = sum(a * sp.cos(j * X + p) for j, (a, p) in enumerate(zip(AMPLITUDES, PHASES, strict=True), start=1))
    root = ROOT[0] + ROOT[1] * sp.cos(X + ROOT[2])
    return logarithm(one_step({1: -P * f.diff(X), 2: root**2 * P**2 / 2, 3: -skewness * root**3 * P**3 / 6}, order), [X], [P])


@pytest.mark.parametrize(("skewness", "mutant"), [(0.0, False), (1.5, False), (1.5, True)])
def test_against_sympy(skewness: float, mutant: bool) -> None:
    """All coefficients of L₁ … L₄ at random points to 1e-12, Gaussian and skewed; the skewness with the other sign is seen (mutant)."""
    found = ladder(noise(), 4, cumulants={3: -skewness if mutant else skewness} if skewness else None)
    worst = 0.0
    for k, symbol in by_sympy(4, skewness).items():
        for degree in range(1, k + 1):
            wanted = sp.lambdify(X, symbol.coeff(P, degree))(POINTS) * np.ones_like(POINTS)
            worst = max(worst, float(np.abs(found.coefficient(k, degree, POINTS) - wanted).max()))
    assert (worst < 1e-12) == (not mutant)
    assert mutant == (worst > 0.1)


def test_three_operators_are_sme3() -> None:
    """The model of three operators has SME-3's drift, and its Q up to η³ (SME-3's product form adds higher terms): the gap falls like η³."""
    gaps = []
    for eta in (0.02, 0.01):
        b, Q = ladder(noise(), 3).field(3, eta, POINTS[:, None])
        sde = sg.sdes.SME3(noise(), eta)
        x = torch.as_tensor(POINTS)[:, None]
        assert np.abs(b - sde.drift(0.0, x).numpy()).max() < 1e-13
        gaps.append(np.abs(Q - sde.diffusion(0.0, x).numpy()).max())
    assert np.log2(gaps[0] / gaps[1]) == pytest.approx(3, abs=0.05)


def test_where_third_derivatives_begin() -> None:
    """Varying Σ: none up to L₃, −ΣΣ′/4 in L₄; constant Σ: none up to L₄, −Σ²f‴/12 in L₅; never a degree above three so early."""
    c, s, q = ROOT
    root = c + s * np.cos(POINTS + q)
    varying, constant = ladder(noise(), 4), ladder(noise(0.0), 5)
    assert max(np.abs(varying.coefficient(k, 3, POINTS)).max() for k in (1, 2, 3)) < 1e-14
    assert np.abs(varying.coefficient(4, 3, POINTS) - root**3 * s * np.sin(POINTS + q) / 2).max() < 1e-13
    third = sum(a * j**3 * np.sin(j * POINTS + p) for j, (a, p) in enumerate(zip(AMPLITUDES, PHASES, strict=True), start=1))
    assert max(np.abs(constant.coefficient(k, 3, POINTS)).max() for k in (1, 2, 3, 4)) < 1e-14
    assert np.abs(constant.coefficient(5, 3, POINTS) + c**4 * third / 12).max() < 1e-13
    assert np.abs(constant.coefficient(5, 4, POINTS)).max() < 1e-13


def test_refusals() -> None:
    """What is no trigonometric polynomial, has two dimensions, or gives the second cumulant twice is refused."""
    with pytest.raises(OracleRefusal, match="the gradient is no trigonometric polynomial"):
        ladder(sg.noises.Gaussian(sg.objectives.DoubleWell(), 1.0), 3)
    with pytest.raises(InputError, match="dimension 2"):
        ladder(sg.noises.Gaussian(sg.objectives.PeriodicWell(2), np.eye(2)), 3)
    with pytest.raises(InputError, match="from the third on"):
        ladder(noise(), 3, cumulants={2: 1.0})
