"""The linear scaling study: its balance law and its bound on cases with known answers, its intervals, and a loss that sees directions only."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde.calculus import grad, sample_grads
from sgdsde.measurements.linear_scaling import CLOSE, Equilibrium, closeness, excess, linear_scaling
from sgdsde.objectives import Quadratic, ScaleInvariant, ShallowTanh
from sgdsde.oracles import sgd_moments
from sgdsde.types import InputError

NONE = np.zeros((3, 3))


def exact(R: float, G: float, N: float, step: float) -> Equilibrium:
    return Equilibrium(np.array([R, G, step * N]), NONE, step, 0)


def quadratic(step: float, strength: float, variance: float, dim: int) -> tuple[float, float, float]:
    """R, G, N of SGD on (λ/2)‖θ‖² with noise variance σ² a coordinate, far into the run, from the oracle of moments."""
    moments = sgd_moments(sg.noises.Gaussian(Quadratic(strength * torch.eye(dim, dtype=torch.float64)), variance), step, torch.zeros(dim), 4000)
    R = float(moments.covariance.trace())
    return R, strength**2 * R, dim * variance


def test_balance_holds_on_a_quadratic_and_not_without_the_gradient() -> None:
    """L = (λ/2)‖θ‖² has ⟨θ, ∇L⟩ = λ‖θ‖² too; the SDE's law, without G, is the mutant."""
    R, G, N = quadratic(1.2, 0.5, 0.7, 3)
    assert exact(R, G, N, 1.2).balance(0.5, 1.0).value == pytest.approx(1, abs=1e-12)
    assert abs(exact(R, 0.0, N, 1.2).balance(0.5, 1.0).value - 1) > 0.3


@pytest.mark.parametrize("kappa", [2, 5, 40])
def test_the_bound_is_an_equality_where_directions_do_not_change(kappa: int) -> None:
    """On a sphere G and N fall like 1/R: with the same law of directions, G₁ = 1, N₁ = 3, balance gives R/R₁ = ρ, ρ² = κ(G₁ + N₁/κ)/(G₁ + N₁)."""
    small = exact(2.0, 1.0, 3.0, 0.1)
    rho = math.sqrt(kappa * (1 + 3 / kappa) / 4)
    large = exact(2.0 * rho, 1 / rho, 3 / kappa / rho, 0.1 * kappa)
    strength = 0.1 * 4 / 4.0
    assert small.balance(strength, 1.0).value == pytest.approx(1)
    assert large.balance(strength, 1.0).value == pytest.approx(1)
    assert closeness(large, small, 1.0).value == pytest.approx(rho)
    assert excess(large, small, 1.0).value == pytest.approx(1)
    G, N = 1 / rho, 3 / kappa / rho  # the condition of the infinite ratio, 1 + G/N, would be broken
    assert rho**2 / (1 + G / N) < 1 - 1e-3


def test_condition_and_bound_say_the_same() -> None:
    """G/N over the most that C = √2 allows is 1 exactly where c² = 2."""
    for kappa in (3, 8, 100):
        ratio = (CLOSE**2 - 1) / (1 - CLOSE**2 / kappa)
        at = exact(1.0, ratio, 1.0, kappa)
        assert at.condition(kappa, 1.0).value == pytest.approx(1)
        assert kappa * (ratio + 1) / (ratio + kappa) == pytest.approx(2)
    assert exact(1.0, 5.0, 1.0, 2.0).condition(2, 1.0).value == 0  # κ ≤ C²: nothing is asked


def test_intervals_have_the_spread_that_repetition_shows() -> None:
    """The delta method's standard error of the excess against 400 repetitions; theirs is known to 3.5 %, so a tenth is three times that (fixed seed)."""
    rng = np.random.default_rng(0)
    mean, factor = np.array([2.0, 0.3, 0.5]), np.array([[0.3, 0, 0], [0.05, 0.04, 0], [0.1, 0.0, 0.06]])

    def drawn(scale: np.ndarray, step: float) -> Equilibrium:
        table = (mean + rng.standard_normal((200, 3)) @ factor.T) * scale
        return Equilibrium(table.mean(0), np.cov(table, rowvar=False) / 200, step, 200)

    found = [excess(drawn(np.array([1.5, 1.0, 0.8]), 8.0), drawn(np.ones(3), 1.0), 1.96) for _ in range(400)]
    logs = np.log([e.value for e in found])
    claimed = np.mean([e.stderr / e.value for e in found])
    assert logs.std() == pytest.approx(claimed, rel=0.1)
    assert logs.std() != pytest.approx(claimed / 2, rel=0.1)  # a mutant with the factor 2 of C*² forgotten


def test_scale_invariant_losses_see_directions_only() -> None:
    f = ScaleInvariant(ShallowTanh.examples()[1], 2.0)
    theta = torch.randn(4, f.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(f.loss(theta), f.loss(3 * theta))
    assert float((grad(f, theta) * theta).sum(1).abs().max()) < 1e-14
    assert float((sample_grads(f, theta) @ theta[:, :, None]).abs().max()) < 1e-14
    assert torch.allclose(grad(f, 3 * theta), grad(f, theta) / 3)
    with pytest.raises(InputError, match="radius"):
        ScaleInvariant(ShallowTanh.examples()[0], 0.0)


def test_a_small_run_reaches_equilibrium() -> None:
    """48 paths: the balance is known to 3 %; an equilibrium not reached (a tenth of the burn-in) would miss by more than half (fixed seed)."""
    setting = {"eta": 0.2, "strength": 0.1, "radius": 3.0, "training": 3}
    found = linear_scaling(seed=1, level=0.95, settings={"s": setting}, kappas=(8,), amplified=(8,), amplification=2, samples=40, paths=48).estimates
    for key in ("balance", "SVAG balance"):
        assert found[f"s/8/{key}"].value == pytest.approx(1, abs=0.12)
    assert found["s/8/excess"].high > 1
    assert found["s/8/early"].high < 0.7
