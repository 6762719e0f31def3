"""The value of an observable along the descent: its expansion against autodiff through the steps themselves, with mutants; differences; refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import sgdsde as sg
from sgdsde import value_function
from sgdsde.types import DomainError, InputError
from sgdsde.value_function import derivatives, tick_values

ETA, TICKS = 0.1, 6
START = torch.tensor([0.7, -0.4], dtype=torch.float64)


def bumpy(x: Tensor) -> Tensor:
    """A function that is no quadratic."""
    return torch.sin(x[:, 0]) * x[:, 1] ** 2 + x.pow(3).sum(1)


def value(objective: sg.Objective, start: Tensor, steps: int) -> Tensor:
    """φ after ``steps`` of descent, through the graph of the loss alone: no formula of this package's derivatives is in it."""
    x = start
    for _ in range(steps):
        x = x - ETA * torch.autograd.grad(objective.loss(x[None]).sum(), x, create_graph=True)[0]
    return bumpy(x[None])[0]


def errors(objective: sg.Objective) -> float:
    """The largest relative error of slope and curvature at the ticks' ends."""
    values = tick_values(objective, ETA, START, [(bumpy, TICKS)], substeps=2)
    worst = 0.0
    for k, found in enumerate(values):
        at = found.end.origin.clone().requires_grad_(True)
        slope = torch.autograd.functional.jacobian(lambda x, k=k: value(objective, x, TICKS - k - 1), at)
        curvature = torch.autograd.functional.hessian(lambda x, k=k: value(objective, x, TICKS - k - 1), at)
        worst = max(worst, float((found.end.slope[0] - slope).norm() / slope.norm()), float((found.end.curvature[0] - curvature).norm() / curvature.norm()))
    return worst


@pytest.mark.parametrize("objective", [sg.objectives.DoubleWell(2, transverse=1.5), sg.objectives.Quadratic([[2.0, 0.5], [0.5, 1.0]], [0.1, 0.2])])
def test_the_expansion_is_that_of_the_steps_composed(objective: sg.Objective) -> None:
    """To the error of the differences that give ∇²φ, 1e-7."""
    assert errors(objective) < 1e-6


def test_without_the_bend_of_the_descent_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: no third derivative."""
    monkeypatch.setattr(value_function, "third", lambda f, theta, u, v: torch.zeros_like(u))
    assert errors(sg.objectives.DoubleWell(2, transverse=1.5)) > 1e-2


def test_between_ticks_it_follows_the_flow_of_sme2() -> None:
    """Of a quadratic, exp(−τ(H + ηH²/2)), off by less than (ηλ)³ = .027; the flow without the modified drift, exp(−τH), is off by more."""
    objective = sg.objectives.Quadratic([3.0])
    values = tick_values(objective, ETA, torch.tensor([1.0], dtype=torch.float64), [(lambda x: x[:, 0], 1)], substeps=4)
    for j, found in enumerate(values[0].inside):
        tau = ETA * (1 - (j + 0.5) / 4)
        flow, plain = np.exp(-tau * (3 + ETA * 9 / 2)), np.exp(-tau * 3)
        assert abs(float(found.slope) - flow) < 0.3**3 * tau / ETA
        assert abs(float(found.slope) - flow) < abs(float(found.slope) - plain)


def test_several_targets_are_the_single_ones_and_vanish_after_their_tick() -> None:
    objective = sg.objectives.DoubleWell(2)
    targets: list[Any] = [(bumpy, 3), (objective.loss, 5)]
    both = tick_values(objective, ETA, START, targets, substeps=2)
    for i, target in enumerate(targets):
        alone = tick_values(objective, ETA, START, [target], substeps=2)
        for one, other in zip(alone, both, strict=False):
            for a, b in ((one.end, other.end), *zip(one.inside, other.inside, strict=True)):
                for name in ("slope", "mixed", "curvature"):
                    assert torch.allclose(getattr(a, name)[0], getattr(b, name)[i], rtol=1e-12, atol=1e-14)
    assert len(both) == 5
    assert not both[3].end.slope[0].any()
    assert not both[3].inside[0].curvature[0].any()


def test_differences_know_a_polynomial() -> None:
    """∇ and ∇² of a cubic in three variables, the cross terms too."""
    x = torch.tensor([0.3, -2.0, 5.0], dtype=torch.float64)
    slope, curvature = derivatives(lambda p: p[:, 0] * p[:, 1] ** 2 + p[:, 1] * p[:, 2] + p[:, 0] ** 3, x)
    a, b, c = x.tolist()
    assert np.allclose(slope, [b**2 + 3 * a**2, 2 * a * b + c, b], rtol=1e-6, atol=1e-6)
    assert np.allclose(curvature, [[6 * a, 2 * b, 0], [2 * b, 2 * a, 1], [0, 1, 0]], rtol=1e-5, atol=1e-5)


def test_refusals() -> None:
    objective = sg.objectives.DoubleWell(2)
    with pytest.raises(InputError, match="ticks from 1 on"):
        tick_values(objective, ETA, START, [(bumpy, 0)], substeps=2)
    with pytest.raises(InputError, match="at least one"):
        tick_values(objective, ETA, START, [], substeps=2)
    with pytest.raises(DomainError, match="not finite"):
        tick_values(objective, 5.0, 10 * START, [(bumpy, 12)], substeps=2)
