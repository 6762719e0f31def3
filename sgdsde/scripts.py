"""Folders of scripts that hold one named object each: studies in ``experiments/``, figures in ``paper_figs/``.

A name is looked up and never used as a path; only the script that is asked for is imported. The folder is the one beside the package (a checkout), else that in
the working directory: it holds code, so it is only ever what the user has put there.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import sgdsde
from sgdsde.types import InputError, SgdsdeError, suggest


def folder_of(name: str, given: Path | None, *, what: str, otherwise: str = "") -> Path:
    """The folder ``name`` beside the package or here, or the one given.

    Raises:
        InputError: there is none; the message ends with what else could be done.
    """
    candidates = [given] if given is not None else [Path(sgdsde.__file__).resolve().parents[1] / name, Path(name)]
    for folder in candidates:
        if folder.is_dir():
            return folder.resolve()
    raise InputError(f"No folder of {what} at {candidates[-1]}; run from a checkout{otherwise}.")


def scripts(folder: Path) -> dict[str, Path]:
    """The scripts of a folder by name, in alphabetical order; ``_`` is written ``-``."""
    return {path.stem.replace("_", "-"): path for path in sorted(folder.glob("[a-z]*.py"))}


def script_of(name: str, folder: Path, *, what: str) -> tuple[str, Path]:
    """The name as it is listed (``-`` and ``_`` are alike) and the script.

    Raises:
        InputError: there is none, with a suggestion.
    """
    known = scripts(folder)
    wanted = name.replace("_", "-")
    if wanted not in known:
        raise InputError(f"{name[:80]!r} is no {what}." + suggest(wanted[:80], list(known)))
    return wanted, known[wanted]


def imported(path: Path, prefix: str) -> ModuleType:
    """The script as a module called PREFIX_STEM.

    Raises:
        InputError: it cannot be imported; what the package itself refuses passes through.
    """
    name = f"{prefix}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses resolve their annotations through it
    try:
        spec.loader.exec_module(module)
    except SgdsdeError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module
