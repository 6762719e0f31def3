"""What an objective says of itself, compared with autodiff and, as a third way that shares nothing with either, with finite differences of its loss."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import sgdsde.objectives
from sgdsde import calculus
from sgdsde.objective import Objective


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
