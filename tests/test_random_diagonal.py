"""The diagonal of G from signs at the outputs, a path of few draws in a reducer, and estimates as series."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sgdsde as sg
from sgdsde.curvature import exact_diagonal, gauss_newton_diagonal, gauss_newton_operator, random_diagonal
from sgdsde.plots import estimated
from sgdsde.rng import stream
from sgdsde.runs import Moments
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate, InputError


def network(loss: str = "cross_entropy", n: int = 12) -> tuple[sg.objectives.Network, Tensor]:
    generator = stream(4, "data")
    x = torch.randn(n, 5, generator=generator, dtype=torch.float64)
    y = torch.arange(n) % 3 if loss == "cross_entropy" else torch.randn(n, 3, generator=generator, dtype=torch.float64)
    found = sg.objectives.Network(nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)).double(), loss, x, y)
    return found, 1.5 * found.initial(1, stream(5, "start"))[0].double()


def scores(estimate: Estimate, wanted: Tensor) -> np.ndarray:
    seen = np.asarray(estimate.stderr) > 0
    return (np.asarray(estimate.value)[seen] - wanted.numpy()[seen]) / np.asarray(estimate.stderr)[seen]


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_signs_at_the_outputs_give_the_diagonal_of_g(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 draws, 57 entries of scores near N(0, 1): all below 5 (false alarm 3e-5); an error of a fifth would be seen. Mutant: A in place of its root."""
    f, theta = network(loss)
    wanted = exact_diagonal(gauss_newton_operator(f, theta))
    found = gauss_newton_diagonal(f, theta, vectors=2000, seed=1)
    assert np.abs(scores(found, wanted)).max() < 5
    assert float(np.sum(found.value)) == pytest.approx(float(wanted.sum()), rel=0.05)
    assert (np.asarray(found.value) >= 0).all()
    monkeypatch.setattr(random_diagonal, "_PIECE", 40)  # in pieces of a few samples: other signs, the same law
    assert np.abs(scores(gauss_newton_diagonal(f, theta, vectors=1000, seed=1), wanted)).max() < 5
    root = random_diagonal._root

    def squared(*of: object) -> Tensor:
        half = root(*of)  # type: ignore[arg-type]
        return half @ half.transpose(1, 2)

    monkeypatch.setattr(random_diagonal, "_root", squared)
    assert np.abs(scores(gauss_newton_diagonal(f, theta, vectors=1000, seed=1), wanted)).max() > 8


def test_losses_that_are_not_convex_are_refused() -> None:
    f, theta = network()

    def concave(o: Tensor, y: Tensor) -> Tensor:
        return -(o**2).sum(1)

    odd = sg.objectives.Network(f.module, concave, f.inputs.original, f.targets.original)
    with pytest.raises(InputError, match="not convex"):
        gauss_newton_diagonal(odd, theta)
    with pytest.raises(InputError, match="at least 2"):
        gauss_newton_diagonal(f, theta, vectors=1)


def test_few_paths_have_students_interval_and_logarithms_a_geometric_mean() -> None:
    x = stream(1, "x").initial_seed() % 7 + np.array([[1.0, 2.0], [2.0, 5.0], [4.0, 3.0]])
    found, wanted = Moments.of(x).student_estimate(), mean_estimate(x)
    for part in ("value", "stderr", "low", "high"):
        np.testing.assert_allclose(getattr(found, part), getattr(wanted, part), rtol=1e-12)
    assert (found.high > Moments.of(x).mean_estimate().high).all()
    geometric = Moments.of(np.log(x)).geometric_estimate()
    np.testing.assert_allclose(geometric.value, np.exp(np.log(x).mean(0)))
    np.testing.assert_allclose(np.log(geometric.high) + np.log(geometric.low), 2 * np.log(geometric.value), rtol=1e-12)
    lost = Moments.of(np.array([[1.0, np.nan], [2.0, 3.0], [3.0, 4.0]])).student_estimate()
    assert np.isfinite(lost.value[0])
    assert np.isnan(lost.value[1])


def test_an_estimate_is_drawn_with_its_interval() -> None:
    value = np.array([1.0, 2.0])
    series = estimated("SGD", "a", [1, 2], Estimate(value, value, 4, value - 3, value + 3), log=True)
    plain = estimated("SGD", "a", [1, 2], Estimate(value, value, 4, value - 3, value + 3))
    assert series.low is not None
    assert plain.low is not None
    assert (series.low > 0).all()
    assert (plain.low < 0).all()
    assert series.kind == "band"
