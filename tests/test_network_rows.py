"""Gradients of small batches of wide samples, samples before features: the same numbers as the general way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import sgdsde.objectives.network_batched as network_batched
from sgdsde.objectives import Network
from sgdsde.objectives.network_layers import Chain
from sgdsde.objectives.network_losses import OutputLoss
from sgdsde.objectives.network_rows import weighted_grad_by_rows

NETS = {
    "cross-entropy": ((nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, 3)), "cross_entropy"),
    "narrow": ((nn.Linear(64, 2), nn.ReLU(), nn.Linear(2, 4, bias=False), nn.SiLU(), nn.Linear(4, 3)), "cross_entropy"),
    "squared error": ((nn.Linear(64, 3), nn.Sigmoid(), nn.Linear(3, 2)), "mse"),
}


def net(name: str) -> Network:
    parts, loss = NETS[name]
    x = torch.randn(30, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Network(nn.Sequential(*parts).double(), loss, x, torch.arange(30) % 3 if loss == "cross_entropy" else x[:, :2])


def draws(f: Network, paths: int, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    theta = 0.3 * torch.randn(paths, f.dim, generator=generator, dtype=torch.float64)
    return theta, torch.randint(30, (paths, batch), generator=generator), torch.rand(paths, batch, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("batch", [2, 8, 9])
def test_rows_agree_with_the_general_way(name: str, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of nine take the other way: the count of calls tells that eight did not."""
    f, calls = net(name), 0

    def counted(chain: Chain, loss: OutputLoss, theta: Tensor, x: Tensor, y: Tensor, *, weights: Tensor | None, out: Tensor) -> None:
        nonlocal calls
        calls += 1
        weighted_grad_by_rows(chain, loss, theta, x, y, weights=weights, out=out)

    monkeypatch.setattr(network_batched, "weighted_grad_by_rows", counted)
    theta, rows, weights = draws(f, 4, batch)
    for chosen in (None, weights):
        torch.testing.assert_close(f.method.weighted_grad(theta, chosen, rows), f.vmapped.weighted_grad(theta, chosen, rows), rtol=1e-10, atol=1e-12)
    assert calls == (2 if batch <= 8 else 0)


def test_a_gradient_with_the_samples_mixed_up_is_seen() -> None:
    """The mutant gives each sample the weight of the next."""
    f = net("cross-entropy")
    theta, rows, weights = draws(f, 3, 6)
    right = f.method.weighted_grad(theta, weights, rows)
    assert float((f.method.weighted_grad(theta, weights.roll(1, 1), rows) - right).abs().max()) > 0.05 * float(right.abs().max())
