"""One driver a folder: the lock."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
from stores import store

from sgdsde.store import FolderBusy, FolderLock, is_held


def test_two_drivers_the_second_refuses_in_words(tmp_path: Path) -> None:
    with store(tmp_path):
        assert is_held(tmp_path)
        with pytest.raises(FolderBusy, match=rf"in use by process {os.getpid()} on .* Two drivers must not share a folder"):
            store(tmp_path)
    assert not is_held(tmp_path)
    with store(tmp_path):
        pass


@pytest.mark.parametrize("owner", [b"", b"{", b"[]", b'{"pid": "x"}', b'{"pid": 1e400, "host": 3, "since": []}', b"[" * 100_000, None])
def test_a_lock_without_a_readable_owner_still_refuses_and_a_stale_owner_does_not(tmp_path: Path, owner: bytes | None) -> None:
    with FolderLock(tmp_path):
        (tmp_path / "owner.json").unlink()
        if owner is not None:
            (tmp_path / "owner.json").write_bytes(owner)
        with pytest.raises(FolderBusy, match="in use by"):
            FolderLock(tmp_path)
    (tmp_path / "owner.json").write_bytes(owner or b"")
    FolderLock(tmp_path).release()


def test_a_lock_file_that_was_replaced_does_not_let_a_second_driver_in_unseen(tmp_path: Path) -> None:
    """Whoever deletes ``lock`` breaks the first driver's claim; the second then holds the new file, and a third is refused by it."""
    with FolderLock(tmp_path):
        (tmp_path / "lock").unlink()
        with FolderLock(tmp_path), pytest.raises(FolderBusy):
            FolderLock(tmp_path)


def _sleep(started: Any, release: Any) -> None:
    started.set()
    release.wait(30)


def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    started, release = context.Event(), context.Event()
    lock = FolderLock(tmp_path)
    child = context.Process(target=_sleep, args=(started, release))
    child.start()
    started.wait(30)
    lock.release()
    FolderLock(tmp_path).release()
    release.set()
    child.join()


def test_a_reader_that_asks_does_not_keep_a_driver_out(tmp_path: Path) -> None:
    FolderLock(tmp_path).release()
    descriptor = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    with pytest.raises(FolderBusy):
        FolderLock(tmp_path)  # one that stays
    os.close(descriptor)
    assert not is_held(tmp_path)
    FolderLock(tmp_path).release()
