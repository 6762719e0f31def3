"""Derivatives along an ensemble: against symbolic algebra, against ``torch.func`` (another route through autodiff) and against each other."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
import sympy
import torch
from torch import Tensor
from torch.func import jacrev

from sgdsde import calculus
from sgdsde.objective import Facts, Objective
from sgdsde.objectives import LeastSquares, LogisticRegression, PeriodicWell, Quadratic, StrictSaddle
from sgdsde.types import InputError


class Smooth(Objective):
    """Three samples in two dimensions without any facts: ℓ = (e^{a}b, sin(ab), a²b³)."""

    dim, n = 2, 3

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        a, b = theta[:, 0], theta[:, 1]
        losses = torch.stack([a.exp() * b, (a * b).sin(), a**2 * b**3], 1)
        return losses if batch is None else losses.gather(1, batch)


class Linear(Objective):
    """f = c·θ: every derivative above the first vanishes."""

    dim = 2

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return (theta * torch.tensor([1.0, -2.0], dtype=theta.dtype)).sum(1, keepdim=True)


def ensemble(*shape: int, seed: int = 0) -> Tensor:
    return 0.7 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def same(a: Tensor, b: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


A, B = sympy.symbols("a b")
SYMBOLS = (A, B)
F = (sympy.exp(A) * B + sympy.sin(A * B) + A**2 * B**3) / 3


def symbolic(expression: sympy.Expr, theta: Tensor) -> Tensor:
    values = [float(expression.subs({A: x, B: y}).evalf(30)) for x, y in theta.tolist()]
    return torch.tensor(values, dtype=torch.float64)


def test_derivatives_against_symbolic_algebra() -> None:
    theta, u, v = ensemble(3, 2), ensemble(3, 2, seed=1), ensemble(3, 2, seed=2)
    f = Smooth()
    first = torch.stack([symbolic(sympy.diff(F, s), theta) for s in SYMBOLS], 1)
    second = torch.stack([torch.stack([symbolic(sympy.diff(F, s, r), theta) for s in SYMBOLS], 1) for r in SYMBOLS], 1)
    cube = torch.stack([torch.stack([torch.stack([symbolic(sympy.diff(F, q, r, s), theta) for s in SYMBOLS], 1) for r in SYMBOLS], 1) for q in SYMBOLS], 1)
    same(calculus.grad(f, theta), first)
    same(calculus.hessian(f, theta), second)
    same(calculus.hvp(f, theta, v), torch.einsum("pij,pj->pi", second, v))
    same(calculus.third(f, theta, u, v), torch.einsum("pijk,pj,pk->pi", cube, u, v))
    S = ensemble(3, 2, 2, seed=3)
    S = S + S.transpose(1, 2)  # indefinite is allowed
    same(calculus.third_trace(f, theta, S), torch.einsum("pijk,pjk->pi", cube, S))


def test_third_trace_is_the_gradient_of_the_contraction_with_a_constant_matrix() -> None:
    """∇(S:H) with S held fixed, by finite differences of the Hessian; a differentiated S would show as a term of order one."""
    f, theta = Smooth(), ensemble(4, 2, seed=4)
    S = torch.stack([t[:, None] * t[None, :] + torch.eye(2) for t in theta])  # depends on θ, is not differentiated
    h = 1e-5
    columns = []
    for step in torch.eye(2, dtype=torch.float64) * h:
        columns.append(((calculus.hessian(f, theta + step) - calculus.hessian(f, theta - step)) / (2 * h) * S).sum((1, 2)))
    same(calculus.third_trace(f, theta, S), torch.stack(columns, 1), 1e-8)


def test_against_torch_func() -> None:
    f, theta = Smooth(), ensemble(5, 2, seed=5)

    def single(point: Tensor) -> Tensor:
        return f.sample_loss(point[None])[0]

    for i, point in enumerate(theta):
        same(calculus.sample_grads(f, theta)[i], jacrev(single)(point))
        same(calculus.hessian(f, theta)[i], jacrev(jacrev(lambda p: single(p).mean()))(point))


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("kept", ["all", "hessian", "hvp", "none"])
def test_products_with_many_vectors(k: int, kept: str) -> None:
    """Each route (matrix, closed product, double backward) gives H v for ``[P, k, dim]`` and for each vector by itself."""
    f = PeriodicWell(3, curvature=1.2, amplitude=0.5, coupling=0.7)
    full = f.facts
    facts = {"all": full, "hessian": replace(full, hvp=None), "hvp": replace(full, hessian=None), "none": Facts()}
    f.facts = facts[kept]
    theta, v = ensemble(4, 3), ensemble(4, k, 3, seed=6)
    wanted = torch.einsum("pij,pkj->pki", full.hessian(theta), v)  # type: ignore[misc]
    same(calculus.hvp(f, theta, v), wanted)
    same(calculus.hvp(f, theta, v[:, 0]), wanted[:, 0])


def test_weighted_gradient_is_the_weighted_sum() -> None:
    f, theta, weights = Smooth(), ensemble(4, 2), ensemble(4, 3, seed=7)
    grads = calculus.sample_grads(f, theta)
    same(calculus.weighted_grad(f, theta, weights, None), torch.einsum("pn,pni->pi", weights, grads))
    same(calculus.weighted_grad(f, theta, None, None), grads.mean(1))
    batch = torch.tensor([[0, 2], [1, 1], [2, 0], [0, 1]])
    picked = torch.stack([grads[p, row] for p, row in enumerate(batch)])
    same(calculus.sample_grads(f, theta, batch), picked)
    same(calculus.weighted_grad(f, theta, None, batch), picked.mean(1))
    same(calculus.weighted_grad(f, theta, weights[:, :2], batch), torch.einsum("pn,pni->pi", weights[:, :2], picked))


def test_sample_covariance_divides_by_n_and_is_centred() -> None:
    f, theta = Smooth(), ensemble(4, 2)
    wanted = torch.stack([torch.cov(grads.T, correction=0) for grads in calculus.sample_grads(f, theta)])
    same(calculus.sample_covariance(f, theta), wanted)
    assert not torch.allclose(calculus.sample_covariance(f, theta), wanted * 3 / 2)


def test_sample_covariance_needs_samples() -> None:
    with pytest.raises(InputError, match=r"one sample.*Gaussian"):
        calculus.sample_covariance(StrictSaddle(2), ensemble(1, 2))


def test_vanishing_derivatives_are_zero_not_errors() -> None:
    """A linear loss has no second derivative graph at all; a quadratic no third."""
    theta, v = ensemble(3, 2), ensemble(3, 2, seed=8)
    zero = torch.zeros(3, 2, dtype=torch.float64)
    same(calculus.hvp(Linear(), theta, v), zero)
    same(calculus.hessian(Linear(), theta), torch.zeros(3, 2, 2, dtype=torch.float64))
    same(calculus.third(Linear(), theta, v, v), zero)
    quadratic = Quadratic([[1.0, 0.2], [0.2, 3.0]])
    same(calculus.third_autodiff(quadratic, theta, v, v), zero)
    same(calculus.third_autodiff(LeastSquares([[1.0, 2.0]], [1.0]), theta, v, v), zero)


def test_dense_hessian_in_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    f, theta = Smooth(), ensemble(4, 2)
    whole = calculus.hessian_autodiff(f, theta)
    monkeypatch.setattr(calculus, "_PIECE_ELEMENTS", 1)
    same(calculus.hessian_autodiff(f, theta), whole)


def test_dense_hessian_in_pieces_bounds_the_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for 40 numbers of 20 each, no call sees more than two copies of the one point."""
    f = LogisticRegression(ensemble(20, 1).repeat(1, 4), torch.arange(20) % 2)
    f.facts = Facts()
    seen = []
    original = calculus.hvp_autodiff
    monkeypatch.setattr(calculus, "_PIECE_ELEMENTS", 80)
    monkeypatch.setattr(calculus, "hvp_autodiff", lambda g, t, v: (seen.append(t.shape[0]), original(g, t, v))[1])
    calculus.hessian_autodiff(f, ensemble(1, 4))
    assert seen == [2, 2]


