"""The studies there are: the files of ``experiments/``, or of what ``--experiments`` names (:mod:`sgdsde.scripts`)."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

from sgdsde.runs.study import PROFILES, Study, is_config
from sgdsde.scripts import folder_of, imported, script_of, scripts
from sgdsde.types import InputError


def folder_of_studies(given: Path | None = None) -> Path:
    """Where studies are looked for.

    Raises:
        InputError: there is no such folder.
    """
    return folder_of("experiments", given, what="studies", otherwise=", or name one with --experiments DIR")


def describe(folder: Path) -> dict[str, str]:
    """The first line of each script's docstring, read without importing anything."""
    lines = {}
    for name, path in scripts(folder).items():
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
    _, path = script_of(name, folder, what="study")
    return _study(path)


@lru_cache(maxsize=16)
def _study(path: Path) -> Study:
    study = getattr(imported(path, "sgdsde_experiments"), "STUDY", None)
    if not isinstance(study, Study):
        raise InputError(f"{path} holds no STUDY; wanted an instance of a subclass of sgdsde.runs.Study under that name.")
    if not is_config(study.config):
        raise InputError(f"{path}: config must be a frozen dataclass descending from StudyConfig, with a default for each field.")
    unknown = sorted(set(study.profiles) - set(PROFILES))
    if unknown:
        raise InputError(f"{path}: {unknown[0]!r} is no profile; known: {', '.join(PROFILES)}.")
    return study
