"""Third derivatives of layered networks: against nested backward passes, in pieces, with directions of unlike size, and a path that is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import sgdsde.objectives.memory as memory
from sgdsde.calculus import third, third_autodiff, third_trace
from sgdsde.objectives import Network
from sgdsde.objectives.network_batched import Batched
from sgdsde.objectives.network_layers import Tanh
from sgdsde.objectives.network_third import ThirdDerivatives


def net(*parts: nn.Module, loss: str = "cross_entropy", outputs: int = 3) -> Network:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    y = torch.arange(9) % outputs if loss == "cross_entropy" else torch.randn(9, outputs, generator=generator, dtype=torch.float64)
    return Network(nn.Sequential(*parts).double(), loss, x, y)


def deep() -> Network:
    return net(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 4, bias=False), nn.GELU(), nn.Linear(4, 3))


def draws(f: Network, paths: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    theta, u, v = (torch.randn(paths, f.dim, generator=generator, dtype=torch.float64) for _ in range(3))
    return 0.5 * theta, u, v


NETS = {
    "deep": deep,
    "squared error, SiLU": lambda: net(nn.Linear(4, 3), nn.SiLU(), nn.Linear(3, 2), loss="mse", outputs=2),
    "ReLU": lambda: net(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)),
    "sigmoid outputs": lambda: net(nn.Linear(4, 2), nn.Sigmoid(), loss="mse", outputs=2),
    "linear": lambda: net(nn.Linear(4, 2), nn.Linear(2, 3)),
}


@pytest.mark.parametrize("name", NETS)
def test_jets_agree_with_nested_backward_passes(name: str) -> None:
    f = NETS[name]()
    theta, u, v = draws(f, 3, 1)
    for first, second in ((u, u), (u, v)):
        wanted = third_autodiff(f, theta, first, second)
        torch.testing.assert_close(third(f, theta, first, second), wanted, atol=1e-12 * float(1 + wanted.abs().max()), rtol=1e-10)


class Bent(Tanh):
    """A mutant: σ″ without its factor 2."""

    def bend(self, a: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        return -h * (1 - h * h)


def test_a_wrong_second_derivative_of_the_activation_is_seen() -> None:
    f = deep()
    theta, u, _ = draws(f, 2, 3)
    assert isinstance(f.method, Batched)
    first, *rest = f.method.chain.layers
    wrong = ThirdDerivatives(replace(f.method.chain, layers=(replace(first, activation=Bent()), *rest)), f.method.loss)
    x, y = f.inputs.original.T[None], f.targets.original[None]
    right = ThirdDerivatives(f.method.chain, f.method.loss).third(theta, u, u, x, y)
    torch.testing.assert_close(right, third_autodiff(f, theta, u, u))
    assert float((wrong.third(theta, u, u, x, y) - right).abs().max()) > 0.05 * float(right.abs().max())


def test_directions_of_unlike_size_keep_their_digits() -> None:
    f = deep()
    theta, u, v = draws(f, 2, 4)
    plain = third(f, theta, u, v)
    torch.testing.assert_close(third(f, theta, 1e7 * u, 1e-7 * v), plain, rtol=1e-9, atol=1e-11)
    assert float(third(f, theta, torch.zeros_like(u), v).abs().max()) == 0


def test_trace_is_the_sum_over_a_basis_and_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    f = deep()
    theta, _, _ = draws(f, 3, 5)
    root = torch.randn(3, f.dim, 4, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    S = root @ root.transpose(1, 2) - 0.3 * torch.eye(f.dim, dtype=torch.float64)  # indefinite too
    basis = torch.eye(f.dim, dtype=torch.float64)
    wanted = torch.stack([third_autodiff(f, theta, basis[a].expand(3, -1), S[:, a]) for a in range(f.dim)]).sum(0)
    whole = third_trace(f, theta, S)
    torch.testing.assert_close(whole, wanted, rtol=1e-9, atol=1e-10)
    for numbers in (3000, 30_000):
        monkeypatch.setitem(memory.PIECE_NUMBERS, "cpu", numbers)
        torch.testing.assert_close(third_trace(f, theta, S), whole, rtol=1e-10, atol=1e-12)


def test_a_lost_path_harms_no_other() -> None:
    f = deep()
    theta, _, _ = draws(f, 3, 7)
    S = torch.eye(f.dim, dtype=torch.float64).repeat(3, 1, 1)
    good = third_trace(f, theta, S)
    theta[1], S[1] = torch.nan, torch.nan
    found = third_trace(f, theta, S)
    assert bool(torch.isnan(found[1]).all())
    torch.testing.assert_close(found[[0, 2]], good[[0, 2]])


def test_losses_that_autograd_differentiates_take_the_general_way() -> None:
    f = Network(nn.Sequential(nn.Linear(4, 2), nn.Tanh(), nn.Linear(2, 1)).double(), lambda z, y: (z[:, 0] - y).abs() ** 3, torch.randn(5, 4), torch.randn(5))
    assert f.facts.third is None
    assert f.facts.third_trace is None
