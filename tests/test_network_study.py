"""The network study at the smallest sizes: its problems, its starts, one block dense and one beyond dense matrices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde.calculus import grad
from sgdsde.measurements.network_problems import Kind, Problem, eigenvectors, largest, problem, start
from sgdsde.measurements.network_study import COLUMNS, DEFECT_X, LARGE_MODELS, block, defects
from sgdsde.runs import Study, StudyConfig
from sgdsde.runs.listing import load
from sgdsde.types import InputError

ROOT = Path(__file__).parents[1]


TINY = Kind("digits", "", 40, 30, "shallow", 3, 1, 0, "float64")


@pytest.fixture(scope="module")
def tiny() -> Problem:
    return problem(TINY)


@pytest.fixture(scope="module")
def perceptron() -> Problem:
    return problem(replace(TINY, samples=30, held_out=20, network="perceptron", dtype="float32"))


def test_the_problems_have_the_sizes_that_they_say(tiny: Problem, perceptron: Problem) -> None:
    assert tiny.objective.dim == 18
    assert tiny.dense
    assert perceptron.objective.dim == 64 * 3 + 3 + 3 * 10 + 10
    assert not perceptron.dense
    with pytest.raises(InputError):
        problem(replace(TINY, samples=1700, held_out=200))


def test_the_starts_lie_where_they_say(tiny: Problem) -> None:
    points = {name: start(tiny, name, seed=0, steps=60, device="cpu") for name in ("initialisation", "mid-training", "minimum", "edge of stability")}
    losses = {name: float(tiny.objective.loss(point[None])) for name, point in points.items()}
    assert losses["initialisation"] > losses["mid-training"] > losses["minimum"]
    assert float(grad(tiny.objective, points["minimum"][None]).norm()) < 1e-8
    step = 2 / largest(tiny.objective, start(tiny, "minimum", seed=0, steps=60, device="cpu"))
    assert 1.2 < step * largest(tiny.objective, points["edge of stability"]) < 3


def test_a_dense_block_pairs_its_models(tiny: Problem) -> None:
    """Coupled errors are better known than differences of independent ensembles: by .45 ± .07 over seeds with 60 paths, against 1 without coupling.

    And HA-SME's variance is nearer than SPF's: their errors are .2 ± .07 and .5 ± .08 there.
    """
    anchor = start(tiny, "mid-training", seed=0, steps=60, device="cpu")
    eta = 0.5 / largest(tiny.objective, anchor)
    found = block(tiny, anchor, eta=eta, batch=1, models=("SPF", "HASME"), saves=(2, 6), substeps=2, paths=60, seed=1, functions="krylov")
    assert {"values SGD", "values SVAG", "values GD", "values surrogate", "error SPF", "spread HASME", "along SGD"} <= set(found)
    assert found["error HASME"].mean.shape == (2, len(COLUMNS))
    trace = COLUMNS.index("tr Cov")
    paired = found["error HASME"].mean_estimate().stderr[-1, trace]
    apart = np.hypot(*(found[f"values {name}"].mean_estimate().stderr[-1, trace] for name in ("HASME", "surrogate")))
    assert paired < 0.75 * apart
    errors = {model: abs(found[f"error {model}"].mean_estimate().value[-1, trace]) for model in ("SPF", "HASME")}
    assert errors["HASME"] < errors["SPF"]
    assert found["values GD"].m2[-1].max() < 1e-20  # no noise, no spread


@pytest.mark.parametrize("functions", ["krylov", "spectral"])
def test_a_block_beyond_dense_matrices(perceptron: Problem, functions: str) -> None:
    anchor = start(perceptron, "mid-training", seed=0, steps=10, device="cpu")
    eta = 0.3 / largest(perceptron.objective, anchor)
    models = ("SME2", "HASMEProduct")
    found = block(perceptron, anchor, eta=eta, batch=4, models=models, saves=(2,), substeps=1, paths=6, seed=1, functions=functions)
    assert "values GD" not in found
    assert all(np.isfinite(part.mean).all() for part in found.values())
    assert found["along SGD"].mean.shape == (6,)
    assert set(models) <= set(LARGE_MODELS)


def test_top_eigenvectors_of_a_large_net_are_eigenvectors(perceptron: Problem) -> None:
    anchor = start(perceptron, "initialisation", seed=0, steps=1, device="cpu").double()
    values, vectors = eigenvectors(perceptron.objective, anchor, 3)
    products = sg.calculus.hvp(perceptron.objective, anchor[None].expand(3, -1), vectors.T.to(anchor))
    torch.testing.assert_close(products, values.to(anchor)[:, None] * vectors.T.to(anchor), atol=2e-3 * float(values[0]), rtol=0)


def test_the_defect_grows_with_the_step_size(tiny: Problem, perceptron: Problem) -> None:
    mean = defects(tiny, eta=0.5, batch=1, marks=(2, 6), paths=6, seed=0).mean
    assert mean.shape == (2, len(DEFECT_X))
    assert np.all(np.diff(mean, axis=1)[:, -3:] > 0)
    with pytest.raises(InputError, match="network=shallow"):
        defects(perceptron, eta=0.5, batch=1, marks=(1,), paths=2, seed=0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": "mnist"}, "needs folder"),
        ({"starts": ("minimun",)}, "minimum"),
        ({"models": ("SME1", "HASME"), "network": "perceptron", "problems": ()}, "does not run here"),
        ({"network": "perceptron", "models": ("SME1",)}, "problems are small ones"),
        ({"problems": ("techer",)}, "teacher"),
        ({"pilot": 1}, "two paths"),
        ({"saves": (4, 2)}, "must increase"),
    ],
)
def test_wrong_configurations_are_refused(changes: dict, words: str) -> None:
    study = _study()
    with pytest.raises(InputError, match=words):
        study.check(replace(study.config(), **changes))


def _study() -> Study[StudyConfig]:
    return load("network-comparison", ROOT / "experiments")
