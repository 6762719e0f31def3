"""Kinks of a loss are found, smooth losses are not accused, and the atlas says so."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from battery.found import examples
from torch import Tensor, nn

import sgdsde as sg
from sgdsde.advice import CAUTION
from sgdsde.smoothness import KINKED, jump, not_smooth

T64 = torch.float64
X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=T64)
SIGN = torch.sign(X[:, 0] + 0.3 * X[:, 1])


class Own(sg.Objective):
    """A loss of one's own, of θ alone or of θ and samples."""

    def __init__(self, loss: Callable[[Tensor], Tensor], dim: int = 2) -> None:
        self.dim, self.loss_of = dim, loss
        self.n = loss(torch.zeros(1, dim, dtype=T64)).shape[1]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        values = self.loss_of(theta)
        return values if batch is None else values.gather(1, batch)


def margins(theta: Tensor) -> Tensor:
    return 1 - SIGN * (theta @ X.T)


KINKS = {
    "absolute value": lambda theta: theta.abs().sum(1, keepdim=True),
    "a small kink on a steep parabola": lambda theta: 50 * (theta**2).sum(1, keepdim=True) + 0.1 * (theta[:, :1] - 0.2).abs(),
    "hinge": lambda theta: margins(theta).clamp_min(0),
    "squared hinge": lambda theta: margins(theta).clamp_min(0) ** 2,
    "Huber": lambda theta: nn.functional.huber_loss(theta, torch.zeros_like(theta), reduction="none").sum(1, keepdim=True),
    "functional ReLU": lambda theta: nn.functional.relu(margins(theta)) + 0.1 * (theta**2).sum(1, keepdim=True),
    "a step": lambda theta: (theta**2).sum(1, keepdim=True) * (1 + (theta[:, :1] > 0)),
}
SMOOTH = {
    "logistic": lambda theta: nn.functional.softplus(margins(theta)),
    "sharp tanh": lambda theta: torch.tanh(1000 * (theta[:, :1] - 0.1)) + (theta**2).sum(1, keepdim=True),
    "rapid sine": lambda theta: torch.sin(500 * theta).sum(1, keepdim=True),
    "constant": lambda theta: 0 * theta[:, :1] + 1,
    "line": lambda theta: theta[:, :1] * 3,
    "quartic": lambda theta: (theta**4).sum(1, keepdim=True),
    "far from nought": lambda theta: 1e6 + 1e4 * ((theta - 1e4) ** 2).sum(1, keepdim=True),
}
PLACES = torch.randn(30, 2, generator=torch.Generator().manual_seed(1), dtype=T64)


@pytest.mark.parametrize("name", KINKS)
def test_a_kink_is_found(name: str) -> None:
    assert "jumps near θ = (" in not_smooth(Own(KINKS[name]), PLACES)


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_loss_is_not_accused(name: str) -> None:
    assert not_smooth(Own(SMOOTH[name]), PLACES) == ""


@pytest.mark.parametrize("f", examples(sg.objectives, sg.Objective))
def test_no_smooth_objective_of_the_package_is_accused(f: sg.Objective) -> None:
    places = torch.randn(12, f.dim, generator=torch.Generator().manual_seed(2), dtype=T64)
    assert not_smooth(f, places) == ""


def test_the_place_of_a_jump_is_told() -> None:
    where = jump(lambda x, u: torch.sign(x[:, 0] - 0.25) * u[:, 0], PLACES)
    assert where is not None
    assert abs(float(where[0]) - 0.25) < 1e-7
    assert jump(lambda x, u: x[:, 0], PLACES) is None
    assert jump(lambda x, u: x[:, 0] / 0, PLACES) is None
    assert jump(lambda x, u: torch.sign(x[:, 0]), PLACES[:1].expand(3, -1)) is None


def network(*between: nn.Module) -> sg.objectives.Network:
    module = nn.Sequential(nn.Linear(2, 3), *between, nn.Linear(3, 2)).double()
    return sg.objectives.Network(module, "cross_entropy", X, (SIGN > 0).long())


@pytest.mark.parametrize("module", [nn.ReLU(), nn.LeakyReLU(), nn.Hardtanh(), nn.ELU()])
def test_networks_with_kinks_are_known_by_their_modules(module: nn.Module) -> None:
    f = network(module)
    name = type(module).__name__
    assert not_smooth(f, torch.zeros(2, f.dim, dtype=T64)) == f"it holds {name}, without a continuous second derivative"
    assert name in not_smooth(sg.objectives.WeightDecay(f, 0.1), torch.zeros(2, f.dim, dtype=T64))


@pytest.mark.parametrize("module", [nn.Tanh(), nn.Sigmoid(), nn.SiLU(), nn.GELU(), nn.Softplus(), nn.Mish()])
def test_smooth_networks_are_not(module: nn.Module) -> None:
    f = network(module)
    assert not isinstance(module, KINKED)
    assert not_smooth(f, f.initial(20, torch.Generator().manual_seed(3))) == ""


def test_the_atlas_flags_what_is_not_smooth_and_nothing_else() -> None:
    hinge = Own(KINKS["functional ReLU"])
    found = sg.atlas(sg.noises.Gaussian(hinge, 0.1), 0.05, [0.5, 0.2], models=["SME1"], horizon=0.2)
    assert found.not_smooth.startswith("its slope jumps near θ")
    said = " ".join(str(found).split())
    assert f"! The loss is not smooth: {found.not_smooth}." in said
    assert found.recommendation[0] == CAUTION
    assert json.loads(found.to_json())["not_smooth"] == found.not_smooth
    assert max(len(line) for line in str(found).splitlines()) <= 80
    smooth = sg.atlas(sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.25), 0.05, [-1.3], models=["SME1"], horizon=0.2)
    assert smooth.not_smooth == ""
    assert CAUTION not in smooth.recommendation
    assert "not smooth" not in str(smooth)
