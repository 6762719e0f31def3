"""Writing a report: ``report.html``, ``report.json``, ``claims.csv``, ``sources.bib`` and ``figures/``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sgdsde.ledger import Ledger
from sgdsde.plots import csv_of, panel_figure, save_figure, save_svg, svg_of
from sgdsde.plots.panel import Panel
from sgdsde.report.export import rows_csv
from sgdsde.report.main_figure import main_panels
from sgdsde.report.page import MAIN, Figure, render
from sgdsde.report.papers import bibtex
from sgdsde.report.record import file_name, record_of
from sgdsde.types import InputError


def prepare(directory: Path) -> Path:
    """Make the directory before anything is run.

    Raises:
        InputError: it is a file, or cannot be written to.
    """
    if directory.exists() and not directory.is_dir():
        raise InputError(f"--out {directory} is a file; give a directory.")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {directory} cannot be made: {error.strerror}.") from error
    if not os.access(directory, os.W_OK):
        raise InputError(f"--out {directory} cannot be written to.")
    return directory


def write_report(ledger: Ledger, directory: Path) -> Path:
    """Write everything; returns the page's path. Every figure is drawn once; those of a report that stood there before are taken away."""
    record = record_of(ledger)
    page = prepare(directory) / "report.html"
    _clear(directory)
    write_data(record, directory)
    figures = {}
    for name, panels in figures_of(ledger).items():
        columns = 3 if len(panels) in (3, 5, 6, 9) else 2
        figure = panel_figure(panels, columns=columns, width=4.5 * min(columns, len(panels)))
        figures[name] = Figure(svg_of(figure), "; ".join(f"{panel.title}: {panel.y_label} against {panel.x_label}" for panel in panels))
        (directory / "figures").mkdir(exist_ok=True)
        if name == MAIN:
            save_figure(figure, panels, directory / "figures" / name)
        else:
            save_svg(figures[name].svg, panels, directory / "figures" / name)
    _replace(page, render(record, figures))
    return page


def write_again(record: Mapping[str, Any], figures: Mapping[str, Figure], directory: Path) -> Path:
    """A stored record and its stored figures as a page; returns its path."""
    page = prepare(directory) / "report.html"
    write_data(record, directory)
    _replace(page, render(record, figures))
    return page


def write_tables(ledger: Ledger, directory: Path) -> None:
    """What is read again: ``report.json`` and the tables in ``figures/``, without page and pictures."""
    (prepare(directory) / "figures").mkdir(exist_ok=True)
    _clear(directory)
    for name, panels in figures_of(ledger).items():
        _replace(directory / "figures" / f"{name}.csv", csv_of(panels))
    write_data(record_of(ledger), directory)


def write_data(record: Mapping[str, Any], directory: Path) -> None:
    """A record as ``report.json``, its rows as ``claims.csv``, its sources as ``sources.bib``."""
    _replace(directory / "claims.csv", rows_csv(record))
    _replace(directory / "sources.bib", bibtex(record["papers"]))
    _replace(directory / "report.json", json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def figures_of(ledger: Ledger) -> dict[str, tuple[Panel, ...]]:
    """Panels by file name: the main figure first where it can be drawn, then one figure for each measurement that has panels."""
    figures: dict[str, tuple[Panel, ...]] = {}
    main = main_panels(ledger.finished)
    if main:
        figures[MAIN] = main
    for name, finished in ledger.finished.items():
        if finished.measured is not None and finished.measured.panels:
            figures[file_name(name)] = finished.measured.panels
    return figures


def _clear(directory: Path) -> None:
    """Take away the figures that the report before this one wrote here, by the names of its measurements, and nothing else.

    Another profile, or another choice of claims, has other measurements: a picture drawn later by a pattern of names would mix two runs.
    """
    try:
        before = json.loads((directory / "report.json").read_text(encoding="utf-8"))
        names = {file_name(measured["name"]) for claim in before["claims"] for measured in claim["measurements"]} | {MAIN}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return  # no report of ours stands here
    for name in names:
        for kind in ("csv", "svg", "pdf", "png"):
            (directory / "figures" / f"{name}.{kind}").unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    """Write to a temporary name first: a reader never sees half a report."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
