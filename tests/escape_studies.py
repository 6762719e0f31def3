"""Small runs of the studies of escape, about a second each, shared by their tests.

Statistical tests on them use fixed seeds and false-alarm rates of 1e-5 or less; what each resolves is said with it.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from sgdsde.runs import Summary
from sgdsde.runs.config import resolve
from sgdsde.runs.listing import folder_of_studies, load
from sgdsde.runs.study import block_seed, layout_of
from sgdsde.types import Estimate

#: a run of each study that takes about a second
TINY: dict[str, dict[str, Any]] = {
    "escape-survival": {
        "paths": 800,
        "block_paths": 400,
        "models": ("SGD", "SME1"),
        "minimum_distance": 2.5,
        "well_sigma": 1.3,
        "substeps": 4,
    },
    "escape-monitors": {"paths": 1_500, "block_paths": 1_500, "a": (0.8, 1.4), "width": 1.8, "substeps": 4, "ladder": (1, 4)},
    "escape-barrier": {
        "paths": 8,
        "block_paths": 8,
        "models": ("SGD", "SME1"),
        "eta": (0.2, 0.3),
        "batch": (2.0,),
        "sharpness": (1.0,),
        "sharp_batch": 2.0,
        "effort": 64,
        "substeps": 1,
    },
    "escape-dimension": {
        "paths": 8,
        "block_paths": 8,
        "models": ("SGD", "HASME"),
        "dim": (2, 3),
        "eigen_up_to": 2,
        "temperature": 0.12,
        "effort": 32,
        "substeps": 1,
    },
    "escape-saddles": {"paths": 2_000, "block_paths": 1_000, "models": ("SGD", "SME1"), "dim": (1, 100), "models_up_to": 1, "eta": (0.3, 1.0), "bins": 24},
    "escape-paths": {"paths": 2_000, "block_paths": 2_000, "models": ("SME1", "HASME"), "substeps": 8, "steps": 8, "drawn": 2},
}
Cells = dict[str, dict[str, Any]]


def study_of(name: str) -> Any:
    return load(name, folder_of_studies())


def module_of(name: str) -> Any:
    study_of(name)
    return sys.modules["sgdsde_experiments_" + name.replace("-", "_")]


def config_of(name: str, **values: Any) -> Any:
    return resolve(study_of(name).config, [("test", TINY[name] | values)])


def cells_of(name: str, config: Any) -> Cells:
    """All blocks of a run, merged in order."""
    layout = layout_of(study_of(name), config)
    merged: Cells = {}
    for index in range(layout.blocks):
        cell, part = layout.place(index)
        block = study_of(name).block(config, cell, paths=layout.paths_of(part), seed=block_seed(config.seed, cell, part))
        merged[cell] = block if cell not in merged else {key: merged[cell][key].merge(value) for key, value in block.items()}
    return merged


@cache
def small_run(name: str) -> tuple[Any, Cells, Summary]:
    """A study, run small once in a process."""
    config = config_of(name)
    cells = cells_of(name, config)
    return config, cells, study_of(name).summary(config, cells)


def lines_of(summary: Summary) -> dict[tuple[str, str], Estimate]:
    return {(line.cell, line.quantity): line.estimate for line in summary.lines}


def agrees(found: Estimate, exact: float, sigmas: float = 4.8) -> bool:
    """Within ``sigmas`` standard errors: at 4.8 a false alarm in 6e5."""
    return abs(found.value - exact) < sigmas * found.stderr
