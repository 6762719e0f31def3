"""The study of what a weak error costs: unbiased estimators, gains as they should be, and a mutant without coupling that gains nothing."""

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


def test_all_three_estimators_find_the_exact_error_and_coupling_pays(study: Any) -> None:
    """Double well, 4,096 paths: means within 5 standard errors of the oracle's (false alarm 2e-6) and the integrator's bias, below 1e-5 here. Mean square
    errors fall at least 50-fold by coupling. Mutant: the model on numbers of its own in place of SGD's gains less than 2.
    """
    module = sys.modules[type(study).__module__]
    config = study.config(problem=("double well",), paths=4096, block_paths=4096)
    cells = {cell: study.block(config, cell, paths=4096, seed=5) for cell in study.cells(config)}
    exact = module._exact(config)
    for cell, stored in cells.items():
        groups = stored["64"]
        bar = float(np.sqrt(groups.m2 / (groups.count - 1) / groups.count))
        assert abs(float(groups.mean) - exact) < 5 * bar + 1e-5, cell
    summary = study.summary(config, cells)
    gains = {line.cell: line.estimate for line in summary.lines if "fewer path-steps" in line.quantity}
    assert gains["double well, coupled"].low > 50
    assert gains["double well, controlled"].value > gains["double well, coupled"].value
    again = study.block(config, "double well: independent", paths=4096, seed=6)
    mutant = module._gain(config, cells["double well: independent"], again, "coupled", exact)
    assert mutant.high < 2


def test_blocks_that_hold_too_few_groups_are_refused(study: Any) -> None:
    with pytest.raises(InputError, match="four groups"):
        study.check(study.config(block_paths=2048))
    with pytest.raises(InputError, match="unknown"):
        study.check(study.config(problem=("tripple well",)))
