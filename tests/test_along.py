"""What is recorded along a run: the defect of HA-SME's Q and the share of directions past the logarithm, dense and in the span of the outliers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import sgdsde as sg
from sgdsde.sdes import along
from sgdsde.sdes.along import PastLogarithm, PositivityDefect, along_a_run
from sgdsde.sdes.functions import phi_pair
from sgdsde.sdes.positivity import defect
from sgdsde.types import InputError

T64 = torch.float64


def network(widths: tuple[int, int, int] = (5, 4, 3), n: int = 12) -> sg.objectives.Network:
    generator = torch.Generator().manual_seed(1)
    module = nn.Sequential(nn.Linear(widths[0], widths[1]), nn.Tanh(), nn.Linear(widths[1], widths[2])).double()
    x = torch.randn(n, widths[0], generator=generator, dtype=T64)
    return sg.objectives.Network(module, "cross_entropy", x, torch.arange(n) % widths[2])


def points(f: sg.Objective, count: int = 3) -> Tensor:
    return 0.8 * torch.randn(count, f.dim, generator=torch.Generator().manual_seed(2), dtype=T64)


def step_for(f: sg.Objective, theta: Tensor, x: float) -> float:
    return x / float(torch.linalg.eigvalsh(sg.calculus.hessian(f, theta[:1]))[0, -1])


def by_hand(f: sg.Objective, theta: Tensor, eta: float, k: int | None) -> Tensor:
    """The defect of Q, or of its compression to the k eigenvectors of largest |λ|, from dense eigenvectors and per-sample gradients."""
    values, vectors = torch.linalg.eigh(sg.calculus.hessian(f, theta))
    if k is not None:
        order = values.abs().argsort(1, descending=True)[:, :k]
        values, vectors = values.gather(1, order), vectors.gather(2, order[:, None].expand(-1, f.dim, -1))
    sigma = sg.noises.Minibatch(f, 1).covariance(theta)
    return defect(vectors.transpose(1, 2) @ sigma @ vectors * phi_pair((eta * values).clamp_max(0.99)))


def test_dense_defect_and_share() -> None:
    f = network()
    theta = points(f)
    for x in (0.5, 0.9, 1.7):
        eta = step_for(f, theta, x)
        found = PositivityDefect(sg.noises.Minibatch(f, 3), eta)(theta)
        assert torch.allclose(found, by_hand(f, theta, eta, None), rtol=1e-6, atol=1e-12)
        values = eta * torch.linalg.eigvalsh(sg.calculus.hessian(f, theta))
        assert torch.allclose(PastLogarithm(f, eta)(theta), (values >= 1).sum(1).double() / f.dim)
    assert float(found.min()) > 0  # 12 samples in 39 dimensions: rank-deficient noise
    assert float(PastLogarithm(f, eta)(theta)[0]) > 0


def test_compressed_defect_is_that_of_the_outliers_and_bounds_the_negative_mass(monkeypatch: pytest.MonkeyPatch) -> None:
    """In 39 dimensions by the way of thousands: the same number as from dense eigenvectors, and without a factor of the batch size."""
    monkeypatch.setattr(along, "DENSE_Q", 10)
    monkeypatch.setattr(along, "DENSE_HESSIAN", 10)
    monkeypatch.setattr(along, "_settled", lambda values, residuals: residuals.amax(1) < 1e-8)
    f = network()
    theta = points(f)
    eta = step_for(f, theta, 1.3)
    for noise in (sg.noises.Minibatch(f, 3), sg.noises.Surrogate(sg.noises.MinibatchWithoutReplacement(f, 4))):
        found = PositivityDefect(noise, eta, k=6)(theta)
        assert torch.allclose(found, by_hand(f, theta, eta, 6), rtol=1e-5, atol=1e-9)
    values = eta * torch.linalg.eigvalsh(sg.calculus.hessian(f, theta))
    assert torch.allclose(PastLogarithm(f, eta, k=6)(theta), (values >= 1).sum(1).double() / f.dim)


def test_a_transposed_factor_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: φ(mᵢ²)^½φ(mⱼ²)^½, the product form's factor, for φ(mᵢmⱼ): positive by construction."""
    monkeypatch.setattr(along, "DENSE_Q", 10)
    monkeypatch.setattr(along, "phi_pair", lambda x: (lambda s: s[:, :, None] * s[:, None, :])(phi_pair(x).diagonal(dim1=1, dim2=2).sqrt()))
    f = network()
    theta = points(f)
    eta = step_for(f, theta, 0.9)
    assert float(PositivityDefect(sg.noises.Minibatch(f, 3), eta, k=6)(theta).max()) == 0 < float(by_hand(f, theta, eta, 6).max())


def test_recorded_along_a_run_of_the_product_form() -> None:
    """Observables of the very model that is run, in 18 dimensions and beyond 64; broken paths are NaN and harm no other."""
    for f in (network((5, 2, 2)), network((10, 8, 3), 30)):
        theta = points(f, 1)
        eta = step_for(f, theta, 0.6)
        noise = sg.noises.Minibatch(f, 4)
        kernel = sg.kernels.Heun(sg.sdes.HASMEProduct(noise, eta, log="clip"), eta)
        run = sg.simulate(kernel, theta, horizon=4 * eta, save=(0.0, 4 * eta), observe=along_a_run(noise, eta, k=4), paths=3, seed=1, progress=False)
        assert run.observed["defect of Q"].value.shape == (2,)
        assert run.observed["share past eta·lambda = 1"].value[0] == 0
        broken = torch.cat([theta, torch.full_like(theta, torch.nan)])
        for observable in along_a_run(noise, eta, k=4).values():
            found = observable(broken)
            assert torch.isnan(found).tolist() == [False, True]
            assert torch.allclose(found[:1], observable(theta), rtol=1e-6)


def test_refusals() -> None:
    f = network((10, 8, 3))
    with pytest.raises(InputError, match="beyond 64"):
        PositivityDefect(sg.noises.Gaussian(f, 1.0), 0.1)
    with pytest.raises(InputError, match="eta"):
        PastLogarithm(f, 0.0)
