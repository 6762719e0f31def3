"""The study of what a weak error costs: unbiased estimators, gains as they should be, a mutant without coupling that gains nothing, and the levels' price."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgdsde.runs.listing import load
from sgdsde.types import InputError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def study() -> Any:
    return load("cost-to-accuracy", ROOT / "experiments")


def test_all_estimators_find_the_exact_error_and_improvements_pay(study: Any) -> None:
    """Double well, 4,096 paths: means within 5 standard errors of the oracle's (false alarm 2e-6) and the integrator's bias, below 1e-5 here. Mean square
    errors fall at least 50-fold by coupling and by levels, and 5-fold again by the controls. Mutant: the model on numbers of its own in place of SGD's gains
    less than 2.
    """
    module = sys.modules[type(study).__module__]
    config = study.config(problem=("double well",), paths=4096, block_paths=4096)
    cells = {cell: study.block(config, cell, paths=4096, seed=5) for cell in study.cells(config)}
    exact = module._exact(config)
    summary = study.summary(config, cells)
    means = {line.cell: line.estimate for line in summary.lines if line.quantity == "estimated weak error"}
    assert len(means) == len(module.ESTIMATORS)
    for cell, found in means.items():
        assert abs(float(found.value) - exact) < 5 * float(found.stderr) + 1e-5, cell
    gains = {line.cell: line.estimate for line in summary.lines if "fewer path-steps" in line.quantity}
    assert gains["double well, coupled"].low > 50
    assert gains["double well, multilevel"].low > 50
    assert gains["double well, controlled"].low > 5 * gains["double well, coupled"].high
    again = study.block(config, "double well: independent", paths=4096, seed=6)
    mutant = module._gain(config, cells["double well: independent"], again, exact)
    assert mutant.high < 2


def test_levels_telescope_to_the_finest_grid(study: Any) -> None:
    """Steps a tick 3, 6, 12; the price of levels that all vary alike is that of (Σ√C)²: known in closed form."""
    module = sys.modules[type(study).__module__]
    config = study.config(problem=("double well",), substeps=12, steps=2)
    assert module._ladder(config) == [3, 6, 12]
    assert module._ladder(study.config(substeps=4)) == [1, 2, 4]
    values = np.where(np.arange(4096) % 2 == 0, 1.0, -1.0)
    stored = {f"level {n}": module.Moments.of(values) for n in (3, 6, 12)}
    found = module._best_of_levels(config, stored, 64)
    costs = 2 * np.array([3 + 1, 6 + 3, 12 + 6])
    assert float(found.value) == pytest.approx(np.sqrt(costs).sum() ** 2 / (64 * 2 * 13), rel=1e-3)


def test_blocks_that_hold_too_few_groups_are_refused(study: Any) -> None:
    with pytest.raises(InputError, match="four groups"):
        study.check(study.config(block_paths=512))
    with pytest.raises(InputError, match="unknown"):
        study.check(study.config(problem=("tripple well",)))
