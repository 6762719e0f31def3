"""The figures there are: the files of ``paper_figs/``. A name is looked up here and never used as a path; only the figures asked for are imported.

The folder is the one beside the package (a checkout), else ``paper_figs`` in the working directory: it holds code, so only ever what the user put there.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import sgdsde
from sgdsde.figures.figure import Figure
from sgdsde.runs.listing import studies as files_of
from sgdsde.types import InputError, SgdsdeError, suggest


def folder_of_figures(given: Path | None = None) -> Path:
    """Where figures are looked for.

    Raises:
        InputError: there is no such folder.
    """
    candidates = [given] if given is not None else [Path(sgdsde.__file__).resolve().parents[1] / "paper_figs", Path("paper_figs")]
    for folder in candidates:
        if folder.is_dir():
            return folder.resolve()
    raise InputError(f"No folder of figures at {candidates[-1]}; run from a checkout.")


def load_figures(names: tuple[str, ...], folder: Path) -> dict[str, tuple[Figure, Path]]:
    """The figures of these names (all, where none is given) with their files, in alphabetical order; ``-`` and ``_`` are alike.

    Raises:
        InputError: there is none of that name (with a suggestion), or its file is no figure.
    """
    known = files_of(folder)
    wanted = [name.replace("_", "-") for name in names] or list(known)
    for name in wanted:
        if name not in known:
            raise InputError(f"{name[:80]!r} is no figure." + suggest(name[:80], list(known)))
    return {name: (_imported(known[name]), known[name]) for name in sorted(set(wanted))}


def _imported(path: Path) -> Figure:
    spec = importlib.util.spec_from_file_location(f"sgdsde_paper_figs_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SgdsdeError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    figure = getattr(module, "FIGURE", None)
    if not isinstance(figure, Figure):
        raise InputError(f"{path} holds no FIGURE; wanted an instance of sgdsde.figures.Figure under that name.")
    return figure
