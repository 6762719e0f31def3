"""Every objective that stands in ``sgdsde/objectives`` passes the same battery: what it says of itself is compared with autodiff and, as a third way that
shares nothing with either, with finite differences of its loss. A class without ``examples()`` fails. Broken objectives at the end show that each check bites.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import math
import pickle
import pkgutil
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

import sgdsde.objectives
from sgdsde import calculus
from sgdsde.objective import Facts, Objective
from sgdsde.objectives import DoubleWell, LeastSquares, LogisticRegression, MonkeySaddle, MullerBrown, PeriodicWell, StrictSaddle


def discovered() -> list[type[Objective]]:
    """All concrete objectives of the package, found by looking, not listed."""
    found = []
    for module in pkgutil.iter_modules(sgdsde.objectives.__path__):
        namespace = importlib.import_module(f"sgdsde.objectives.{module.name}")
        for value in vars(namespace).values():
            if inspect.isclass(value) and issubclass(value, Objective) and value.__module__ == namespace.__name__ and not inspect.isabstract(value):
                found.append(value)
    return found


CLASSES = discovered()
CASES = [pytest.param(f, id=f"{cls.__name__}-{i}") for cls in CLASSES if hasattr(cls, "examples") for i, f in enumerate(cls.examples())]
every = pytest.mark.parametrize("f", CASES)


def points(f: Objective, count: int = 4, seed: int = 0) -> Tensor:
    return 0.6 * torch.randn(count, f.dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def close(a: Tensor, b: Tensor, tolerance: float) -> None:
    assert a.shape == b.shape
    error, scale = float((a - b).abs().max()), 1 + float(b.abs().max())
    assert error <= tolerance * scale, f"error {error:.3g} at scale {scale:.3g}"


def difference(function: Callable[[Tensor], Tensor], theta: Tensor, direction: Tensor, h: float = 2e-3) -> Tensor:
    """The derivative of ``function`` along ``direction`` by central differences of order four."""
    near = function(theta + h * direction) - function(theta - h * direction)
    far = function(theta + 2 * h * direction) - function(theta - 2 * h * direction)
    return (8 * near - far) / (12 * h)


def gradient_by_differences(function: Callable[[Tensor], Tensor], theta: Tensor) -> Tensor:
    """∂function/∂θ on a last axis."""
    basis = torch.eye(theta.shape[1], dtype=theta.dtype)
    return torch.stack([difference(function, theta, row.expand_as(theta)) for row in basis], -1)


# ------------------------------------------------------------------------------------------------ the checks


def check_against_autodiff(f: Objective) -> None:
    theta, u, v = points(f), points(f, seed=1), points(f, seed=2)
    facts = f.facts
    before = theta.clone()
    if facts.grad is not None:
        close(facts.grad(theta), calculus.grad_autodiff(f, theta), 1e-12)
    if facts.hessian is not None:
        close(facts.hessian(theta), calculus.hessian_autodiff(f, theta), 1e-12)
    if facts.hvp is not None:
        close(facts.hvp(theta, v), calculus.hvp_autodiff(f, theta, v), 1e-12)
    if facts.third is not None:
        close(facts.third(theta, u, v), calculus.third_autodiff(f, theta, u, v), 1e-12)
    if facts.sample_grads is not None:
        batch = torch.randint(f.n, (theta.shape[0], 3), generator=torch.Generator().manual_seed(3))
        close(facts.sample_grads(theta, None), calculus.sample_grads_autodiff(f, theta), 1e-12)
        close(facts.sample_grads(theta, batch), calculus.sample_grads_autodiff(f, theta, batch), 1e-12)
    if facts.covariance is not None:
        grads = calculus.sample_grads_autodiff(f, theta)
        centred = grads - grads.mean(1, keepdim=True)
        close(facts.covariance(theta), torch.einsum("pni,pnj->pij", centred, centred) / f.n, 1e-12)
    assert torch.equal(theta, before), "a fact changed the points that it was given"


def check_against_differences(f: Objective) -> None:
    """The loss alone decides: gradient from losses, Hessian from gradients, third derivative from Hessians, gᵢ from ℓᵢ."""
    theta, u, v = points(f), points(f, seed=1), points(f, seed=2)
    close(calculus.grad(f, theta), gradient_by_differences(f.loss, theta), 1e-7)
    close(calculus.hessian(f, theta), gradient_by_differences(lambda t: calculus.grad(f, t), theta), 1e-7)
    close(calculus.hvp(f, theta, v), difference(lambda t: calculus.grad(f, t), theta, v), 1e-6)
    close(calculus.third(f, theta, u, v), difference(lambda t: calculus.hvp(f, t, v), theta, u), 1e-6)
    close(calculus.sample_grads(f, theta), gradient_by_differences(f.sample_loss, theta), 1e-6)


def check_shapes_and_dtype(f: Objective) -> None:
    theta = points(f)
    paths, batch = theta.shape[0], torch.zeros(theta.shape[0], 2, dtype=torch.long)
    vectors = points(f, seed=4)
    results = {
        "sample_loss": (lambda t: f.sample_loss(t), (paths, f.n)),
        "batch loss": (lambda t: f.sample_loss(t, batch), (paths, 2)),
        "grad": (f.facts.grad, (paths, f.dim)),
        "hessian": (f.facts.hessian, (paths, f.dim, f.dim)),
        "hvp": (f.facts.hvp and (lambda t: f.facts.hvp(t, vectors.to(t))), (paths, f.dim)),
        "third": (f.facts.third and (lambda t: f.facts.third(t, vectors.to(t), t)), (paths, f.dim)),
        "covariance": (f.facts.covariance, (paths, f.dim, f.dim)),
        "sample_grads": (f.facts.sample_grads and (lambda t: f.facts.sample_grads(t, batch)), (paths, 2, f.dim)),
    }
    for name, (function, shape) in results.items():
        if function is not None:
            exact, single = function(theta), function(theta.float())
            assert tuple(exact.shape) == shape, name
            assert exact.dtype == torch.float64, name
            assert single.dtype == torch.float32, name
            close(single.double(), exact, 3e-5)


def check_paths_do_not_interact(f: Objective) -> None:
    theta, v = points(f), points(f, seed=5)
    for function in (calculus.grad, calculus.hessian, lambda g, t: calculus.third(g, t, v[: t.shape[0]], t), lambda g, t: g.sample_loss(t)):
        close(function(f, theta[:1]), function(f, theta)[:1], 1e-12)


def check_batch(f: Objective) -> None:
    theta = points(f)
    full = f.sample_loss(theta)
    close(f.loss(theta), full.mean(1), 1e-14)
    everything = torch.arange(f.n).expand(theta.shape[0], f.n)
    close(f.sample_loss(theta, everything), full, 1e-13)
    close(f.sample_loss(theta, everything.contiguous()), full, 1e-13)
    some = torch.randint(f.n, (theta.shape[0], 5), generator=torch.Generator().manual_seed(6))
    close(f.sample_loss(theta, some), full.gather(1, some), 1e-13)


def check_stationary_points(f: Objective) -> None:
    """No gradient; no lower point near a minimum; lower points near a saddle, and higher ones where there is more than one dimension."""
    for kind, point in [("minimum", p) for p in f.facts.minima] + [("saddle", p) for p in f.facts.saddles]:
        center = torch.tensor([point], dtype=torch.float64)
        assert center.shape == (1, f.dim)
        H = calculus.hessian_autodiff(f, center)[0]
        values, vectors = torch.linalg.eigh(H)
        size = 1 + float(values.abs().max())
        assert float(calculus.grad_autodiff(f, center).abs().max()) <= 1e-12 * size
        random = torch.randn(40, f.dim, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        directions = torch.cat([vectors.T, -vectors.T, random / random.norm(dim=1, keepdim=True)])
        change = f.loss(center + 0.01 * directions) - f.loss(center)
        rounding = 1e-13 * (1 + abs(float(f.loss(center))))
        if kind == "minimum":
            assert float(values[0]) >= -1e-12 * size
            assert float(change.min()) >= -rounding
        else:
            assert float(values[0]) <= 1e-12 * size
            assert float(change.min()) < -1e-8 * size
            assert f.dim == 1 or float(change.max()) > 1e-8 * size


def check_barrier(f: Objective) -> None:
    """The barrier leads out of the deepest minimum through a listed saddle; minima are listed deepest first."""
    if f.facts.minima:
        depths = f.loss(torch.tensor(f.facts.minima, dtype=torch.float64))
        assert float(depths[0]) <= float(depths.min()) + 1e-12 * (1 + float(depths.abs().max()))
    if f.facts.barrier is not None:
        saddles = f.loss(torch.tensor(f.facts.saddles, dtype=torch.float64))
        assert float((saddles - depths[0] - f.facts.barrier).abs().min()) <= 1e-12 * (1 + float(saddles.abs().max()))


def check_constant_hessian(f: Objective) -> None:
    H = calculus.hessian_autodiff(f, torch.cat([points(f), 3 * points(f, seed=8), torch.zeros(1, f.dim, dtype=torch.float64)]))
    constant = float((H - H[:1]).abs().max()) <= 1e-10 * (1 + float(H.abs().max()))
    assert f.facts.constant_hessian == constant


def check_pickle(f: Objective) -> None:
    again, theta = pickle.loads(pickle.dumps(f)), points(f)
    assert torch.equal(again.sample_loss(theta), f.sample_loss(theta))
    assert torch.equal(calculus.grad(again, theta.float()), calculus.grad(f, theta.float()))
    assert again.facts.minima == f.facts.minima


CHECKS = [
    check_against_autodiff,
    check_against_differences,
    check_shapes_and_dtype,
    check_paths_do_not_interact,
    check_batch,
    check_stationary_points,
    check_barrier,
    check_constant_hessian,
    check_pickle,
]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_objective_offers_examples(cls: type[Objective]) -> None:
    assert hasattr(cls, "examples"), f"{cls.__name__} needs a classmethod examples() -> list[Objective] to enter the battery"
    assert all(isinstance(f, cls) for f in cls.examples())
    assert cls.examples()


#: what goes with networks and is no objective
COMPANIONS = {"InitialDistribution", "frozen", "load_networks", "save_networks"}


def test_the_listing_is_complete() -> None:
    public = {cls.__name__ for cls in CLASSES if not cls.__name__.startswith("_")}
    assert public | COMPANIONS == set(sgdsde.objectives.__all__)
    assert not public & COMPANIONS


@every
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_battery(check: Callable[[Objective], None], f: Objective) -> None:
    check(f)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every
def test_facts_on_a_gpu(f: Objective) -> None:
    theta = points(f)
    for function in (
        calculus.grad,
        calculus.hessian,
        lambda g, t: calculus.hvp(g, t, t),
        lambda g, t: calculus.third(g, t, t, t),
        lambda g, t: g.sample_loss(t),
    ):
        there = function(f, theta.cuda())
        assert there.is_cuda
        close(there.cpu(), function(f, theta), 1e-10)


# ------------------------------------------------------------------------- the checks themselves can fail


class _Two(Objective):
    """Two samples, ℓ₁ = θ₁⁴ and ℓ₂ = θ₁θ₂² + θ₂²; the right facts, to be broken one at a time."""

    dim, n = 2, 2

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        a, b = theta[:, 0], theta[:, 1]
        losses = torch.stack([a**4, a * b**2 + b**2], 1)
        return losses if batch is None else losses.gather(1, batch)


def _broken(**facts: object) -> Objective:
    f = _Two()
    f.facts = replace(Facts(), **facts)  # type: ignore[arg-type]
    return f


def _of(function: Callable[..., Tensor], change: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda *arguments: change(function(_Two(), *arguments))


def _mislabelled(f: Objective) -> Objective:
    f.facts = replace(f.facts, minima=f.facts.saddles[:1])
    return f


def _shift(x: Tensor) -> Tensor:
    return x + 1e-4


MUTANTS = {
    "gradient with a missing half": (_broken(grad=_of(calculus.grad_autodiff, lambda g: g / 2)), check_against_autodiff),
    "gradient with a missing half, by differences": (_broken(grad=_of(calculus.grad_autodiff, lambda g: g / 2)), check_against_differences),
    "shifted Hessian": (_broken(hessian=_of(calculus.hessian_autodiff, _shift)), check_against_autodiff),
    "shifted Hessian, by differences": (_broken(hessian=_of(calculus.hessian_autodiff, _shift)), check_against_differences),
    "product with another vector": (_broken(hvp=_of(calculus.hvp_autodiff, lambda x: x.flip(1))), check_against_autodiff),
    "third derivative, wrong sign": (_broken(third=_of(calculus.third_autodiff, torch.neg)), check_against_differences),
    "third derivative, wrong sign, by autodiff": (_broken(third=_of(calculus.third_autodiff, torch.neg)), check_against_autodiff),
    "sample gradients of the wrong samples": (
        _broken(sample_grads=lambda t, b=None: calculus.sample_grads_autodiff(_Two(), t, b).flip(1)),
        check_against_autodiff,
    ),
    "covariance with n − 1": (_broken(covariance=_of(calculus.sample_covariance, lambda c: 2 * c)), check_against_autodiff),
    "covariance that is a second moment": (
        _broken(covariance=lambda t: torch.einsum("pni,pnj->pij", *[calculus.sample_grads_autodiff(_Two(), t)] * 2) / 2),
        check_against_autodiff,
    ),
    "dtype lost": (_broken(grad=_of(calculus.grad_autodiff, torch.Tensor.double)), check_shapes_and_dtype),
    "paths mixed": (_broken(grad=_of(calculus.grad_autodiff, lambda g: g - g.mean(0))), check_paths_do_not_interact),
    "false minimum": (_broken(minima=((0.3, 0.0),)), check_stationary_points),
    "saddle sold as a minimum": (_mislabelled(StrictSaddle(2)), check_stationary_points),
    "minimum sold as a saddle": (_broken(saddles=((0.0, 0.0),)), check_stationary_points),
    "wrong barrier": (_broken(minima=((0.0, 0.0),), saddles=((0.0, 0.0),), barrier=0.1), check_barrier),
    "constant Hessian claimed": (_broken(constant_hessian=True), check_constant_hessian),
    "lambda in the facts": (_broken(grad=lambda t: t), check_pickle),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_fail(name: str) -> None:
    broken, check = MUTANTS[name]
    with pytest.raises((AssertionError, AttributeError, pickle.PicklingError)):
        check(broken)


def test_unbroken_example_passes() -> None:
    f = _Two()
    for check in (check_against_autodiff, check_against_differences, check_shapes_and_dtype, check_paths_do_not_interact, check_batch, check_constant_hessian):
        check(f)


# --------------------------------------------------------------------------------- what single objectives promise


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
