"""Operators three ways for every kind of layer and loss; identities between them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from operator_networks import NETWORKS, generator, operators
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import sgdsde as sg
from sgdsde import curvature
from sgdsde.curvature.hessian import HessianOperator, KnownHessian
from sgdsde.types import InputError


def dense_references(network: sg.objectives.Network, theta: Tensor) -> dict[str, Tensor]:
    """H, G, M, Σ from whole Jacobians of a module called plainly: no operator, no vmap."""
    x, y = network.inputs.at(theta), network.targets.at(theta)

    def outputs(t: Tensor) -> Tensor:
        named = {name: part[0] for name, part in network.unflatten(t[None]).items()}
        return torch.func.functional_call(network.module.to(t), {**{k: v.at(t) for k, v in network.constants.items()}, **named}, (x,))

    def losses(t: Tensor) -> Tensor:
        return network.loss_function(outputs(t), y)

    H = torch.autograd.functional.hessian(lambda t: losses(t).mean(), theta)
    J = torch.autograd.functional.jacobian(outputs, theta)  # [n, c, dim]
    z = outputs(theta).detach()
    A = torch.stack([torch.autograd.functional.hessian(lambda o, i=i: network.loss_function(o[None], y[i : i + 1])[0], z[i]) for i in range(len(z))])
    g = torch.autograd.functional.jacobian(losses, theta)  # [n, dim]
    G, M = torch.einsum("nci,ncd,ndj->ij", J, A, J) / len(z), g.T @ g / len(z)
    return {"H": H, "G": G, "M": M, "Σ": M - torch.outer(g.mean(0), g.mean(0))}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_operator_against_dense_autograd_and_finite_differences(name: str) -> None:
    """Own data at once, in pieces of 5, and from a loader in batches of 5: all equal the dense references; H also by central differences of g."""
    network = NETWORKS[name]
    theta = network.flatten()
    wanted = dense_references(network, theta)
    x, y = network.inputs.original, network.targets.original
    loader = DataLoader(TensorDataset(x, y), batch_size=5)
    for given in ({}, {"piece": 12}, {"piece": 5}, {"data": loader}, {"data": loader, "piece": 2}):
        for key, operator in operators(network, theta, **given).items():
            assert torch.allclose(operator.dense(), wanted[key], atol=1e-11), (key, given)
    v, h = torch.randn(network.dim, generator=generator(1), dtype=torch.float64), 1e-6  # no ReLU switches between θ − hv and θ + hv
    forward, back = (sg.calculus.grad(network, (theta + sign * h * v)[None])[0] for sign in (1, -1))
    assert torch.allclose(curvature.hessian_operator(network, theta) @ v, (forward - back) / (2 * h), atol=5e-9)
    # M by finite differences of the sample losses alone
    up, down = (network.sample_loss((theta + sign * h * v)[None])[0] for sign in (1, -1))
    assert float(v @ (curvature.second_moment_operator(network, theta) @ v)) == pytest.approx(float((((up - down) / (2 * h)) ** 2).mean()), rel=1e-6)


@pytest.mark.parametrize("name", ["conv, cross-entropy", "layer norm, user's loss"])
def test_g_sigma_and_h_p_by_finite_differences(name: str) -> None:
    """vᵀGv, vᵀΣv and vᵀH_p v from losses and outputs alone, by central differences; the same with ½ for the second-order ones forgotten is far off."""
    network = NETWORKS[name]
    theta, h = network.flatten(), 1e-4
    v = torch.nn.functional.normalize(torch.randn(network.dim, generator=generator(2), dtype=torch.float64), dim=0)
    points = torch.stack([theta - h * v, theta, theta + h * v])
    with torch.no_grad():
        losses, outputs = network.sample_loss(points), network.outputs(points)
    slopes = (losses[2] - losses[0]) / (2 * h)
    quadratic = {key: float(v @ (operator @ v)) for key, operator in operators(network, theta).items()}
    assert quadratic["Σ"] == pytest.approx(float(slopes.var(correction=0)), rel=1e-6)
    moved = (outputs[2] - outputs[0]) / (2 * h)  # Jv
    ends = [network.loss_function(outputs[1] + sign * h * moved, network.targets.at(theta)) for sign in (-1, 0, 1)]
    assert quadratic["G"] == pytest.approx(float(((ends[2] - 2 * ends[1] + ends[0]) / h**2).mean()), rel=1e-5)
    p = (-losses).exp()
    H_p = float(v @ (curvature.h_p_operator(network, theta) @ v))
    assert H_p == pytest.approx(float(((p[2] - 2 * p[1] + p[0]) / h**2 / p[1]).mean()), rel=1e-5, abs=1e-6)
    assert quadratic["G"] != pytest.approx(0.5 * float(((ends[2] - 2 * ends[1] + ends[0]) / h**2).mean()), rel=0.1)


def test_closed_form_three_ways_on_least_squares() -> None:
    """H = XᵀX/n, M = (1/n)Σrᵢ²xᵢxᵢᵀ: the objective's formula, autograd in one piece and in two."""
    X = torch.randn(9, 4, generator=generator(2), dtype=torch.float64)
    y = torch.randn(9, generator=generator(3), dtype=torch.float64)
    f = sg.objectives.LeastSquares(X, y)
    theta = torch.randn(4, generator=generator(4), dtype=torch.float64)
    scale = float(sg.calculus.hessian_autodiff(f, theta[None])[0][0, 0] / (X.T @ X / 9)[0, 0])  # ½ or 1 before the square
    assert isinstance(curvature.hessian_operator(f, theta), KnownHessian)
    assert isinstance(curvature.hessian_operator(f, theta, piece=9), HessianOperator)
    for operator in (curvature.hessian_operator(f, theta), curvature.hessian_operator(f, theta, piece=9), curvature.hessian_operator(f, theta, piece=5)):
        assert torch.allclose(operator.dense(), scale * X.T @ X / 9, atol=1e-12)
    r = X @ theta - y
    M = curvature.second_moment_operator(f, theta, piece=4).dense()
    assert torch.allclose(M, scale**2 * (X * r[:, None]).T @ (X * r[:, None]) / 9, atol=1e-12)


