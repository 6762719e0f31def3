"""The small networks on which the studies of curvature are tested, their runs, and the figures that are drawn from these."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sgdsde.figures import Sheet
from sgdsde.figures.listing import folder_of_figures, load_figures
from sgdsde.figures.table import Table, read_table
from sgdsde.measurements.classifiers import ClassifierConfig, data_of, network_of
from sgdsde.objectives import Network
from sgdsde.plots import Panel, csv_of, panel_figure
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


def figure_of(figure: str, study: str, config: Any, summary: Summary, folder: Path, tables: Mapping[str, list[Panel]] | None = None) -> Sheet:
    """A figure drawn from a summary as it is stored, on the page; ``tables`` stand for those of claims."""

    def stored_table(panels: Any) -> Table:
        (folder / "figure.csv").write_text(csv_of(panels), encoding="utf-8")
        return read_table(folder / "figure.csv")

    lines = [{"cell": line.cell, "quantity": line.quantity, **vars(line.estimate)} for line in summary.lines]
    run = SimpleNamespace(table=stored_table(summary.panels), lines=lines, config=vars(config))
    of_claims = {slug: stored_table(panels) for slug, panels in (tables or {}).items()}
    ((_, (found, _)),) = load_figures((figure,), folder_of_figures()).items()
    assert found.studies == (study,)
    stored: Any = SimpleNamespace(study=lambda asked: run if asked == study else None, table=of_claims.get)
    sheet = found.draw(stored)
    panel_figure(sheet.panels, columns=sheet.columns, width=5.5, height=1.75)
    return sheet
