"""Durable blocks: immutable chunks with digests, an append-only manifest, one lock a folder."""

from sgdsde.store.blocks import BlockStore, Finished
from sgdsde.store.chunk import DamagedChunk, Tree, decode, encode
from sgdsde.store.files import StorageError, ensure_folder, write_durably
from sgdsde.store.lock import FolderBusy, FolderLock, is_held
from sgdsde.store.manifest import Entry, Manifest, read_manifest
from sgdsde.store.reading import chunk_path, read_checked, read_recipe

__all__ = [
    "BlockStore",
    "DamagedChunk",
    "Entry",
    "Finished",
    "FolderBusy",
    "FolderLock",
    "Manifest",
    "StorageError",
    "Tree",
    "chunk_path",
    "decode",
    "encode",
    "ensure_folder",
    "is_held",
    "read_checked",
    "read_manifest",
    "read_recipe",
    "write_durably",
]
