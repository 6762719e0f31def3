"""The figures there are: the files of ``paper_figs/`` (:mod:`sgdsde.scripts`)."""

from __future__ import annotations

from pathlib import Path

from sgdsde.figures.figure import Figure
from sgdsde.scripts import folder_of, imported, script_of, scripts
from sgdsde.types import InputError


def folder_of_figures(given: Path | None = None) -> Path:
    """Where figures are looked for.

    Raises:
        InputError: there is no such folder.
    """
    return folder_of("paper_figs", given, what="figures")


def load_figures(names: tuple[str, ...], folder: Path) -> dict[str, tuple[Figure, Path]]:
    """The figures of these names (all, where none is given) with their files, in alphabetical order; ``-`` and ``_`` are alike.

    Raises:
        InputError: there is none of that name (with a suggestion), or its file is no figure.
    """
    wanted = dict(script_of(name, folder, what="figure") for name in names) or scripts(folder)
    return {name: (_figure(wanted[name]), wanted[name]) for name in sorted(wanted)}


def _figure(path: Path) -> Figure:
    figure = getattr(imported(path, "sgdsde_paper_figs"), "FIGURE", None)
    if not isinstance(figure, Figure):
        raise InputError(f"{path} holds no FIGURE; wanted an instance of sgdsde.figures.Figure under that name.")
    return figure
