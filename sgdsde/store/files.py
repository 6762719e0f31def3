"""Files that a crash cannot leave half written: temporary name in the same folder → fsync → rename → fsync of the folder.

After ``write_durably`` returns, the bytes survive kill -9 and power loss; before, the old file (or none) is there, never a part of the new one.
What the operating system refuses (disk full, read-only, I/O error) becomes a :class:`StorageError` in words.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from sgdsde.types import SgdsdeError

#: files being written; swept away by whoever holds the folder's lock
TEMPORARY = ".tmp"
#: files that are open at the same time while they are written together
_TOGETHER = 64
#: from so many files on they are synced on threads
_MANY = 8


class StorageError(SgdsdeError):
    """The file system refused. What was acknowledged before is safe; the message says what to mend."""


_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file would exceed the allowed file size",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "something else stands there",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EIO: "the device reports an input/output error",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.ESTALE: "the network file system lost the file",
}


@contextmanager
def in_words(path: Path, doing: str) -> Iterator[None]:
    """Turn an ``OSError`` into a :class:`StorageError` that says what was being done, what is wrong, what to do."""
    try:
        yield
    except OSError as error:
        reason = _WORDS.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(f"Cannot {doing} {path}: {reason}{_room(path, error.errno)}. {_advice(error.errno)}") from error


def write_durably(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``, whole or not at all.

    Raises:
        StorageError: the file system refuses; nothing is left behind.
    """
    write_all_durably([(path, data)])


def write_all_durably(items: Sequence[tuple[Path, bytes]]) -> None:
    """Several files at once: each whole or not at all; all are written, then all synced, then all renamed.

    Raises:
        StorageError: the file system refuses; files already renamed stay, the others leave nothing behind.
    """
    for start in range(0, len(items), _TOGETHER):
        part = items[start : start + _TOGETHER]
        for folder in dict.fromkeys(path.parent for path, _ in part):
            ensure_folder(folder)
        _write_together(part)
    for folder in dict.fromkeys(path.parent for path, _ in items):
        sync_folder(folder)


def append_durably(descriptor: int, data: bytes, path: Path) -> None:
    """Append to an open file and fsync it.

    Raises:
        StorageError: the file system refuses; a part may have been written, so the caller must not append again.
    """
    with in_words(path, "append to"):
        _write_whole(descriptor, data)
        os.fsync(descriptor)


def ensure_folder(folder: Path) -> None:
    """Make a folder, and those above it, so that they survive a crash.

    Raises:
        StorageError: the file system refuses.
    """
    if folder.is_dir():
        return
    if folder.parent != folder:
        ensure_folder(folder.parent)
    with in_words(folder, "make the folder"):
        folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """fsync of a folder: a rename is durable only after it."""
    with in_words(folder, "sync the folder"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that cannot sync folders say so
                raise
        finally:
            os.close(descriptor)


def sweep(folder: Path) -> int:
    """Remove what a killed writer left under temporary names, in ``folder`` and one level below; the caller holds the lock. Returns how many."""
    count = 0
    for pattern in (f".*{TEMPORARY}", f"*/.*{TEMPORARY}"):
        for path in folder.glob(pattern):
            with in_words(path, "remove"):
                path.unlink(missing_ok=True)
            count += 1
    return count


def _write_together(items: Sequence[tuple[Path, bytes]]) -> None:
    waiting = {path: path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}") for path, _ in items}
    descriptors: dict[Path, int] = {}
    try:
        for path, data in items:
            with in_words(path, "write"):
                descriptors[path] = os.open(waiting[path], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                _write_whole(descriptors[path], data)
        with in_words(items[0][0].parent, "write into"):
            _sync(list(descriptors.values()))
        for path in descriptors:
            with in_words(path, "write"):
                os.replace(waiting[path], path)
            del waiting[path]
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)
        for temporary in waiting.values():  # empty unless something was refused
            with suppress(OSError):
                temporary.unlink()


def _sync(descriptors: Sequence[int]) -> None:
    """fsync of several files; at the same time where there are many, so that the file system writes its journal once for several of them."""
    if len(descriptors) < _MANY:
        for descriptor in descriptors:
            os.fsync(descriptor)
        return
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(os.fsync, descriptors))


def _write_whole(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _room(path: Path, number: int | None) -> str:
    if number not in (errno.ENOSPC, errno.EDQUOT):
        return ""
    folder = path
    while not folder.is_dir() and folder.parent != folder:
        folder = folder.parent
    with suppress(OSError):
        return f" ({shutil.disk_usage(folder).free / 2**20:.1f} MiB free)"
    return ""


def _advice(number: int | None) -> str:
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "Make room and run the same command again: it goes on from what is stored."
    if number in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG):
        return "Choose a folder that can be written with --out."
    return "What was stored before is safe; run the same command again once this is mended."
