"""The exit oracles at the numbers of the escape claims, and at others."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from exit_problems import HALF_LINE, Scaled, quadratic, quartic

import sgdsde as sg
from sgdsde import oracles
from sgdsde.regions import Interval
from sgdsde.types import DomainError


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
    sgd = oracles.sgd_mean_exit(n, eta, -1.0, HALF_LINE)
    return {"steps": sgd.steps} | {type(m).__name__: oracles.skeleton_mean_exit(m, -1.0, HALF_LINE, tolerance=1e-5).mean / sgd.mean for m in models}


def check_barrier(table: dict[str, float]) -> None:
    assert table["steps"] == pytest.approx(320.0, abs=0.05)
    for name, value in {"SME1": 1.10, "SME2": 1.05, "SPF": 1.04}.items():
        assert table[name] == pytest.approx(value, abs=0.005), name
    for name, value in {"HASME": 0.768, "HASME3": 0.928}.items():
        assert table[name] == pytest.approx(value, abs=5e-4), name


def test_barrier_crossing_table() -> None:
    """B4: the double well at (η, σ) = (.2, .9). SME-3 gives 1.043."""
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
    logs = np.log([oracles.sgd_mean_exit(n, 1 / k, -1.0, HALF_LINE).mean for k in inverse])
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
    ratio = oracles.skeleton_mean_exit(sg.sdes.HASME(n, 0.05), -1.0, HALF_LINE).mean / oracles.sgd_mean_exit(n, 0.05, -1.0, HALF_LINE).mean
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
