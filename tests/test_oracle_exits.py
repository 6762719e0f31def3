"""Deterministic exit oracles against each other and against closed forms; what they refuse. No Monte Carlo here."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from exit_problems import HALF_LINE, Nonlinear, quadratic, quartic

import sgdsde as sg
from sgdsde import oracles
from sgdsde.oracles.killed_chain import absorption
from sgdsde.oracles.scale_function import scale_exit
from sgdsde.regions import Ball, Box, HalfSpace, Interval
from sgdsde.types import DomainError, InputError, OracleRefusal


def test_state_reduction_equals_the_linear_system() -> None:
    rng = np.random.default_rng(0)
    P = rng.random((40, 40))
    exits = rng.random((40, 2)) * 0.1
    total = P.sum(1) + exits.sum(1)
    P, exits = P / total[:, None], exits / total[:, None]
    direct = np.linalg.solve(np.eye(40) - P, np.column_stack([np.ones(40), exits]))
    assert np.abs(absorption(P, exits) / direct - 1).max() < 1e-12


def test_state_reduction_loses_nothing_at_a_mean_of_1e40() -> None:
    """A ring of three states, one of which leaves with probability 1e-40: the mean from it is 3·10⁴⁰ to fifteen digits."""
    P = np.array([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
    exits = np.array([[1e-40, 0.0], [0.0, 0.0], [0.0, 0.0]])
    assert absorption(P, exits)[0, 0] == pytest.approx(3e40, rel=1e-14)


@pytest.mark.parametrize("law", ["sgd", "skeleton", "nonlinear skeleton"])
def test_mean_is_the_sum_of_the_survival_curve(law: str) -> None:
    n, interval = quadratic(0.3), Interval(-2.5, 3.0)
    sde = sg.sdes.HASME(n, 1.0)
    found = {
        "sgd": lambda: oracles.sgd_mean_exit(n, 1.0, 0.4, interval),
        "skeleton": lambda: oracles.skeleton_mean_exit(sde, 0.4, interval),
        "nonlinear skeleton": lambda: oracles.skeleton_mean_exit(Nonlinear(sde), 0.4, interval),
    }[law]()
    curve = found.survival(np.arange(4000.0))
    assert curve[0] == 1.0
    assert (np.diff(curve) <= 0).all()
    assert curve.sum() == pytest.approx(found.steps, rel=1e-7)
    # far out the curve falls by the asymptotic rate
    assert math.log(curve[500] / curve[501]) == pytest.approx(found.rate, rel=1e-7)
    assert found.survival([0.999, 0.0])[0] == 1.0  # between two looks nothing is seen


def test_continuous_mean_is_the_integral_of_the_survival_curve() -> None:
    """Two independent methods: the scale function gives the mean, spectral elements the curve."""
    found = oracles.sde_mean_exit(sg.sdes.SME1(quartic(0.9), 0.2), -0.7, HALF_LINE)
    t = np.linspace(0, 20 * found.mean, 2001)
    assert np.trapezoid(found.survival(t), t) == pytest.approx(found.mean, rel=1e-3)
    assert found.rate == pytest.approx(-np.log(found.survival([300.0, 301.0])[1] / found.survival([300.0])[0]), rel=1e-5)


def test_brownian_motion_has_its_textbook_law() -> None:
    """No drift: Eτ = (R² − x²)/Q, P(up) = (x + R)/(2R), decay π²Q/(8R²)."""
    found = oracles.sde_mean_exit(sg.sdes.SME1(quadratic(0.0, 2.0), 1.0), 0.5, Interval(-1.5, 1.5))
    assert float(found) == pytest.approx((1.5**2 - 0.5**2) / 4, rel=1e-9)
    assert found.sides[1] == pytest.approx(2 / 3, rel=1e-9)
    assert found.rate == pytest.approx(math.pi**2 * 4 / (8 * 1.5**2), rel=1e-7)


def test_spectral_elements_reproduce_the_exact_gaussian_transition() -> None:
    """The general skeleton on a linear model against its exact transition: an independent route to the same chain."""
    for x, r in ((0.1, 5.0), (0.5, 3.0), (-0.4, 6.0)):
        sde = sg.sdes.HASME(quadratic(x), 1.0)
        exact = oracles.skeleton_mean_exit(sde, 0.3, Interval(-r, r))
        general = oracles.skeleton_mean_exit(Nonlinear(sde), 0.3, Interval(-r, r))
        assert general.mean == pytest.approx(exact.mean, rel=1e-7)
        assert general.sides[1] == pytest.approx(exact.sides[1], rel=1e-7)


def test_state_dependent_noise_against_a_brute_force_grid() -> None:
    """σ(θ)² = .5 + .4 sin θ in a double well, against the trapezoidal rule on 3,000 points."""
    f = sg.objectives.DoubleWell()
    n = sg.noises.Gaussian(f, wavy)
    found = oracles.sgd_mean_exit(n, 0.3, -1.0, Interval(-2.2, 0.5))
    x = np.linspace(-2.2, 0.5, 3001)
    w = np.full_like(x, x[1] - x[0])
    w[[0, -1]] /= 2
    mean, s = x - 0.3 * (x**3 - x), 0.3 * np.sqrt(0.5 + 0.4 * np.sin(x))
    K = np.exp(-0.5 * ((x - mean[:, None]) / s[:, None]) ** 2) / (math.sqrt(2 * math.pi) * s[:, None]) * w
    u = np.linalg.solve(np.eye(len(x)) - K, np.ones_like(x))
    assert found.steps == pytest.approx(np.interp(-1.0, x, u), rel=1e-4)


def wavy(theta: torch.Tensor) -> torch.Tensor:
    return (0.5 + 0.4 * torch.sin(theta))[:, :, None]


def test_two_point_noise_without_drift_is_gamblers_ruin() -> None:
    """f = 0, steps ±1, exit at |θ| ≥ N: N² steps; P(up) from j is (j + N)/(2N)."""
    n = quadratic(0.0)
    found = oracles.sgd_mean_exit(n, 1.0, 2.0, Interval(-5.5, 5.5), law=oracles.TwoPointLaw())
    assert found.steps == pytest.approx(36 - 4, rel=2e-3)
    assert found.sides[1] == pytest.approx(8 / 12, rel=2e-3)
    assert found.survival(np.arange(3000.0)).sum() == pytest.approx(found.steps, rel=1e-6)
    assert found.rate == pytest.approx(-math.log(math.cos(math.pi / 12)), rel=1e-2)


def test_minibatch_noise_is_listed_batch_by_batch() -> None:
    """Mean of (θ − cᵢ)²/2 with c = ±1: B = 1 is two-point noise with σ = 1."""
    f = sg.objectives.LeastSquares(np.ones((2, 1)), np.array([1.0, -1.0]))
    scale = float(sg.calculus.hessian(f, torch.zeros(1, 1, dtype=torch.float64))[0, 0, 0])
    interval = Interval(-0.55, 0.55)
    mini = oracles.sgd_mean_exit(sg.noises.Minibatch(f, 1), 0.2 / scale, 0.0, interval)
    twin = oracles.sgd_mean_exit(quadratic(scale, scale), 0.2 / scale, 0.0, interval, law=oracles.TwoPointLaw())
    assert mini.steps == pytest.approx(twin.steps, rel=2e-3)


def test_linear_exponents() -> None:
    n, interval = quadratic(0.2), Interval(-3.0, 4.0)
    assert oracles.linear_exponent(sg.sdes.SME1(n, 1.0), interval) == pytest.approx(oracles.sde_exponent(sg.sdes.SME1(n, 1.0), 0.0, -3.0), rel=1e-12)
    # HA-SME shares SGD's stationary law, SME-1 does not
    assert oracles.linear_exponent((n, 1.0), interval) == pytest.approx(oracles.linear_exponent(sg.sdes.HASME(n, 1.0), interval), rel=1e-10)
    two = sg.noises.Gaussian(sg.objectives.Quadratic([[1.0, 0.3], [0.3, 0.5]]), [[1.0, -0.2], [-0.2, 0.4]])
    sde = sg.sdes.SME1(two, 0.1)
    V = oracles.stationary_covariance(sde)
    V = np.asarray(V, dtype=float)
    assert oracles.linear_exponent(sde, Ball([0.0, 0.0], 2.0)) == pytest.approx(4 / (2 * np.linalg.eigvalsh(V)[-1]), rel=1e-8)
    assert oracles.linear_exponent(sde, HalfSpace([0.0, 2.0], 3.0)) == pytest.approx(1.5**2 / (2 * V[1, 1]), rel=1e-8)
    box = Box([-1.0, -9.0], [9.0, 9.0])
    assert oracles.linear_exponent(sde, box) == pytest.approx(1 / (2 * V[0, 0]), rel=1e-8)


def test_linear_exponent_against_the_chain() -> None:
    """log Eτ of SGD grows by the difference of exponents as the noise shrinks."""
    exponents, logs = [], []
    for s in (0.4, 0.3):
        n, interval = quadratic(0.3, s), Interval(-2, 2)
        exponents.append(oracles.linear_exponent((n, 1.0), interval))
        logs.append(math.log(oracles.sgd_mean_exit(n, 1.0, 0.0, interval).mean))
    assert logs[1] - logs[0] == pytest.approx(exponents[1] - exponents[0], rel=0.1)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: oracles.sgd_mean_exit(plane(), 0.1, [0.0, 0.0], Ball([0.0, 0.0], 1.0)), InputError, "one-dimensional"),
        (lambda: oracles.sgd_mean_exit(quadratic(0.1), 1.0, 5.0, Interval(-4, 4)), InputError, "does not lie inside"),
        (lambda: oracles.sgd_mean_exit(quadratic(0.1, 0.001), 1.0, 0.0, Interval(-4, 4)), OracleRefusal, "panels to resolve its noise"),
        (lambda: oracles.sgd_mean_exit(vanishing(), 1.0, 1.0, Interval(-4, 4)), OracleRefusal, "panels to resolve"),
        (lambda: oracles.sgd_mean_exit(quadratic(-0.1), 1.0, 0.0, LEFT_OF_ONE), OracleRefusal, "Give a finite interval"),
        (lambda: oracles.sgd_mean_exit(quadratic(0.1), 1.0, 0.0, Interval(-4, 4), law=oracles.ExponentialLaw()), OracleRefusal, "No exit oracle for"),
        (lambda: oracles.skeleton_mean_exit(sg.sdes.HASME(quartic(0.9), 0.2), -1.0, HALF_LINE), OracleRefusal, "does not exist at"),
        (lambda: oracles.skeleton_mean_exit(sg.sdes.SME1(quartic(0.4), 0.05), -1.0, HALF_LINE), OracleRefusal, "rare_exit_time"),
        (lambda: oracles.sde_mean_exit(sg.sdes.GradientFlow(quartic(1.0), 0.1), -1.0, HALF_LINE), OracleRefusal, "noise vanishes"),
        (lambda: oracles.sde_mean_exit(sg.sdes.SME1(quartic(0.02), 0.05), -1.0, HALF_LINE), OracleRefusal, "beyond floating point"),
        (lambda: oracles.sde_mean_exit(sg.sdes.SME1(quartic(1.0), 0.1), -1.0, HALF_LINE).steps, InputError, "has no tick"),
        (lambda: oracles.sgd_mean_exit(quartic(1.0), 0.1, -1.0, sg.regions.Where(positive_side)), InputError, "no interval"),
        (lambda: oracles.saddle_steps(0.9, 10.0), InputError, "unstable direction"),
        (lambda: oracles.saddle_steps(1.5, 0.1), InputError, "within one step"),
        (lambda: oracles.saddle_exit(quartic(1.0), 0.1, [1.0], 1.0), DomainError, "negative curvature"),
        (lambda: oracles.linear_exponent(sg.sdes.SME1(quartic(1.0), 0.1), Interval(-2, 0)), DomainError, "not linear"),
        (lambda: oracles.linear_exponent(sg.sdes.SME1(quadratic(-0.1), 1.0), Interval(-2, 1)), DomainError, "not stable"),
        (lambda: oracles.sgd_exponent(quartic(1.0), 0.1, 0.0, 0.0), InputError, "two different"),
    ],
)  # fmt: skip
def test_refusals_say_why(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


LEFT_OF_ONE = Interval(-math.inf, 1.0)


def plane() -> sg.noises.Gaussian:
    return sg.noises.Gaussian(sg.objectives.Quadratic([1.0, 1.0]), 1.0)


def vanishing() -> sg.noises.Gaussian:
    return sg.noises.Gaussian(sg.objectives.Quadratic([0.1]), squared)


def squared(theta: torch.Tensor) -> torch.Tensor:
    return (1e-10 + theta**2)[:, :, None]


def positive_side(theta: torch.Tensor) -> torch.Tensor:
    return theta[:, 0] > 0


def test_many_minibatches_are_refused() -> None:
    f = sg.objectives.LeastSquares(np.ones((40, 1)), np.linspace(-1, 1, 40))
    with pytest.raises(OracleRefusal, match="lists at most"):
        oracles.sgd_mean_exit(sg.noises.Minibatch(f, 8), 0.1, 0.0, Interval(-1, 1))


def test_scale_function_does_not_overflow_where_the_mean_is_small() -> None:
    """A steep saddle: Φ falls by 10⁴ from the centre to the border, the mean is moderate."""
    sde = sg.sdes.SME1(quadratic(-0.01, 0.01), 1.0)

    def coefficients(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 0.01 * x, np.full_like(x, 1e-4)

    mean, below, above = scale_exit(coefficients, -10.0, 0.0, 10.0, 1, what="saddle")
    assert mean == pytest.approx(oracles.sde_mean_exit(sde, 0.0, Interval(-10, 10)).mean, rel=1e-6)
    assert below == pytest.approx(0.5)
    assert above == pytest.approx(0.5)
