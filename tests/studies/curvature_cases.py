"""The small networks on which the studies of curvature are tested, and their configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgdsde.measurements.classifiers import ClassifierConfig, data_of, network_of
from sgdsde.objectives import Network
from sgdsde.runs import Moments, Summary
from sgdsde.runs.config import resolve
from sgdsde.runs.listing import folder_of_studies, load
from sgdsde.runs.study import block_seed, layout_of

#: a few units, a few dozen digits
SMALL: dict[str, Any] = {"paths": 2, "block_paths": 2, "samples": 60, "width": 5, "eta": 0.2}


def small(**values: Any) -> tuple[ClassifierConfig, Network]:
    config = ClassifierConfig(**(SMALL | values))
    return config, network_of(config, data_of(config))


def run_of(name: str, **values: Any) -> tuple[Any, dict[str, Mapping[str, Moments]], Summary]:
    """A study's configuration, its blocks' results and its summary, in this process."""
    study = load(name, folder_of_studies())
    config = resolve(study.config, [("test", SMALL | values)])
    cells: dict[str, Mapping[str, Moments]] = {}
    layout = layout_of(study, config)
    for index in range(layout.blocks):
        cell, part = layout.place(index)
        found = study.block(config, cell, paths=layout.paths_of(part), seed=block_seed(config.seed, cell, part))
        cells[cell] = {key: cells[cell][key].merge(value) for key, value in found.items()} if cell in cells else found
    return config, cells, study.summary(config, cells)
