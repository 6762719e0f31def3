"""Deterministic exit oracles: against each other, against closed forms, and at the numbers of the escape claims. No Monte Carlo here."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde import oracles
from sgdsde.oracles.killed_chain import absorption
from sgdsde.oracles.scale_function import scale_exit
from sgdsde.regions import Ball, Box, HalfSpace, Interval
from sgdsde.types import DomainError, InputError, OracleRefusal

LEFT = Interval(-math.inf, 0.0)


def quadratic(x: float, s: float = 1.0) -> sg.noises.Gaussian:
    """At η = 1: curvature ηλ = x, noise ησ = s."""
    return sg.noises.Gaussian(sg.objectives.Quadratic([x]), s**2)


def quartic(sigma: float) -> sg.noises.Gaussian:
    return sg.noises.Gaussian(sg.objectives.DoubleWell(), sigma**2)


class Nonlinear(sg.SDE):
    """Another SDE with its linearity hidden, so that the general method is used."""

    def __init__(self, sde: sg.SDE) -> None:
        self.inner, self.dim, self.noise_dim, self.eta = sde, sde.dim, sde.noise_dim, sde.eta

    def drift(self, t: float, x: torch.Tensor) -> torch.Tensor:
        return self.inner.drift(t, x)

    def diffuse(self, t: float, x: torch.Tensor, dw: torch.Tensor) -> torch.Tensor:
        return self.inner.diffuse(t, x, dw)

    def diffusion(self, t: float, x: torch.Tensor) -> torch.Tensor:
        return self.inner.diffusion(t, x)


class Scaled(Nonlinear):
    """A mutant: the diffusion times a factor."""

    def __init__(self, sde: sg.SDE, factor: float) -> None:
        super().__init__(sde)
        self.factor = factor

    def diffusion(self, t: float, x: torch.Tensor) -> torch.Tensor:
        return self.inner.diffusion(t, x) * self.factor


# ---- the linear algebra underneath


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
    found = oracles.sde_mean_exit(sg.sdes.SME1(quartic(0.9), 0.2), -0.7, LEFT)
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


# ---- the claims, at their numbers and at others


@pytest.mark.parametrize(
    ("x", "ratio", "continuous"), [(0.1, 8.0, 0.420), (0.5, 4.0, 0.120), (0.9, 3.0, 0.050), (0.3, 5.0, None), (-0.7, 9.0, None), (0.97, 2.0, None)]
)
def test_hasme_skeleton_is_sgd_and_its_continuous_watch_is_early(x: float, ratio: float, continuous: float | None) -> None:
    """B1, B2: on quadratics the skeleton's exit law is SGD's, mean and survival; watched continuously it leaves early."""
    n, interval = quadratic(x), Interval(-ratio, 0.8 * ratio if continuous is None else ratio)
    sde = sg.sdes.HASME(n, 1.0)
    sgd, skeleton = oracles.sgd_mean_exit(n, 1.0, 0.0, interval), oracles.skeleton_mean_exit(sde, 0.0, interval)
    assert skeleton.mean == pytest.approx(sgd.mean, rel=1e-10)
    t = np.arange(0, 3 * sgd.mean, max(1.0, sgd.mean // 50))
    assert np.abs(skeleton.survival(t) - sgd.survival(t)).max() < 1e-10
    watched = oracles.sde_mean_exit(sde, 0.0, interval).mean / sgd.mean
    assert watched < 1
    if continuous is not None:
        assert watched == pytest.approx(continuous, abs=5e-4)


def test_sme1_agrees_by_accident_only() -> None:
    """B3: at x = .5, R/s = 4 SME-1's continuous mean is 1.033 of SGD's; its skeleton is 8.43 times too late."""
    n, interval = quadratic(0.5), Interval(-4, 4)
    sgd, sde = oracles.sgd_mean_exit(n, 1.0, 0.0, interval).mean, sg.sdes.SME1(n, 1.0)
    assert oracles.sde_mean_exit(sde, 0.0, interval).mean / sgd == pytest.approx(1.033, abs=1e-3)
    assert oracles.skeleton_mean_exit(sde, 0.0, interval).mean / sgd == pytest.approx(8.43, abs=5e-3)


def barrier_table(sigma: float, eta: float) -> dict[str, float]:
    n, s = quartic(sigma), sg.sdes
    models = (s.SME1(n, eta), s.SME2(n, eta), s.SPF(n, eta, log="clip"), s.HASME(n, eta, log="clip"), s.HASME3(n, eta, log="clip"), s.SME3(n, eta))
    sgd = oracles.sgd_mean_exit(n, eta, -1.0, LEFT)
    return {"steps": sgd.steps} | {type(m).__name__: oracles.skeleton_mean_exit(m, -1.0, LEFT, tolerance=1e-5).mean / sgd.mean for m in models}


def check_barrier(table: dict[str, float]) -> None:
    assert table["steps"] == pytest.approx(320.0, abs=0.05)
    for name, value in {"SME1": 1.10, "SME2": 1.05, "SPF": 1.04}.items():
        assert table[name] == pytest.approx(value, abs=0.005), name
    for name, value in {"HASME": 0.768, "HASME3": 0.928}.items():
        assert table[name] == pytest.approx(value, abs=5e-4), name


def test_barrier_crossing_table() -> None:
    """B4: the double well at (η, σ) = (.2, .9). SME-3, as DESIGN section 3 writes it, gives 1.043."""
    table = barrier_table(0.9, 0.2)
    check_barrier(table)
    assert table["SME3"] == pytest.approx(1.0426, abs=5e-4)


def test_barrier_crossing_elsewhere_ranks_the_same() -> None:
    """B4 at another point, (η, σ) = (.15, .8): HA-SME is the one that leaves early, and farthest off."""
    table = barrier_table(0.8, 0.15)
    assert table["HASME"] < 0.9 < table["HASME3"] < 1
    assert 1 < table["SPF"] < 1.05 < table["SME1"] < 1.15
    assert 1 < table["SME2"] < 1.05


def test_barrier_table_sees_a_noise_one_percent_too_large() -> None:
    """Mutant: σ 1 % too large; the mean exit feels it as e^{−2·.01·2ΔV/(ησ²)}."""
    with pytest.raises(AssertionError):
        check_barrier(barrier_table(0.9 * 1.01, 0.2))


@pytest.mark.parametrize(("m", "ratio", "tolerance"), [(1.5, 20.0, 3e-4), (2.0, 100.0, 2e-5), (1.2, 60.0, 1e-3), (2.7, 60.0, 2e-3)])
def test_saddle_log_law(m: float, ratio: float, tolerance: float) -> None:
    """B5, and d dimensions: the stable directions do not matter."""
    exact = oracles.sgd_mean_exit(quadratic(1 - m), 1.0, 0.0, Interval(-ratio, ratio)).steps
    assert oracles.saddle_steps(m, ratio) == pytest.approx(exact, rel=tolerance)
    n = sg.noises.Gaussian(sg.objectives.Quadratic([0.3, 1 - m, 0.1]), np.diag([4.0, 1.0, 0.2]))
    assert oracles.saddle_exit(n, 1.0, [0.0, 0.0, 0.0], ratio) == pytest.approx(exact, rel=tolerance)


def test_saddle_numbers_of_the_claim() -> None:
    assert oracles.sgd_mean_exit(quadratic(-0.5), 1.0, 0.0, Interval(-20, 20)).steps == pytest.approx(9.733, abs=5e-4)
    assert oracles.saddle_steps(1.5, 20) == pytest.approx(9.730, abs=5e-4)
    assert oracles.sgd_mean_exit(quadratic(-1.0), 1.0, 0.0, Interval(-100, 100)).steps == pytest.approx(8.8526, abs=5e-5)
    assert oracles.saddle_steps(2.0, 100) == pytest.approx(8.8527, abs=5e-5)


def test_continuous_saddle_law() -> None:
    for mu, s, r in ((0.01, 0.01, 10.0), (0.5, 0.1, 3.0)):
        exact = oracles.sde_mean_exit(sg.sdes.SME1(quadratic(-mu, s), 1.0), 0.0, Interval(-r, r)).mean
        assert oracles.saddle_time(mu, s**2, r) == pytest.approx(exact, rel=1e-3)


def test_models_on_a_steep_saddle() -> None:
    """B6: exits at x = −2.5, R/s = 3: SGD 2.85 steps, SME-1 1.46, SME-2 1,328 (its drift has turned inward: ηµ > 2); SPF and HA-SME grow as SGD does."""
    n, interval = quadratic(-2.5), Interval(-3, 3)
    assert oracles.sgd_mean_exit(n, 1.0, 0.0, interval).steps == pytest.approx(2.85, abs=5e-3)
    assert oracles.skeleton_mean_exit(sg.sdes.SME1(n, 1.0), 0.0, interval).steps == pytest.approx(1.46, abs=5e-3)
    assert oracles.skeleton_mean_exit(sg.sdes.SME2(n, 1.0), 0.0, interval).steps == pytest.approx(1328, abs=0.6)
    assert oracles.skeleton_mean_exit(sg.sdes.HASME(n, 1.0), 0.0, interval).steps == pytest.approx(2.85, abs=5e-3)
    confined = [oracles.skeleton_mean_exit(sg.sdes.SME2(quadratic(x), 1.0), 0.0, interval).steps for x in (-1.9, -2.1)]
    assert confined[0] < 12 < confined[1] + 0.5


def test_log_mean_exit_is_linear_in_one_over_eta() -> None:
    """B8: the local slope of log Eτ (SDE time) in 1/η falls towards the exponent; with Gaussian noise that is 2ΔV/σ²."""
    n = quartic(0.9)
    inverse = np.array([10.0, 20.0, 40.0, 80.0])
    logs = np.log([oracles.sgd_mean_exit(n, 1 / k, -1.0, LEFT).mean for k in inverse])
    slopes = np.diff(logs) / np.diff(inverse)
    limit = oracles.sgd_exponent(n, 1.0, -1.0, 0.0)
    assert limit == pytest.approx(2 * 0.25 / 0.81, rel=1e-12)
    assert np.abs(slopes - limit)[-1] < 0.003 * limit
    assert (np.diff(np.abs(slopes - limit)) < 0).all()


@pytest.mark.parametrize(("temperature", "ratio"), [(0.1, 1.224), (0.05, 1.107), (0.03, 1.054), (0.02, 1.034)])
def test_kramers_prefactor(temperature: float, ratio: float) -> None:
    """B9: −1 → +1 of the quartic, exact / Kramers."""
    exact = oracles.sde_mean_exit(sg.sdes.SME1(quartic(math.sqrt(2 * temperature / 0.05)), 0.05), -1.0, Interval(-math.inf, 1.0)).mean
    law = oracles.eyring_kramers(sg.objectives.DoubleWell(), [-1.0], [0.0], temperature=temperature)
    assert law == pytest.approx(2 * math.pi / math.sqrt(2) * math.exp(0.25 / temperature), rel=1e-12)
    assert exact / law == pytest.approx(ratio, abs=6e-4)


def test_kramers_sees_a_missing_half() -> None:
    """Mutant: Q twice as large (2T for T)."""
    sde = Scaled(sg.sdes.SME1(quartic(1.0), 0.05), 2.0)
    law = oracles.eyring_kramers(sg.objectives.DoubleWell(), [-1.0], [0.0], temperature=0.025)
    assert oracles.sde_mean_exit(sde, -1.0, Interval(-math.inf, 1.0)).mean < 0.1 * law


def test_eyring_kramers_in_d_dimensions() -> None:
    """A quadratic beside the well changes nothing; two equal saddles halve the time; a stiffer saddle transversally is a narrower pass."""
    one = oracles.eyring_kramers(sg.objectives.DoubleWell(), [-1.0], [0.0], temperature=0.05)
    many = oracles.eyring_kramers(sg.objectives.DoubleWell(4, transverse=3.0), [-1.0, 0, 0, 0], [0.0] * 4, temperature=0.05)
    assert many == pytest.approx(one, rel=1e-12)
    assert oracles.eyring_kramers(sg.objectives.DoubleWell(), [-1.0], [[0.0], [0.0]], temperature=0.05) == pytest.approx(one / 2, rel=1e-12)
    with pytest.raises(DomainError, match="wanted all > 0"):
        oracles.eyring_kramers(sg.objectives.DoubleWell(), [0.0], [0.0], temperature=0.05)
    with pytest.raises(DomainError, match="one negative"):
        oracles.eyring_kramers(sg.objectives.DoubleWell(), [-1.0], [1.0], temperature=0.05)


@pytest.mark.parametrize(("x", "ratio", "expected"), [(0.1, 6.0, 1.005), (0.2, 5.0, 1.029), (0.5, 3.0, 1.135), (0.5, 4.0, 1.316), (0.9, 3.0, 3.05)])
def test_shifted_border(x: float, ratio: float, expected: float) -> None:
    """B12: .5826·√(Qη) outward repairs the watch where a = xR/s is small."""
    n = quadratic(x)
    sde = sg.sdes.HASME(n, 1.0)
    width = math.sqrt(float(sde.diffusion(0.0, torch.zeros(1, 1, dtype=torch.float64))))
    r = ratio + 0.5825971579390107 * width
    watched = oracles.sde_mean_exit(sde, 0.0, Interval(-r, r)).mean
    assert watched / oracles.sgd_mean_exit(n, 1.0, 0.0, Interval(-ratio, ratio)).mean == pytest.approx(expected, abs=6e-3)


def test_log_ratio_over_a_barrier() -> None:
    """F2: log(τ_HA/τ_SGD) of the quartic at η = .05, T = .025: −.0703, near −(η/2)·(2 + 1) = −.075."""
    n = quartic(1.0)
    ratio = oracles.skeleton_mean_exit(sg.sdes.HASME(n, 0.05), -1.0, LEFT).mean / oracles.sgd_mean_exit(n, 0.05, -1.0, LEFT).mean
    assert math.log(ratio) == pytest.approx(-0.0703, abs=5e-5)


@pytest.mark.parametrize(("a", "factor"), [(0.5, 0.560), (1.0, 0.320), (2.0, 0.119), (4.0, 0.031)])
def test_exit_through_a_slope(a: float, factor: float) -> None:
    """F3: at fixed a = g(R)/σ the models' skeletons converge to e^{a²/2} (SME-1) and e^{a²} (SME-2, SPF) of SGD's time, not to 1."""
    assert oracles.overshoot_factor(a) == pytest.approx(factor, abs=5e-4)
    ratios = []
    for x in (0.1, 0.05):
        n, interval = quadratic(x), Interval(-a / x, a / x)
        sgd, sme1, s = oracles.sgd_mean_exit(n, 1.0, 0.0, interval).mean, sg.sdes.SME1(n, 1.0), sg.sdes
        skeletons = [oracles.skeleton_mean_exit(m(n, 1.0), 0.0, interval).mean / sgd for m in (s.SME1, s.SME2, s.SPF)]
        ratios.append([*np.log(skeletons), oracles.sde_mean_exit(sme1, 0.0, interval).mean / sgd / skeletons[0]])
    limits = np.array([a**2 / 2, a**2, a**2, factor])
    errors = np.abs(np.array(ratios) - limits)
    assert (errors[1] < 0.04 * np.maximum(1, limits)).all()
    if a > 0.5:  # at a = .5 the well is not yet deep
        assert (errors[1] <= errors[0] + 5e-4).all()


@pytest.mark.parametrize(("sigma", "rademacher", "gaussian"), [(0.9, 0.676, 0.617), (0.5, 3.04, 2.00), (0.38, math.inf, 3.46)])
def test_escape_exponent_feels_the_law_of_the_noise(sigma: float, rademacher: float, gaussian: float) -> None:
    """F5: Rademacher noise in the quartic; below σ = 2/√27 = .385 it cannot climb, while every SDE can."""
    n = quartic(sigma)
    assert oracles.sgd_exponent(n, 1.0, -1.0, 0.0, law=oracles.TwoPointLaw()) == pytest.approx(rademacher, abs=5e-3)
    assert oracles.sgd_exponent(n, 1.0, -1.0, 0.0) == pytest.approx(gaussian, abs=5e-3)
    assert oracles.sde_exponent(sg.sdes.SME1(n, 0.1), -1.0, 0.0) == pytest.approx(10 * gaussian, abs=5e-2)
    if math.isinf(rademacher):
        trapped = oracles.sgd_mean_exit(n, 0.1, -1.0, Interval(-2.0, 0.0), law=oracles.TwoPointLaw())
        assert math.isinf(trapped.mean)
        assert trapped.rate == 0.0
        assert (trapped.survival([0.0, 1e6]) == 1).all()


def test_exponent_of_two_point_noise_against_the_chain() -> None:
    """F5: η·(log Eτ differences) of the chain itself go to the exponent of its law and not to the Gaussian one."""
    n, interval = quartic(0.9), Interval(-2.0, 0.0)
    means = [oracles.sgd_mean_exit(n, eta, -1.0, interval, law=oracles.TwoPointLaw(), tolerance=5e-3).mean for eta in (0.1, 0.05)]
    slope = math.log(means[1] / means[0]) / 10
    assert slope == pytest.approx(0.676, abs=0.02)
    gaussian = [oracles.sgd_mean_exit(n, eta, -1.0, interval).mean for eta in (0.1, 0.05)]
    assert math.log(gaussian[1] / gaussian[0]) / 10 == pytest.approx(0.617, abs=0.02)


@pytest.mark.parametrize("x", [1.2, 1.5, 1.8, 2.0, 2.5])
def test_even_step_model_beyond_the_real_logarithm(x: float) -> None:
    """F7: its skeleton leaves symmetric intervals as SGD does at every k; an asymmetric one (control) it does not."""
    n = quadratic(x)
    sde = sg.sdes.EvenStepHASME(n, 1.0)
    sgd, model = oracles.sgd_mean_exit(n, 1.0, 0.0, Interval(-4, 4)), oracles.skeleton_mean_exit(sde, 0.0, Interval(-4, 4))
    k = np.arange(40.0)
    assert np.abs(sgd.survival(k) - model.survival(k)).max() < 1e-12
    skewed = Interval(-4, 2)
    control = oracles.skeleton_mean_exit(sde, 0.0, skewed).mean / oracles.sgd_mean_exit(n, 1.0, 0.0, skewed).mean
    assert control > 1.05
    if x == 1.5:
        assert control == pytest.approx(1.26, abs=5e-3)


# ---- noise of finitely many values


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


# ---- exponents in d dimensions


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


# ---- refusals


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: oracles.sgd_mean_exit(plane(), 0.1, [0.0, 0.0], Ball([0.0, 0.0], 1.0)), InputError, "one-dimensional"),
        (lambda: oracles.sgd_mean_exit(quadratic(0.1), 1.0, 5.0, Interval(-4, 4)), InputError, "does not lie inside"),
        (lambda: oracles.sgd_mean_exit(quadratic(0.1, 0.001), 1.0, 0.0, Interval(-4, 4)), OracleRefusal, "panels to resolve its noise"),
        (lambda: oracles.sgd_mean_exit(vanishing(), 1.0, 1.0, Interval(-4, 4)), OracleRefusal, "panels to resolve"),
        (lambda: oracles.sgd_mean_exit(quadratic(-0.1), 1.0, 0.0, LEFT_OF_ONE), OracleRefusal, "Give a finite interval"),
        (lambda: oracles.sgd_mean_exit(quadratic(0.1), 1.0, 0.0, Interval(-4, 4), law=oracles.ExponentialLaw()), OracleRefusal, "No exit oracle for"),
        (lambda: oracles.skeleton_mean_exit(sg.sdes.HASME(quartic(0.9), 0.2), -1.0, LEFT), OracleRefusal, "does not exist at"),
        (lambda: oracles.skeleton_mean_exit(sg.sdes.SME1(quartic(0.4), 0.05), -1.0, LEFT), OracleRefusal, "rare_exit_time"),
        (lambda: oracles.sde_mean_exit(sg.sdes.GradientFlow(quartic(1.0), 0.1), -1.0, LEFT), OracleRefusal, "noise vanishes"),
        (lambda: oracles.sde_mean_exit(sg.sdes.SME1(quartic(0.02), 0.05), -1.0, LEFT), OracleRefusal, "beyond floating point"),
        (lambda: oracles.sde_mean_exit(sg.sdes.SME1(quartic(1.0), 0.1), -1.0, LEFT).steps, InputError, "has no tick"),
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
