"""One driver a folder: an advisory lock that the kernel releases when its holder dies, however it dies.

``flock`` on the file ``lock``; who holds it stands in ``owner.json`` (host, process, command, since), for the words of a refusal only. A lock whose
holder was killed is free at once, and no clock takes part in the decision. A forked child closes its copy, so that an orphan cannot hold it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Self

from sgdsde.store.files import StorageError, ensure_folder, in_words, write_durably

#: seconds to wait for a reader that asks who is there
_PATIENCE = 0.3
_held: set[int] = set()


class FolderBusy(StorageError):
    """Another driver works in this folder."""


class FolderLock:
    """The lock on ``folder``, held from construction to ``release`` (or the end of a ``with``).

    Raises:
        FolderBusy: another driver holds it; the message names it.
        StorageError: the folder cannot be made or written, or its file system knows no locks.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ensure_folder(folder)
        self._descriptor = _acquire(folder)
        _held.add(self._descriptor)
        owner = {"host": platform.node(), "pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S %z"), "command": sys.argv[:8]}
        try:
            write_durably(folder / "owner.json", json.dumps(owner).encode())
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the folder up; twice does no harm."""
        if self._descriptor >= 0:
            (self.folder / "owner.json").unlink(missing_ok=True)
            _held.discard(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def is_held(folder: Path) -> bool:
    """Whether a driver works in the folder now. Asking takes a shared lock for a moment, which a driver that starts waits out."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    finally:
        os.close(descriptor)


def _acquire(folder: Path) -> int:
    path = folder / "lock"
    patience = time.monotonic() + _PATIENCE
    while True:
        with in_words(path, "open the lock"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same_file(descriptor, path):
                return descriptor
        except OSError as error:
            os.close(descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                if time.monotonic() < patience:
                    time.sleep(0.02)
                    continue
                raise FolderBusy(
                    f"{folder} is in use by {_owner(folder)}. Two drivers must not share a folder: wait for it, stop it, or choose another --out."
                ) from None
            if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise StorageError(f"The file system of {folder} knows no locks, so two drivers could not be kept apart. Choose another --out.") from error
            raise StorageError(f"Cannot lock {path}: {error.strerror}.") from error
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the file was removed or replaced between open and lock: try the new one


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)


def _owner(folder: Path) -> str:
    """The holder in words, as far as it left any: the file may be torn, stale by a moment, or not there yet."""
    try:
        owner = json.loads((folder / "owner.json").read_bytes())
        return f"process {int(owner['pid'])} on {owner['host']!s:.80} (since {owner['since']!s:.40})"
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "another process"


def _close_in_child() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)
