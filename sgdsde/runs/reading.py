"""Reading a run, finished or going on: configuration, progress, merged results, without its lock and without importing anything it names.

Whatever is read was acknowledged in the manifest and is held against its digest. The configuration is plain data; the study's code is never touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sgdsde.runs import sessions
from sgdsde.runs.export import dataset, write_netcdf
from sgdsde.runs.results import MERGED, RESULT, Merged, merge
from sgdsde.runs.study import Layout, key_of
from sgdsde.store import DamagedChunk, Tree, decode, is_held, read_checked, read_manifest, read_recipe
from sgdsde.store.manifest import NAME
from sgdsde.types import InputError


class StoredRun:
    """A run's folder as it stands; ``refresh`` looks again.

    Attributes:
        folder, study, title, identity: where it lies and what it is.
        config: the resolved configuration as plain values.
        conventions: what every number presupposes.
        origin: versions, git state, machine and time of birth.
        layout: how it is cut into cells and blocks.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        content = read_recipe(folder)
        if content is None:
            raise InputError(f"{folder} holds no run (no readable run.json); wanted a folder that sgdsde run made.")
        recipe = content["recipe"]
        if recipe.get("kind") != "study":
            raise InputError(f"{folder} holds {str(recipe.get('kind'))[:40]!r}, not a study's run.")
        self.study, self.title, self.conventions = (str(recipe.get(name, "")) for name in ("study", "title", "conventions"))
        self.identity = folder.resolve().name.rpartition("-")[2]
        self.config: dict[str, Any] = recipe["config"] if isinstance(recipe.get("config"), dict) else {}
        self.origin: dict[str, Any] = content["origin"]
        self.layout = _layout(recipe, self.config, folder)
        self.refresh()

    def refresh(self) -> None:
        """Read the manifest again."""
        self._manifest = read_manifest(self.folder / NAME)

    @property
    def done(self) -> int:
        """Blocks that are stored."""
        return sum(key_of(index) in self._manifest.entries for index in range(self.layout.blocks))

    @property
    def total(self) -> int:
        """Blocks in all."""
        return self.layout.blocks

    @property
    def state(self) -> str:
        """``complete``, ``running`` (a driver holds the folder), or ``stopped``."""
        if is_held(self.folder):
            return "running"
        return "complete" if self.done == self.total and (self.folder / RESULT).is_file() else "stopped"

    @property
    def quarantined(self) -> dict[str, str]:
        """Blocks taken back and not yet computed again, with the reason."""
        return dict(self._manifest.taken_back)

    def sessions(self) -> list[dict[str, Any]]:
        """Who worked on it: beginnings and ends."""
        return sessions.sessions(self.folder)

    def digests(self) -> dict[str, str]:
        """SHA-256 of every stored block: two runs with equal digests hold equal numbers."""
        return {key: entry.sha256 for key, entry in sorted(self._manifest.entries.items())}

    def blocks(self) -> Iterator[tuple[str, int, Tree]]:
        """Stored blocks in order: cell, number in the cell, content.

        Raises:
            DamagedChunk: a block's bytes changed since they were stored; running the command again repairs it.
        """
        for index in range(self.layout.blocks):
            if key_of(index) in self._manifest.entries:
                yield *self.layout.place(index), self._read(key_of(index))

    def merged(self) -> Merged:
        """The reducers of each cell over what is stored so far, one block in memory at a time.

        Raises:
            DamagedChunk: as :meth:`blocks`.
        """
        return merge(self.layout, self._read, self._manifest.entries.__contains__)

    def result(self) -> dict[str, Any] | None:
        """The table of a complete run: lines with error bars, conventions, notes. None before it is complete.

        Raises:
            DamagedChunk: the file is no table.
        """
        path = self.folder / RESULT
        if not path.is_file():
            return None
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise DamagedChunk(f"{path} is damaged; run the command again, it is made from the blocks")
        return content

    def to_xarray(self) -> Any:
        """What is stored so far as an ``xarray.Dataset`` over cells, see :func:`sgdsde.runs.export.dataset`."""
        facts = {"study": self.study, "identity": self.identity, "conventions": self.conventions, "config": json.dumps(self.config)}
        return dataset(self.merged(), self.layout.cells, facts | {"blocks": f"{self.done} of {self.total}"})

    def to_netcdf(self, path: Path) -> None:
        """The same as a netCDF file (needs xarray, h5netcdf and h5py: ``pip install 'sgdsde[io]'``)."""
        write_netcdf(self.to_xarray(), Path(path))

    def __str__(self) -> str:
        return f"{self.study} {self.identity}: {self.state}, {self.done} of {self.total} blocks; {self.conventions}"

    def _read(self, key: str) -> Tree:
        try:
            return decode(read_checked(self.folder, self._manifest.entries[key]))
        except DamagedChunk as why:
            raise DamagedChunk(f"block {key} of {self.folder}: {why}. Run the same command again: it is set aside and computed anew.") from None


def open_run(folder: Path | str) -> StoredRun:
    """A run's folder, while it is written or later.

    Raises:
        InputError: there is no run, or one of a newer version.
        StorageError: it cannot be read.
    """
    return StoredRun(Path(folder))


def _layout(recipe: Mapping[str, Any], config: Mapping[str, Any], folder: Path) -> Layout:
    cells, numbers = recipe.get("cells"), [config.get(name) for name in ("paths", "block_paths", "seed")]
    right = isinstance(cells, list) and cells and all(isinstance(cell, str) for cell in cells)
    if not right or not all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers) or not all(numbers[:2]):
        raise InputError(f"{folder}/run.json is no recipe that this version understands.")
    layout = Layout(tuple(cells), *numbers)  # type: ignore[arg-type]
    if layout.blocks != recipe.get("blocks"):
        raise InputError(
            f"{folder}/run.json contradicts itself: {layout.blocks} blocks follow from its configuration, {str(recipe.get('blocks'))[:20]} are stated."
        )
    return layout


__all__ = ["MERGED", "RESULT", "StoredRun", "open_run"]
