"""What single objectives promise beyond the battery: barriers, published energies, periods, scale, exact margins."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.ndimage
import torch
from battery.objective_checks import close, points

import sgdsde.objectives
from sgdsde import calculus
from sgdsde.objective import Objective
from sgdsde.objectives import DoubleWell, LeastSquares, LogisticRegression, MonkeySaddle, MullerBrown, PeriodicWell, StrictSaddle


def pass_level(f: Objective, low: list[float], high: list[float], cells: int) -> float:
    """The height at which the basin of the deepest minimum first joins that of another, by flooding a grid."""
    axes = [torch.linspace(a, b, cells, dtype=torch.float64) for a, b in zip(low, high, strict=True)]
    height = f.loss(torch.cartesian_prod(*axes).reshape(-1, f.dim)).reshape([cells] * f.dim).numpy()
    index = [tuple(round((x - a) / (b - a) * (cells - 1)) for x, a, b in zip(p, low, high, strict=True)) for p in f.facts.minima]
    bottom, top = float(height[index[0]]), float(np.max([height[i] for i in index])) + 10 * (f.facts.barrier or 0)
    for _ in range(40):
        middle = (bottom + top) / 2
        labels, _ = scipy.ndimage.label(height <= middle, structure=np.ones([3] * f.dim))
        joined = labels[index[0]] > 0 and any(labels[i] == labels[index[0]] for i in index[1:])
        bottom, top = (bottom, middle) if joined else (middle, top)
    return top


@pytest.mark.parametrize(
    ("f", "low", "high", "cells"),
    [
        (MullerBrown(), [-1.5, -0.5], [1.2, 2.0], 600),
        (MonkeySaddle(), [-4.0, -4.0], [4.0, 4.0], 401),
        (MonkeySaddle(scale=0.5, quartic=0.8), [-3.0, -3.0], [3.0, 3.0], 401),
        (DoubleWell(2), [-1.5, -1.0], [1.5, 1.0], 201),
        (StrictSaddle(2, negative=(1.0, 0.6)), [-1.5, -1.5], [1.5, 1.5], 301),
        *((f, [-2.0], [2.0], 4001) for f in sgdsde.objectives.AsymmetricWell.examples()),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Objective) else None,
)
def test_barrier_is_the_lowest_pass(f: Objective, low: list[float], high: list[float], cells: int) -> None:
    """Flooding knows nothing of saddles. A grid of spacing δ finds the pass up to |f″|δ²/8: below 1 % of the barrier here (1e-3 of height for the flattest)."""
    depth = float(f.loss(torch.tensor([f.facts.minima[0]], dtype=torch.float64)))
    assert f.facts.barrier is not None
    assert pass_level(f, low, high, cells) - depth == pytest.approx(f.facts.barrier, rel=0.01)


def test_muller_brown_has_the_published_energies() -> None:
    """−146.7, −108.2, −80.8 at the minima, −40.7 and −72.2 at the saddles (Müller and Brown 1979)."""
    energies = MullerBrown().loss(torch.tensor(MullerBrown().facts.minima + MullerBrown().facts.saddles, dtype=torch.float64))
    assert energies.tolist() == pytest.approx([-146.7, -108.17, -80.77, -40.66, -72.25], abs=0.01)


def test_periodic_well_is_periodic_and_its_coupling_breaks_commutation() -> None:
    f, theta = PeriodicWell(2, amplitude=0.7, coupling=0.4), points(PeriodicWell(2))
    close(f.loss(theta + 2 * math.pi * torch.tensor([1.0, -3.0], dtype=torch.float64)), f.loss(theta), 1e-13)
    H = f.facts.hessian(theta)  # type: ignore[misc]
    assert float((H[0] @ H[1] - H[1] @ H[0]).abs().max()) > 1e-2
    H = PeriodicWell(2, amplitude=0.7).facts.hessian(theta)  # type: ignore[misc]
    assert float((H[0] @ H[1] - H[1] @ H[0]).abs().max()) == 0


def test_strict_saddle_in_a_thousand_dimensions_forms_no_matrix() -> None:
    """4,096 paths in 1,000 dimensions: 33 MB a tensor. A matrix a path would be 33 GB and could not be had."""
    f = StrictSaddle(1000, negative=(1.0, 0.5))
    theta = points(f, 4096)
    for result in (calculus.grad(f, theta), calculus.hvp(f, theta, theta), calculus.third(f, theta, theta, theta)):
        assert result.shape == theta.shape
    products = calculus.hvp(f, theta[:8], theta[:24].reshape(8, 3, 1000))
    close(products[:, 1], calculus.hvp(f, theta[:8], theta[:24].reshape(8, 3, 1000)[:, 1]), 1e-14)


def test_strict_saddle_lists_all_its_stationary_points() -> None:
    f = StrictSaddle(3, negative=(1.0, 0.4), quartic=2.0)
    assert len(f.facts.minima) == 4
    assert len(f.facts.saddles) == 5
    assert f.facts.saddles[0] == (0.0, 0.0, 0.0)


def test_two_class_softmax_agrees_with_the_binary_form() -> None:
    """With logits (0, z) the softmax loss is the binary one: same data, third class never seen, its weight pushed to −∞ by an intercept."""
    x = torch.randn(9, 2, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    y = torch.arange(9) % 2
    binary, softmax = LogisticRegression(x, y), LogisticRegression(x, y, classes=3, intercept=True)
    w = points(binary)
    zero, far = torch.zeros(4, 3, dtype=torch.float64), torch.tensor([0.0, 0.0, -800.0], dtype=torch.float64).expand(4, 3)
    stacked = torch.cat([zero, w, torch.zeros(4, 1, dtype=torch.float64), far], 1)
    close(softmax.loss(stacked), binary.loss(w), 1e-14)
    close(calculus.grad(softmax, stacked)[:, 3:5], calculus.grad(binary, w), 1e-13)
    assert torch.equal(softmax.predict(stacked), binary.predict(w))


@pytest.mark.parametrize("z", [-745.0, -40.0, 0.0, 25.0, 40.0, 700.0])
def test_binary_loss_is_exact_at_any_margin(z: float) -> None:
    """torch's softplus is off by e⁻²⁰ = 2e-9 beyond 20; here log(1 + e⁻ᶻ) and its slope are right to rounding."""
    f = LogisticRegression([[1.0], [1.0]], [1, 0])
    theta = torch.tensor([[z]], dtype=torch.float64)
    wanted = np.logaddexp(0.0, [-z, z])
    np.testing.assert_allclose(f.sample_loss(theta)[0].numpy(), wanted, rtol=1e-15, atol=1e-300)
    slopes = calculus.sample_grads_autodiff(f, theta)[0, :, 0].numpy()
    np.testing.assert_allclose(slopes, [-np.exp(-np.logaddexp(0.0, z)), np.exp(-np.logaddexp(0.0, -z))], rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("settings", list(itertools.product((2, 3), (False, True))))
def test_logistic_minimizer_is_the_minimum_that_scikit_learn_finds(settings: tuple[int, bool]) -> None:
    from sklearn.linear_model import LogisticRegression as Reference

    classes, intercept = settings
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(10), dtype=torch.float64)
    y = (x[:, 0] + 0.8 * torch.randn(60, generator=torch.Generator().manual_seed(11), dtype=torch.float64) > 0).long() + (x[:, 1] > 0.5).long() * (classes - 2)
    y = y.clamp_max(classes - 1)
    f = LogisticRegression(x, y, classes=classes, ridge=0.1, intercept=intercept)
    best = f.minimizer()
    assert float(calculus.grad(f, best[None]).norm()) <= 1e-12
    reference = Reference(C=1 / (0.1 * 60), fit_intercept=intercept, tol=1e-12, max_iter=10_000).fit(x.numpy(), y.numpy())
    weights = torch.from_numpy(reference.coef_)
    if intercept:
        weights = torch.cat([weights, torch.from_numpy(reference.intercept_)[:, None]], 1)
    theirs = float(f.loss(weights.reshape(1, -1)))
    assert float(f.loss(best[None])) <= theirs + 1e-14
    assert float(f.loss(best[None])) == pytest.approx(theirs, abs=1e-9)


