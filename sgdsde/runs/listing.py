"""The studies there are: the files of ``experiments/``. A name is looked up here and never used as a path; only the study asked for is imported.

The folder is the one beside the package (a checkout), else ``experiments`` in the working directory, else what ``--experiments`` names: it holds code, so it is
only ever what the user has put there.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from functools import lru_cache
from pathlib import Path

import sgdsde
from sgdsde.runs.study import PROFILES, Study, is_config
from sgdsde.types import InputError, SgdsdeError, suggest


def folder_of_studies(given: Path | None = None) -> Path:
    """Where studies are looked for.

    Raises:
        InputError: there is no such folder.
    """
    candidates = [given] if given is not None else [Path(sgdsde.__file__).resolve().parents[1] / "experiments", Path("experiments")]
    for folder in candidates:
        if folder.is_dir():
            return folder.resolve()
    raise InputError(f"No folder of studies at {candidates[-1]}; run from a checkout, or name one with --experiments DIR.")


def studies(folder: Path) -> dict[str, Path]:
    """The studies of a folder by name, in alphabetical order."""
    return {path.stem.replace("_", "-"): path for path in sorted(folder.glob("[a-z]*.py"))}


def describe(folder: Path) -> dict[str, str]:
    """The first line of each study's docstring, read without importing anything."""
    lines = {}
    for name, path in studies(folder).items():
        try:
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        except (SyntaxError, ValueError, OSError) as error:
            text = f"(cannot be read: {error})"
        lines[name] = text.strip().splitlines()[0] if text.strip() else ""
    return lines


def load(name: str, folder: Path) -> Study:
    """The study of this name (``-`` and ``_`` are alike).

    Raises:
        InputError: there is none (with a suggestion), or its file is no study.
    """
    known = studies(folder)
    wanted = name.replace("_", "-")
    if wanted not in known:
        raise InputError(f"{name[:80]!r} is no study." + suggest(wanted[:80], list(known)))
    return _imported(known[wanted])


@lru_cache(maxsize=16)
def _imported(path: Path) -> Study:
    module_name = f"sgdsde_experiments_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses resolve their annotations through it
    try:
        spec.loader.exec_module(module)
    except SgdsdeError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        raise InputError(f"{path} holds no STUDY; wanted an instance of a subclass of sgdsde.runs.Study under that name.")
    if not is_config(study.config):
        raise InputError(f"{path}: config must be a frozen dataclass descending from StudyConfig, with a default for each field.")
    unknown = sorted(set(study.profiles) - set(PROFILES))
    if unknown:
        raise InputError(f"{path}: {unknown[0]!r} is no profile; known: {', '.join(PROFILES)}.")
    return study
