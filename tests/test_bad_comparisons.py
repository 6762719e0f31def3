"""Comparisons and exit oracles refuse before any work what they could not finish."""

from __future__ import annotations

from typing import Any

import pytest

import sgdsde as sg
from sgdsde.types import InputError

NOISE = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"paths": 1}, r"paths = 1; wanted an integer ≥ 4"),
        ({"paths": 3}, r"paths = 3; wanted an integer ≥ 4"),
        ({"paths": 10.5}, r"paths = 10\.5; wanted an integer"),
        ({"substeps": 0}, r"substeps = 0; wanted an integer ≥ 1"),
        ({"substeps": 2.5}, r"substeps = 2\.5; wanted an integer ≥ 1"),
    ],
)
def test_a_comparison_is_refused_before_it_runs(changed: dict[str, Any], words: str) -> None:
    recipe: dict[str, Any] = {"eta": 0.1, "models": ["SME1"], "theta0": [1.0], "horizon": 0.2, "paths": 8, "seed": 0}
    with pytest.raises(InputError, match=words):
        sg.compare(NOISE, **(recipe | changed))


def test_four_paths_are_compared() -> None:
    assert "SME1" in sg.compare(NOISE, eta=0.1, models=["SME1"], theta0=[1.0], horizon=0.2, paths=4, seed=0).table()


@pytest.mark.parametrize(("region", "words"), [(lambda theta: theta[:, 0] < 1, "function is no interval"), ((-1, 1), "tuple is no interval of the line")])
def test_exit_oracles_want_an_interval(region: Any, words: str) -> None:
    for oracle in (sg.oracles.sgd_mean_exit, lambda noise, eta, *rest: sg.oracles.sde_mean_exit(sg.sdes.SME1(noise, eta), *rest)):
        with pytest.raises(InputError, match=words):
            oracle(NOISE, 0.1, [0.0], region)
