"""``compare`` with martingale controls: differences agree with the plain ones and with exact ones, are better known, and say where there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde.observables import SquaredDistance
from sgdsde.types import InputError
from sgdsde.value_function import Expansion

ETA, START, TICKS = 0.05, -1.2, (0, 4, 20)
NOISE = sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.64)


def positive(theta: torch.Tensor) -> torch.Tensor:
    """A step: no derivative sees it."""
    return (theta[:, 0] > -1.0).to(theta.dtype)


def both(theta: torch.Tensor) -> torch.Tensor:
    """Two numbers a point, whose total variance is wanted."""
    return torch.stack([theta[:, 0], theta[:, 0] ** 2], 1)


def first(theta: torch.Tensor) -> torch.Tensor:
    return theta[:, 0]


def square(theta: torch.Tensor) -> torch.Tensor:
    return theta[:, 0] ** 2


def compared(paths: int = 4096, **changes: Any) -> sg.Comparison:
    wanted: dict[str, Any] = {"models": ["SME2"], "theta0": [START], "horizon": 20 * ETA, "save": [k * ETA for k in TICKS], "seed": 3, "substeps": 4}
    noise = changes.pop("noise", NOISE)
    return sg.compare(noise, eta=ETA, paths=paths, observe={"right": positive}, variances={"both": both}, **wanted | changes)


def exact() -> dict[str, np.ndarray]:
    """Weak errors of SME-2 by the oracles of the chain and of the SDE, at the saves after the start."""
    functions: dict[str, Any] = {"loss": NOISE.objective.loss, "squared distance": SquaredDistance((START,)), "x": first, "x²": square}
    found = []
    for k in TICKS[1:]:
        place: dict[str, Any] = {"theta0": [[START]], "horizon": k * ETA, "functions": functions}
        sides = (sg.oracles.sde_expectations(sg.sdes.SME2(NOISE, ETA), **place), sg.oracles.sgd_expectations(NOISE, eta=ETA, **place))
        model, sgd = (np.asarray(side.value).reshape(-1) for side in sides)
        variances = [side[3] - side[2] ** 2 for side in (model, sgd)]
        found.append([*(model - sgd)[:2], variances[0] - variances[1]])
    return {name: np.array([one[i] for one in found]) for i, name in enumerate(("loss", "squared distance", "tr Cov"))}


def distances() -> np.ndarray:
    """How far the differences are from the exact ones, in standard errors widened by 3 % of the error: four Heun steps a tick are not the SDE."""
    differences = compared().differences("SME2")
    off = []
    for name, wanted in exact().items():
        e = differences[name]
        off.append(np.maximum(np.abs(np.asarray(e.value)[1:] - wanted) - 0.03 * np.abs(wanted), 0) / np.asarray(e.stderr)[1:])
    return np.concatenate(off)


def test_differences_are_the_exact_ones() -> None:
    """Six within 5 standard errors: false alarm 4e-6; a standard error is 2 to 30 times below that of plain coupling (next test)."""
    assert distances().max() < 5


def test_differences_with_a_wrong_martingale_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: no trace, so that the martingales have a mean."""
    right = Expansion.martingale
    monkeypatch.setattr(Expansion, "martingale", lambda self, x, kick, covariance: right(self, x, kick, 0 * covariance))
    assert distances().max() > 10


def test_errors_fall_below_those_of_coupling_and_nothing_else_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same paths with and without: equal moments to the last digit, the step function as it was, smooth observables and variances better known."""
    better = compared()
    monkeypatch.setattr("sgdsde.coupled_difference.MOST", 0)
    plain = compared()
    assert (better.models["SME2"].controls, plain.models["SME2"].controls[:5]) == ("martingales", "none:")
    assert np.array_equal(better.models["SME2"].moments.mean.value, plain.models["SME2"].moments.mean.value)
    a, b = better.differences("SME2"), plain.differences("SME2")
    assert np.allclose(a["right"].value, b["right"].value, rtol=1e-12, atol=1e-15)
    for name, gain in (("loss", 2.0), ("squared distance", 3.0), ("tr Cov", 2.0), ("both", 2.0)):
        assert a[name].value[0] == b[name].value[0] == 0
        assert np.all(np.asarray(b[name].stderr)[1:] > gain * np.asarray(a[name].stderr)[1:])
        gap = np.abs(np.asarray(a[name].value) - b[name].value)[1:]
        assert np.all(gap < 5 * np.asarray(b[name].stderr)[1:])


def sampler(paths: int, generator: torch.Generator) -> torch.Tensor:
    return START + 0.1 * torch.randn(paths, 1, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"theta0": sampler}, "no common start"),
        ({"theta0": torch.tensor([START])}, "float64"),
        ({"paths": 60}, "below 64 paths"),
        ({"save": [k * ETA for k in range(1, 18)]}, "functions times saves"),
        ({"coupled": False}, "independent"),
        ({"noise": sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0), "substeps": None}, "ExactOU"),
    ],
)
def test_where_there_are_none_it_says_why(changes: dict[str, Any], words: str) -> None:
    found = compared(**{"paths": 128} | changes)
    assert found.models["SME2"].controls.startswith("none:")
    assert words in found.models["SME2"].controls
    assert np.isfinite(found.differences("SME2")["tr Cov"].value).all()


class Misstated(sg.sdes.SME2):
    """A model whose ``diffusion`` is twice what its ``diffuse`` makes."""

    def diffusion(self, t: float, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().diffusion(t, x)


def test_a_model_that_misstates_its_diffusion_is_refused() -> None:
    """Its martingales would have a mean."""
    with pytest.raises(InputError, match="Misstated: diffusion is not the square of its diffuse"):
        compared(models=[Misstated], paths=128)
