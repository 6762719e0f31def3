"""A folder of immutable blocks: one writer, any number of readers, nothing acknowledged is ever lost or believed without its digest.

    run.json                    what is computed (the recipe) and where it began; written once
    blocks.jsonl                one checked line a finished block (sgdsde.store.manifest)
    chunks/00000/….safetensors  the blocks (sgdsde.store.chunk), a thousand to a folder
    quarantine/                 what failed its digest: moved here, never deleted
    lock, owner.json            one driver at a time

A block is first a durable file, then a durable line. Killed between the two, it is computed again and replaced by equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Container, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sgdsde.store import manifest
from sgdsde.store.chunk import DamagedChunk, Tree, decode, header_digest, header_length
from sgdsde.store.files import StorageError, append_durably, in_words, sweep, sync_folder, write_all_durably, write_durably
from sgdsde.store.lock import FolderLock
from sgdsde.store.manifest import Entry, is_key, read_manifest
from sgdsde.store.quarantine import copy_aside, set_aside
from sgdsde.store.reading import FORMAT, RECIPE, chunk_path, read_checked, read_recipe
from sgdsde.types import InputError


@dataclass(frozen=True)
class Finished:
    """A block to be stored: its bytes (:func:`sgdsde.store.chunk.encode`) and facts for its line in the manifest."""

    key: str
    data: bytes
    facts: Mapping[str, Any]


class BlockStore:
    """The writer's side of a folder, under its lock. Use it in a ``with``.

    Args:
        folder: made if it is not there.
        recipe: what fixes every number in the folder; a folder with another recipe is refused.
        origin: versions, machine, time of birth; stored once, never compared.

    Raises:
        FolderBusy: another driver holds the folder.
        InputError: the folder holds the blocks of another recipe.
        StorageError: the file system refuses.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any], origin: Mapping[str, Any] | None = None) -> None:
        self.folder, self.recipe = Path(folder), _plain(recipe)
        #: what was found damaged and set aside, in words
        self.repairs: list[str] = []
        self._broken = ""
        with ExitStack() as stack:
            stack.enter_context(FolderLock(self.folder))
            sweep(self.folder)
            for shard in ("chunks", "quarantine"):
                sweep(self.folder / shard)
            self._check_recipe(_plain(origin or {}))
            self._manifest_path = self.folder / manifest.NAME
            self._entries = self._load_manifest()
            with in_words(self._manifest_path, "open"):
                self._log = os.open(self._manifest_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            stack.callback(os.close, self._log)
            sync_folder(self.folder)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the folder up."""
        self._stack.close()

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The acknowledged blocks by key."""
        return self._entries

    def commit(self, blocks: Iterable[Finished]) -> list[str]:
        """Store blocks; when this returns they are acknowledged and survive kill -9. Returns keys whose digest differs from an earlier one.

        Raises:
            InputError: a key is no key.
            StorageError: the file system refuses; then nothing more is accepted, and what was acknowledged before is safe.
        """
        if self._broken:
            raise StorageError(self._broken)
        files, entries = [], []
        for block in blocks:
            if not is_key(block.key):
                raise InputError(f"{block.key!r} cannot name a block: wanted small letters, digits, '-' and '_', at most 80.")
            head = header_digest(block.data[: header_length(block.data[:8], len(block.data))])
            entries.append(Entry(block.key, hashlib.sha256(block.data).hexdigest(), head, len(block.data), dict(block.facts)))
            files.append((chunk_path(self.folder, block.key), block.data))
        try:
            write_all_durably(files)
            append_durably(self._log, b"".join(map(manifest.acknowledged, entries)), self._manifest_path)
        except StorageError as error:
            self._broken = str(error)
            raise
        changed = [entry.key for entry in entries if self._entries.get(entry.key, entry).sha256 != entry.sha256]
        self._entries.update((entry.key, entry) for entry in entries)
        return changed

    def read(self, key: str) -> Tree:
        """A stored block.

        Raises:
            InputError: there is no such block.
            DamagedChunk: its bytes changed since they were stored.
        """
        if key not in self._entries:
            raise InputError(f"{self.folder} holds no block {key!r}.")
        return decode(read_checked(self.folder, self._entries[key]))

    def verify(self, only: Container[str] | None = None) -> list[str]:
        """Hold every block (or ``only`` these) against its digest; what does not fit goes to quarantine and its line is taken back. Returns the keys."""
        damaged = []
        for entry in list(self._entries.values()):
            if only is not None and entry.key not in only:
                continue
            try:
                read_checked(self.folder, entry)
            except DamagedChunk as why:
                damaged.append(entry.key)
                self._take_back(entry.key, str(why))
        return damaged

    def _take_back(self, key: str, why: str) -> None:
        path = chunk_path(self.folder, key)
        kept = f"; kept as {set_aside(self.folder, path)}" if path.exists() else ""  # first: killed here, the block is missing and found so
        append_durably(self._log, manifest.quarantined(key, why), self._manifest_path)
        del self._entries[key]
        self.repairs.append(f"block {key}: {why}{kept}; it is computed again")

    def _check_recipe(self, origin: Mapping[str, Any]) -> None:
        path = self.folder / RECIPE
        found = read_recipe(self.folder)
        if found is None and path.exists():
            self.repairs.append(f"{RECIPE} was damaged; kept as {set_aside(self.folder, path)} and written anew")
        if found is None:
            text = json.dumps({"format": FORMAT, "recipe": self.recipe, "origin": dict(origin)}, indent=1, ensure_ascii=False, allow_nan=False)
            write_durably(path, text.encode())
        elif found["recipe"] != self.recipe:
            names = sorted(name for name in {*found["recipe"], *self.recipe} if found["recipe"].get(name) != self.recipe.get(name))
            raise InputError(f"{self.folder} holds another run: it differs in {', '.join(names)}. Nothing is overwritten; choose another --out.")

    def _load_manifest(self) -> dict[str, Entry]:
        found = read_manifest(self._manifest_path)
        if found.damaged or found.unfinished:
            if found.damaged:
                kept = copy_aside(self.folder, self._manifest_path)
                self.repairs.append(
                    f"{manifest.NAME}: {len(found.damaged)} torn or damaged line(s) set aside (kept as {kept}); their blocks are computed again"
                )
            lines = [manifest.acknowledged(entry) for entry in found.entries.values()]
            lines += [manifest.quarantined(key, why) for key, why in found.taken_back.items()]
            write_durably(self._manifest_path, b"".join(lines))
        return found.entries


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """Through JSON and back, so that what is compared is what is stored."""
    return dict(json.loads(json.dumps(content, ensure_ascii=False, allow_nan=False)))