def test_results_carry_no_graph_and_work_where_gradients_are_off() -> None:
    f, theta = Smooth(), ensemble(2, 2).requires_grad_(True)
    with torch.no_grad():
        results = [
            calculus.grad(f, theta),
            calculus.hvp(f, theta, theta),
            calculus.hessian(f, theta),
            calculus.third(f, theta, theta, theta),
            calculus.sample_grads(f, theta),
            calculus.third_trace(f, theta, torch.eye(2, dtype=torch.float64).expand(2, 2, 2)),
        ]
    assert not any(result.requires_grad for result in results)
    assert theta.grad is None


def test_third_derivative_of_a_transposed_argument_would_be_noticed() -> None:
    """∇³f[u, v] is symmetric in u and v, and not in the free slot: u ↔ v changes nothing, u ↔ result does."""
    f, theta, u, v = Smooth(), ensemble(3, 2), ensemble(3, 2, seed=9), ensemble(3, 2, seed=10)
    same(calculus.third(f, theta, u, v), calculus.third(f, theta, v, u))
    w = ensemble(3, 2, seed=11)
    same((calculus.third(f, theta, u, v) * w).sum(1), (calculus.third(f, theta, w, v) * u).sum(1))
    assert not torch.allclose(calculus.third(f, theta, u, v), calculus.third(f, theta, u, u))


def test_every_public_function_is_documented() -> None:
    for name, function in inspect.getmembers(calculus, inspect.isfunction):
        if function.__module__ == calculus.__name__ and not name.startswith("_"):
            assert function.__doc__, name
