"""Damaged files are kept, out of the way, under ``quarantine/``: they are evidence, and nothing here deletes any."""

from __future__ import annotations

import os
from pathlib import Path

from sgdsde.store.files import ensure_folder, in_words, sync_folder, write_durably


def set_aside(folder: Path, path: Path) -> str:
    """Move a damaged file into ``quarantine`` under a free name; returns it, relative to the folder."""
    place = _free_place(folder, path)
    with in_words(path, "set aside"):
        os.replace(path, place)
    sync_folder(place.parent)
    sync_folder(path.parent)
    return str(place.relative_to(folder))


def copy_aside(folder: Path, path: Path) -> str:
    """A copy in ``quarantine`` instead of a move: the file must not be missing for a moment, or a kill would lose all that it acknowledges."""
    place = _free_place(folder, path)
    with in_words(path, "read"):
        data = path.read_bytes()
    write_durably(place, data)
    return str(place.relative_to(folder))


def _free_place(folder: Path, path: Path) -> Path:
    target = folder / "quarantine"
    ensure_folder(target)
    number = 1
    while (place := target / f"{path.name}.{number}").exists():
        number += 1
    return place