def test_c1_h_is_m_minus_h_p_with_the_operator_and_from_a_loader() -> None:
    """C1: < 1e-12, H_p being an operator of its own; the squared loss with probabilities left out (H_p := ∇²p's mean) fails."""
    network = NETWORKS["conv, cross-entropy"]
    theta = network.flatten()
    loader = [(network.inputs.original[:7], network.targets.original[:7]), (network.inputs.original[7:], network.targets.original[7:])]
    H, M = curvature.hessian_operator(network, theta), curvature.second_moment_operator(network, theta)
    for H_p in (curvature.h_p_operator(network, theta), curvature.h_p_operator(network, theta, piece=5), curvature.h_p_operator(network, theta, data=loader)):
        assert float(((H - M).dense() + H_p.dense()).abs().max()) < 1e-12

    def probability(t: Tensor) -> Tensor:
        return (-network.sample_loss(t[None])[0]).exp().mean()

    unweighted = torch.autograd.functional.hessian(probability, theta)
    assert float(((H - M).dense() + unweighted).abs().max()) > 1e-2


def test_preconditioned_spectrum() -> None:
    """P^{-1/2}HP^{-1/2} for a diagonal and for a matrix; its eigenvalues are those of P⁻¹H; a mutant with P⁻¹ on both sides differs."""
    network = NETWORKS["linear, user's loss"]
    H = curvature.hessian_operator(network, network.flatten())
    p = torch.rand(network.dim, generator=generator(5), dtype=torch.float64) + 0.1
    A = torch.randn(network.dim, network.dim, generator=generator(6), dtype=torch.float64)
    for P in (p, A @ A.T + torch.eye(network.dim)):
        full = torch.diag(P) if P.ndim == 1 else P
        wanted = torch.linalg.eigvals(torch.linalg.solve(full, H.dense())).real.sort().values
        assert torch.allclose(torch.linalg.eigvalsh(curvature.preconditioned(H, P).dense()), wanted, atol=1e-10)
    mutant = torch.linalg.eigvalsh(H.dense() / p[:, None] / p[None, :])
    assert not torch.allclose(mutant, torch.linalg.eigvalsh(curvature.preconditioned(H, p).dense()), rtol=1e-2)
    for bad, message in ((p[:3], "wanted"), (-p, "positive"), (A, "not symmetric")):
        with pytest.raises(InputError, match=message):
            curvature.preconditioned(H, bad)


def test_kronecker_operator_is_the_kronecker_product() -> None:
    A, B = torch.randn(3, 3, generator=generator(1), dtype=torch.float64), torch.randn(4, 4, generator=generator(2), dtype=torch.float64)
    A, B = A + A.T, B + B.T
    operator = curvature.Kronecker(A, B)
    assert torch.allclose(operator.dense(), torch.kron(A, B))
    assert not torch.allclose(curvature.Kronecker(B, A).dense(), torch.kron(A, B))
    v = np.random.default_rng(0).standard_normal((12, 5))
    assert np.allclose(operator.to_scipy() @ v, torch.kron(A, B).numpy() @ v)
    with pytest.raises(InputError, match="square"):
        curvature.Kronecker(A[:2], B)