def test_wide_data_take_the_path_without_stored_products(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(10, 3, generator=torch.Generator().manual_seed(12), dtype=torch.float64)
    y = torch.arange(10) % 3
    plain = LogisticRegression(x, y)
    monkeypatch.setattr("sgdsde.objectives.linear_model._KEPT_PRODUCTS", 20)
    monkeypatch.setattr("sgdsde.objectives.linear_model._PIECE_ELEMENTS", {"cpu": 20})
    wide, theta = LogisticRegression(x, y), points(plain)
    assert plain.products is not None
    assert wide.products is None
    close(wide.facts.hessian(theta), plain.facts.hessian(theta), 1e-14)  # type: ignore[misc]
    close(wide.facts.covariance(theta), plain.facts.covariance(theta), 1e-13)  # type: ignore[misc]
    close(wide.facts.third(theta, theta, theta), calculus.third_autodiff(plain, theta, theta, theta), 1e-12)  # type: ignore[misc]


def test_single_precision_data_keep_double_precision_sums() -> None:
    x = torch.randn(2000, 3, generator=torch.Generator().manual_seed(13)) + 10
    y = torch.randn(2000, generator=torch.Generator().manual_seed(14))
    exact, single = LeastSquares(x.double(), y.double()), LeastSquares(x, y)
    theta = points(exact)
    close(calculus.grad(single, theta), calculus.grad(exact, theta), 1e-12)
    close(calculus.sample_covariance(single, theta), calculus.sample_covariance(exact, theta), 1e-12)
