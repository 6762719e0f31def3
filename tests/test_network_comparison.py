"""The digits network that claims use: its starts, its paired errors, a mutant model that the measurement must see."""

from __future__ import annotations

import pytest
import torch

import sgdsde as sg
from sgdsde.calculus import grad, hessian
from sgdsde.measurements.digits_network import digits_network, held_out, initial, newton, odd_digits, start_at
from sgdsde.measurements.network_comparison import MODELS, NetworkRun, build
from sgdsde.types import DomainError, InputError


def test_the_starts_are_what_their_names_say() -> None:
    f = digits_network(60)
    assert f.dim == 18
    fresh, middle, bottom = (start_at(f, start, 3)[None] for start in ("initialisation", "mid-training", "minimum"))
    assert float(fresh.abs().max()) <= 3**-0.5
    assert float(f.loss(fresh)) > float(f.loss(middle)) > float(f.loss(bottom))
    assert float(grad(f, bottom).norm()) < 1e-9
    assert float(torch.linalg.eigvalsh(hessian(f, bottom))[0, 0]) > 0


def test_newton_refuses_where_there_is_no_stationary_point() -> None:
    separable = sg.objectives.ShallowTanh([[1.0], [-1.0]], [1, 0], hidden=1)
    with pytest.raises(DomainError, match="nearer"):
        newton(separable, torch.tensor([[1.0, 0.0, 1.0]], dtype=torch.float64), steps=5)


def test_held_out_digits_are_others() -> None:
    x, y = held_out(100, 50)
    assert len(x) == len(y) == 50
    torch.testing.assert_close(x, odd_digits().x[100:150])
    with pytest.raises(InputError, match="there are 1797"):
        held_out(1700, 98)
    with pytest.raises(InputError, match="mid-training"):
        start_at(digits_network(20), "mid-trainin", 0)


class Quieter(sg.sdes.SME1):
    """A mutant: the noise of a batch of two instead of one."""

    def diffuse(self, t: float, x: torch.Tensor, dw: torch.Tensor) -> torch.Tensor:
        return super().diffuse(t, x, dw) * 0.5**0.5


def test_a_model_with_the_wrong_diffusion_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutant in HA-SME's place: 120 coupled paths put its error in tr Cov far above SPF's, where HA-SME's lies below (level 99 %)."""
    f = digits_network(40)
    anchor = start_at(f, "mid-training", 3)
    eta = 0.5 / float(torch.linalg.eigvalsh(hessian(f, anchor[None]))[0, -1])
    run = NetworkRun(sg.noises.Minibatch(f, 1), eta, anchor, 5, 7, 40)
    right = run.doubted(("SPF", "HASME"), 120, 2)[0]["tr Cov"].ratio(1, 0, level=0.99)
    assert right.high < 1
    monkeypatch.setattr(sg.sdes, "HASME", lambda noise, eta, **_: Quieter(noise, eta))
    wrong = run.doubted(("SPF", "HASME"), 120, 2)[0]["tr Cov"].ratio(1, 0, level=0.99)
    assert wrong.low > 1


def test_every_model_of_the_claims_can_be_built() -> None:
    noise = sg.noises.Minibatch(digits_network(20), 1)
    for model in (*MODELS, "HASMEProduct", "SME3", "HASME3", "GradientFlow"):
        assert build(model, noise, 0.1).dim == 18


def test_starts_are_torchs_own_distribution() -> None:
    draws = initial(digits_network(20), 0, paths=4000)
    assert draws[:, :15].abs().max() <= 0.5
    assert abs(float(draws[:, :15].std()) - 0.5 / 3**0.5) < 0.005
    assert abs(float(draws[:, 15:].std()) - 1 / 3) < 0.01
