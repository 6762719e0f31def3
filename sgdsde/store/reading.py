"""Reading a folder of blocks without its lock, while it may be written: every byte is held against the manifest first."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from sgdsde.store.chunk import DamagedChunk, header_digest, header_length
from sgdsde.store.files import StorageError, in_words
from sgdsde.store.manifest import Entry
from sgdsde.types import InputError

FORMAT = 1
RECIPE = "run.json"


def chunk_path(folder: Path, key: str) -> Path:
    """Where a block lies: numbered blocks a thousand to a folder, others by their first two characters."""
    shard = key[:-3] or "0" if key.isdigit() else key[:2]
    return folder / "chunks" / shard / f"{key}.safetensors"


def read_checked(folder: Path, entry: Entry) -> bytes:
    """The bytes of a block, after its size, its header and its digest were held against the manifest, in this order.

    Raises:
        DamagedChunk: one of them does not fit, or the file is not there.
        StorageError: it cannot be opened for another reason.
    """
    path = chunk_path(folder, entry.key)
    if not path.is_file():
        raise DamagedChunk("the file is missing")
    try:
        with in_words(path, "read"), open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size != entry.size:
                raise DamagedChunk(f"{size} bytes where {entry.size} were stored")
            prefix = file.read(8)
            header = prefix + file.read(header_length(prefix, size) - 8)
            if header_digest(header) != entry.head:
                raise DamagedChunk("the header's digest differs")
            data = header + file.read(size - len(header))
    except StorageError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EIO:  # a bad sector: this block's trouble, not the run's
            raise DamagedChunk("the device cannot read it") from error
        raise
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise DamagedChunk("the digest differs")
    return data


def read_recipe(folder: Path) -> dict[str, Any] | None:
    """``run.json`` of a folder: format, recipe, origin. None where it is not there or damaged.

    Raises:
        InputError: it was written by a newer version of this package.
        StorageError: it cannot be read.
    """
    path = folder / RECIPE
    with in_words(path, "read"):
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("recipe"), dict) or not isinstance(content.get("origin"), dict):
        return None
    number = content.get("format")
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    if number > FORMAT:
        raise InputError(f"{path} has format {number}; this version reads up to {FORMAT}. Update sgdsde.")
    return content
