"""Layer by layer: blocks, piecewise linear identities, tied, frozen and empty layers."""

from __future__ import annotations

import pytest
import torch
from operator_networks import NETWORKS, generator, operators, seeded
from torch import Tensor, nn

import sgdsde as sg
from sgdsde import curvature
from sgdsde.types import InputError


def test_c2_and_c3_at_the_size_of_the_ledger() -> None:
    """Digits, 64-20-20-10, n = 50: layer blocks of H and G agree to 1e-14 of the largest entry, tr H = tr G, rank G ≤ 450 < rank H."""
    digits = sg.data.digits(count=50)
    module = nn.Sequential(nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 10)).double()
    network = sg.objectives.Network(module, "cross_entropy", digits.x, digits.y)
    theta = network.initial(1, generator(0))[0]
    H, G = curvature.hessian_operator(network, theta).dense(), curvature.gauss_newton_operator(network, theta).dense()
    for part in curvature.layer_blocks(network).values():
        assert float((H[part, part] - G[part, part]).abs().max()) < 1e-14 * float(G.abs().max())
    ranks = [int((torch.linalg.eigvalsh(A).abs() > 1e-12 * torch.linalg.eigvalsh(A).abs().max()).sum()) for A in (G, H)]
    assert ranks[0] <= 450 < ranks[1]


def test_layer_operators_are_the_blocks_of_the_matrix() -> None:
    network = NETWORKS["conv, cross-entropy"]
    theta = network.flatten()
    for operator in operators(network, theta).values():
        whole = operator.dense()
        named = curvature.layer_operators(operator, network)
        assert list(named) == ["0.weight", "0.bias", "4.weight", "4.bias"]
        for name, part in curvature.layer_blocks(network).items():
            assert torch.allclose(named[name].dense(), whole[part, part], atol=1e-12)
            assert name in named[name].label
    with pytest.raises(InputError, match="no operator of it"):
        curvature.layer_operators(curvature.Matrix(torch.eye(3)), network)


def test_piecewise_linear_identity_is_used_where_it_holds_and_refused_elsewhere() -> None:
    """tr H by Hutch++ on G for ReLU with frozen BatchNorm; tanh, LayerNorm and a tied layer are refused by name."""
    network = NETWORKS["frozen batch norm, cross-entropy"]
    theta = network.flatten()
    found = curvature.piecewise_linear_trace(network, theta, products=30)
    exact = float(curvature.hessian_operator(network, theta).dense().trace())
    assert abs(found.value - exact) < 4.9 * found.stderr + 1e-9
    for name, tensor in (("conv, cross-entropy", "'0.weight'"), ("layer norm, squared error", "'0.weight'")):
        with pytest.raises(InputError, match=rf"block of {tensor}.*not piecewise linear"):
            curvature.piecewise_linear_trace(NETWORKS[name], NETWORKS[name].flatten())


class Tied(nn.Module):
    """The same weights twice."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.activation(self.first(x)))


def test_tied_and_frozen_parameters_are_handled_and_layer_identities_refused_for_them() -> None:
    module = Tied(nn.ReLU()).double()
    seeded(module)  # type: ignore[arg-type]
    module.first.bias.requires_grad_(False)
    x, y = torch.randn(8, 3, generator=generator(1), dtype=torch.float64), torch.arange(8) % 3
    network = sg.objectives.Network(module, "cross_entropy", x, y)
    theta = network.flatten()
    assert list(curvature.layer_blocks(network)) == ["first.weight", "second.bias"]
    assert network.dim == 12

    def loss(t: Tensor) -> Tensor:
        W = t[:9].reshape(3, 3)
        return nn.functional.cross_entropy((x @ W.T + module.first.bias.detach()).relu() @ W.T + t[9:], y)

    assert torch.allclose(curvature.hessian_operator(network, theta).dense(), torch.autograd.functional.hessian(loss, theta), atol=1e-12)
    with pytest.raises(InputError, match=r"first\.weight.*tied"):
        curvature.require_piecewise_linear(network, theta)
    with pytest.raises(InputError, match="tied"):
        curvature.kronecker_decoupling(network, theta, "first")
    with pytest.raises(InputError, match="frozen or tied"):
        curvature.layer_operator(curvature.hessian_operator(network, theta), network, "first.bias")


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_empty_layers() -> None:
    module = nn.Sequential(nn.Linear(3, 0, bias=False), nn.Linear(0, 2)).double()
    network = sg.objectives.Network(module, "cross_entropy", torch.randn(4, 3, generator=generator(), dtype=torch.float64), torch.arange(4) % 2)
    H = curvature.hessian_operator(network, torch.zeros(2, dtype=torch.float64))
    assert torch.allclose(H.dense(), torch.tensor([[0.25, -0.25], [-0.25, 0.25]], dtype=torch.float64))
    assert list(curvature.layer_operators(H, network)) == ["1.bias"]
    with pytest.raises(InputError, match="empty layer"):
        curvature.layer_operator(H, network, "0.weight")
